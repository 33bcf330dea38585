//! What is said of an event: once as data, once as lines for people. Nothing here is escaped for anybody; everything is bounded.

use jiff::Timestamp;
use proto::{
    RunId,
    git::CommitId,
    message::RunSpec,
    view::{JobView, RunView},
};
use serde::Serialize;

/// Services, and characters of a line.
const MOST_FAILED: usize = 10;
const MOST_CHARACTERS: usize = 200;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) event: &'static str,
    pub(super) at: Option<Timestamp>,
    /// Address of the gateway; empty while nobody has set it.
    pub(super) source: String,
    /// The first line is the headline.
    pub(super) lines: Vec<String>,
    pub(super) link: Option<String>,
    pub(super) data: Data,
}

/// For programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Data {
    pub(super) run_id: RunId,
    event: &'static str,
    status: &'static str,
    source: Option<String>,
    environment: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    commit: Option<CommitId>,
    /// Of a release.
    tag: Option<String>,
    release: Option<&'static str>,
    triggered_by: Option<String>,
    by: String,
    failure: Option<String>,
    /// At most ten.
    failed: Vec<FailedService>,
    failed_count: usize,
    url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct FailedService {
    service: String,
    kind: String,
    message: String,
}

/// What is said of an event of a run.
pub(super) fn of(view: &RunView, event: &'static str, public_url: &str) -> Said {
    let link = (!public_url.is_empty()).then(|| format!("{public_url}/v1/runs/{}", view.id));
    let data = data(view, event, link.clone());
    Said { event, at: view.ended_at, source: public_url.to_owned(), lines: lines(&data), link, data }
}

fn data(view: &RunView, event: &'static str, url: Option<String>) -> Data {
    let sync = match &view.spec {
        RunSpec::Sync(spec) => Some(spec),
        RunSpec::Terraform(_) | RunSpec::Orders(_) | RunSpec::Probe(_) => None,
    };
    let git_ref = match &view.spec {
        RunSpec::Sync(spec) => Some(spec.git_ref.to_string()),
        RunSpec::Terraform(spec) => Some(spec.git_ref.to_string()),
        RunSpec::Orders(_) | RunSpec::Probe(_) => None,
    };
    let failed: Vec<FailedService> = view.jobs.iter().filter_map(failed).collect();
    let release = view.syncs.as_ref().and_then(|syncs| syncs.release.as_ref());
    Data {
        run_id: view.id,
        event,
        status: view.status.as_str(),
        source: sync.map(|spec| spec.source.to_string()),
        environment: sync.map(|spec| spec.environment.to_string()),
        git_ref,
        commit: view.commit.clone(),
        tag: release.map(|release| release.tag.clone()),
        release: sync.and_then(|spec| spec.release.as_ref()).map(|order| order.kind.as_str()),
        triggered_by: sync.map(|spec| line(&spec.triggered_by)),
        by: line(&view.by),
        failure: view.failure.as_ref().map(|failure| line(&failure.message)),
        failed_count: failed.len(),
        failed: failed.into_iter().take(MOST_FAILED).collect(),
        url,
    }
}

fn failed(job: &JobView) -> Option<FailedService> {
    let sync = job.sync.as_ref()?;
    let failure = sync.failure.as_ref().or(job.failure.as_ref())?;
    Some(FailedService { service: sync.service.to_string(), kind: line(&failure.kind), message: line(&failure.message) })
}

fn lines(data: &Data) -> Vec<String> {
    let (what, how) = data.event.split_once('.').unwrap_or((data.event, ""));
    let place = data.environment.as_ref().map(|environment| format!(" in {environment}")).unwrap_or_default();
    let head = match (what, &data.tag) {
        ("release", Some(tag)) => format!("Release {tag} made{place}"),
        (_, Some(tag)) => format!("{} of {tag} {}{place}", capital(what), how.replace('_', " ")),
        (_, None) => format!("{} {}{place}", capital(what), how.replace('_', " ")),
    };
    let mut lines = vec![head];
    let from: Vec<String> = [
        data.source.clone(),
        data.git_ref.clone(),
        data.commit.as_ref().map(|commit| commit.as_str().chars().take(8).collect()),
        Some(format!("by {}", data.triggered_by.as_ref().unwrap_or(&data.by))),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.push(from.join(", "));
    for failed in &data.failed {
        lines.push(format!("- {}: {}", failed.service, failed.message));
    }
    if let Some(more) = data.failed_count.checked_sub(data.failed.len()).filter(|more| *more > 0) {
        lines.push(format!("- and {more} more"));
    }
    if let Some(failure) = data.failure.as_ref().filter(|_| data.failed.is_empty()) {
        lines.push(failure.clone());
    }
    lines
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The first line of a text, bounded, without characters that cannot be seen.
fn line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut shown: String = first.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
    if first.chars().count() > MOST_CHARACTERS {
        shown.push('…');
    }
    shown
}
