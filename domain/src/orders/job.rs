//! What belongs to the job as a whole: who it is for, where it is told, how long and how wide it may run.

use super::{
    Defaults, Rules,
    given::Given,
    problems::{Checked, Problems, Report, Told, shown},
    request::{JobRequest, canonical_uuid, is_trace_id},
    source::{JobGit, Repository},
};
use proto::{Secret, orders::PullRequest};
use std::net::IpAddr;
use url::{Host, Url};

const JOB_TIMEOUT_SECONDS: u32 = 3600;
/// A week: the longest job, and so the longest order.
pub(super) const MOST_SECONDS: u32 = 7 * 24 * 3600;
const PRESIGN_SECONDS: u32 = 7200;
/// How much longer than the longest order an address for its result must live.
const PRESIGN_BUFFER_SECONDS: u32 = 300;
const PRIORITY: u32 = 5;
const MOST_CALLBACKS: usize = 5;
const MAX_URL_BYTES: usize = 2048;

/// A job's own fields. What was wrong is told already; it stands here as such, because orders are checked against it.
#[derive(Debug)]
pub(super) struct JobFields {
    pub(super) run_id: Checked<String>,
    pub(super) trace_id: Result<String, Told>,
    pub(super) username: Result<String, Told>,
    pub(super) flow_label: Checked<String>,
    pub(super) search_tag: Result<String, Told>,
    pub(super) pull_request: Checked<PullRequest>,
    pub(super) job_timeout_s: Result<u32, Told>,
    presign_s: Result<u32, Told>,
    pub(super) max_parallel: Result<u32, Told>,
    pub(super) priority: Result<u32, Told>,
    pub(super) callbacks: Result<Vec<Secret>, Told>,
    pub(super) git: JobGit,
    pub(super) run_key: Secret,
}

impl JobFields {
    /// Reads them; every problem is told.
    pub(super) fn check(job: &JobRequest, rules: &Rules, defaults: Defaults, problems: &mut Problems) -> Self {
        let report = &mut problems.of_job();
        let limits = &rules.limits;
        let git = JobGit::check(job, &rules.git, report);
        let label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        Self {
            run_id: run_id(job, report),
            trace_id: trace_id(job, report).map(|given| given.unwrap_or(defaults.trace_id)),
            username: username(job, report),
            flow_label: word("flow_label", &job.flow_label, label, report),
            search_tag: word("pr_comment_search_tag", &job.pr_comment_search_tag, label, report)
                .map(|given| given.unwrap_or(defaults.search_tag)),
            pull_request: pull_request(job, &git.repository, report),
            job_timeout_s: report
                .whole("job_timeout", &job.job_timeout, 1..=MOST_SECONDS)
                .map(|given| given.unwrap_or(JOB_TIMEOUT_SECONDS)),
            presign_s: report
                .whole("presign_expiry", &job.presign_expiry, 1..=2 * MOST_SECONDS)
                .map(|given| given.unwrap_or(PRESIGN_SECONDS)),
            max_parallel: report
                .whole("max_parallel", &job.max_parallel, 1..=limits.max_parallel)
                .map(|given| given.unwrap_or(limits.default_parallel.min(limits.max_parallel))),
            priority: report.whole("priority", &job.priority, 0..=9).map(|given| given.unwrap_or(PRIORITY)),
            callbacks: callbacks(job, report),
            git,
            run_key: defaults.run_key,
        }
    }

    /// An address for a result must outlive the longest order.
    pub(super) fn check_presign(&self, longest: u32, problems: &mut Problems) {
        if let Ok(expiry) = self.presign_s
            && expiry < longest.saturating_add(PRESIGN_BUFFER_SECONDS)
        {
            let text = format!("presign_expiry ({expiry}) must be >= max order timeout ({longest}) + {PRESIGN_BUFFER_SECONDS}s buffer");
            problems.add("presign_expiry", text);
        }
    }
}

fn run_id(job: &JobRequest, report: &mut Report<'_>) -> Checked<String> {
    let Some(text) = report.text("run_id", &job.run_id)? else { return Ok(None) };
    let id = canonical_uuid(text);
    id.map(Some).ok_or_else(|| report.add("run_id", format!("run_id '{}' is not a UUID: it makes a repeat the same job", shown(text))))
}

fn trace_id(job: &JobRequest, report: &mut Report<'_>) -> Checked<String> {
    let Some(text) = report.text("trace_id", &job.trace_id)? else { return Ok(None) };
    if is_trace_id(text) {
        return Ok(Some(text.to_owned()));
    }
    Err(report.add("trace_id", format!("trace_id '{}' must be 8 to 64 of letters, digits, - and _", shown(text))))
}

fn username(job: &JobRequest, report: &mut Report<'_>) -> Result<String, Told> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+[]".contains(&byte);
    word("username", &job.username, name, report)?.ok_or_else(|| report.add("username", "username is missing"))
}

/// A text that goes into a flow id or the last line of a comment.
fn word(field: &str, given: &Given<String>, legal: impl Fn(u8) -> bool, report: &mut Report<'_>) -> Checked<String> {
    let Some(text) = report.text(field, given)? else { return Ok(None) };
    if text.len() <= 64 && text.bytes().all(legal) {
        return Ok(Some(text.to_owned()));
    }
    let rule = "must be 1 to 64 of letters, digits, - _ and .";
    let also = if field == "username" { "; a user name may also have @ + [ and ]" } else { "" };
    Err(report.add(field, format!("{field} '{}' {rule}{also}", shown(text))))
}

fn pull_request(job: &JobRequest, repository: &Checked<Repository>, report: &mut Report<'_>) -> Checked<PullRequest> {
    let issue = number("issue_number", &job.issue_number, report);
    let pull = number("pr_number", &job.pr_number, report);
    let (issue, pull) = (issue?, pull?);
    let Some(number) = pull.or(issue) else { return Ok(None) };
    let field = if pull.is_some() { "pr_number" } else { "issue_number" };
    match repository {
        Err(Told) => Err(Told),
        Ok(Some(Repository { name: Some(repo), .. })) => Ok(Some(PullRequest { repo: repo.clone(), number })),
        Ok(Some(Repository { name: None, .. }) | None) => {
            Err(report.add(field, format!("{field} needs git_repo as org/repo: that is where the comment goes")))
        }
    }
}

fn number(field: &str, given: &Given<i64>, report: &mut Report<'_>) -> Checked<u64> {
    match given {
        Given::Absent => Ok(None),
        Given::Value(number) if *number > 0 => Ok(Some(number.unsigned_abs())),
        Given::Value(_) | Given::Wrong(_) => Err(report.add(field, format!("{field} must be a positive whole number, without quotes"))),
    }
}

fn callbacks(job: &JobRequest, report: &mut Report<'_>) -> Result<Vec<Secret>, Told> {
    let urls = report.texts("callbacks", &job.callbacks)?;
    if urls.len() > MOST_CALLBACKS {
        return Err(report.add("callbacks", format!("callbacks has {} addresses, more than {MOST_CALLBACKS}", urls.len())));
    }
    let mut told = None;
    for (index, url) in urls.iter().enumerate() {
        // Not shown: such an address is often its own permission.
        if let Err(why) = callback(url) {
            told = Some(report.add("callbacks", format!("callbacks[{index}] {why}")));
        }
    }
    told.map_or_else(|| Ok(urls.iter().map(Secret::new).collect()), Err)
}

/// Why an address may not be told about the end of a job.
fn callback(text: &str) -> Result<(), &'static str> {
    let text = text.strip_prefix("PUT ").unwrap_or(text);
    let url = Url::parse(text).map_err(|_| "is not an address such as https://HOST/PATH")?;
    if text.len() > MAX_URL_BYTES || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err("is longer than 2048 bytes or holds spaces or control characters");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user or password");
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => Ok(()),
        ("http", Some(host)) if is_loopback(&host) => Ok(()),
        ("http", _) => Err("must be https: http is for this machine only"),
        _ => Err("must be https://HOST/PATH"),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}
