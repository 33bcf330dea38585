//! Where an order's code comes from: a zip archive before a git repository, and nothing only where nothing is usual.

use super::{
    given::Given,
    problems::{Checked, Report, Told, shown},
    request::{JobRequest, OrderRequest},
};
use proto::{
    git::{AllowedHosts, BadGit, GitRef, GitUrl, Scheme},
    orders::{CodeSource, GitSource, Location},
    path::RepoPath,
};
use url::Url;

const NO_SOURCE: &str = "no code source (need s3_location or git_repo + git_token_location)";
const MAX_LOCATION_BYTES: usize = 4096;

/// Where repositories are that are given as `org/repo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitBase {
    /// Without a slash at its end.
    address: String,
    /// Some repository there.
    sample: GitUrl,
}

impl GitBase {
    /// From an address such as `https://github.com`.
    pub fn parse(address: &str) -> Result<Self, BadGit> {
        let address = address.trim_end_matches('/');
        let sample: GitUrl = format!("{address}/org/repo.git").parse()?;
        match sample.scheme() {
            Scheme::Http | Scheme::Https => Ok(Self { address: address.to_owned(), sample }),
            Scheme::Ssh => Err(BadGit::Scheme("ssh".to_owned())),
        }
    }

    /// Whether a full address leads to the same server, or to the same name over ssh.
    fn has(&self, url: &GitUrl) -> bool {
        let same_door = match url.scheme() {
            Scheme::Ssh => url.port().is_none(),
            Scheme::Http | Scheme::Https => url.scheme() == self.sample.scheme() && url.port_or_default() == self.sample.port_or_default(),
        };
        same_door && url.host() == self.sample.host()
    }
}

/// Which repositories may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRules {
    pub base: GitBase,
    /// Hosts besides the base that full addresses may name.
    pub hosts: AllowedHosts,
}

/// A repository that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    url: GitUrl,
    ssh_url: Option<GitUrl>,
    /// `owner/name`, where the address has such a path.
    pub(super) name: Option<String>,
}

impl Repository {
    /// From `org/repo` or a full address.
    fn parse(text: &str, rules: &GitRules) -> Result<Self, BadGit> {
        if is_name(text) {
            let name = text.strip_suffix(".git").unwrap_or(text);
            let url = format!("{}/{name}.git", rules.base.address).parse()?;
            return Ok(Self { url, ssh_url: over_ssh(rules.base.sample.host(), name), name: Some(name.to_owned()) });
        }
        let url: GitUrl = text.parse()?;
        if !rules.base.has(&url) {
            rules.hosts.permits(&url)?;
        }
        let path = url.path().trim_matches('/');
        let name = Some(path.strip_suffix(".git").unwrap_or(path).to_owned()).filter(|name| is_name(name));
        let ssh_url = match url.scheme() {
            Scheme::Ssh => None,
            Scheme::Http | Scheme::Https => name.as_deref().and_then(|name| over_ssh(url.host(), name)),
        };
        Ok(Self { url, ssh_url, name })
    }
}

fn over_ssh(host: &str, name: &str) -> Option<GitUrl> {
    format!("git@{host}:{name}.git").parse().ok()
}

/// `owner/name`, and deeper where a forge has groups in groups.
fn is_name(text: &str) -> bool {
    let legal = |part: &str| {
        (1..=100).contains(&part.len())
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    (2..=8).contains(&text.split('/').count()) && text.split('/').all(legal)
}

/// What a job says about git.
#[derive(Debug)]
pub(super) struct JobGit {
    pub(super) repository: Checked<Repository>,
    pub(super) token: Checked<Location>,
    pub(super) ssh_key: Checked<Location>,
    commit: Checked<GitRef>,
}

impl JobGit {
    /// Reads it; what is wrong is told once for the job and not once more for each order.
    pub(super) fn check(job: &JobRequest, rules: &GitRules, report: &mut Report<'_>) -> Self {
        if let Ok(Some(provider)) = report.text("git_provider", &job.git_provider)
            && provider != "github"
        {
            report.add("git_provider", format!("git_provider '{}' is not supported (must be one of ['github'])", shown(provider)));
        }
        Self {
            repository: repository(&job.git_repo, rules, report),
            token: report.parsed("git_token_location", &job.git_token_location),
            ssh_key: report.parsed("git_ssh_key_location", &job.git_ssh_key_location),
            commit: report.parsed("commit_hash", &job.commit_hash),
        }
    }

    /// Whether a repository is given and nothing that opens it.
    pub(super) fn lacks_credentials(&self) -> bool {
        matches!(self.repository, Ok(Some(_))) && self.token == Ok(None) && self.ssh_key == Ok(None)
    }
}

fn repository(given: &Given<String>, rules: &GitRules, report: &mut Report<'_>) -> Checked<Repository> {
    let Some(text) = report.text("git_repo", given)? else { return Ok(None) };
    Repository::parse(text, rules).map(Some).map_err(|error| match error {
        BadGit::Url(shown) => report.add("git_repo", format!("git_repo '{shown}' is neither org/repo nor a git address")),
        BadGit::Credentials => report.add("git_repo", "git_repo carries a user or password: keep them where git_token_location says"),
        BadGit::Scheme(_)
        | BadGit::Ref(_)
        | BadGit::Commit(_)
        | BadGit::AllowedHost(_)
        | BadGit::HostNotAllowed(_)
        | BadGit::PrivateHost(_) => report.add("git_repo", format!("git_repo: {error}")),
    })
}

/// The code of one order.
pub(super) fn code_source(
    order: &OrderRequest,
    job: &JobGit,
    may_be_none: bool,
    rules: &GitRules,
    report: &mut Report<'_>,
) -> Result<CodeSource, Told> {
    if let Some(location) = report.text("s3_location", &order.s3_location)? {
        return match zip(location) {
            Ok(()) => Ok(CodeSource::Zip { location: location.to_owned() }),
            // Not shown: a presigned address is its own permission.
            Err(why) => Err(report.add("s3_location", format!("s3_location {why}"))),
        };
    }
    let own = repository(&order.git_repo, rules, report);
    let folder = report.parsed::<RepoPath>("git_folder", &order.git_folder);
    let commit = report.parsed::<GitRef>("commit_hash", &order.commit_hash);
    let repository = match own? {
        Some(own) => own,
        None => match job.repository.clone()? {
            Some(of_job) => of_job,
            None if may_be_none => return Ok(CodeSource::None),
            None => return Err(report.add("git_repo", NO_SOURCE)),
        },
    };
    let (token, ssh_key) = (job.token.clone()?, job.ssh_key.clone()?);
    if token.is_none() && ssh_key.is_none() {
        return Err(report.add("git_repo", NO_SOURCE));
    }
    if repository.url.scheme() == Scheme::Ssh && ssh_key.is_none() {
        return Err(report.add("git_repo", "git_repo is an ssh address: it needs git_ssh_key_location"));
    }
    let commit = match commit? {
        Some(own) => Some(own),
        None => job.commit.clone()?,
    };
    Ok(CodeSource::Git(Box::new(GitSource {
        url: repository.url,
        ssh_url: repository.ssh_url.filter(|_| ssh_key.is_some()),
        folder: folder?.unwrap_or_default(),
        commit: commit.map(|commit| commit.as_str().to_owned()),
        token,
        ssh_key,
    })))
}

/// Why a text is not the place of an archive.
fn zip(location: &str) -> Result<(), &'static str> {
    if location.len() > MAX_LOCATION_BYTES || location.chars().any(char::is_control) {
        return Err("is longer than 4096 bytes or holds control characters");
    }
    if let Some(object) = location.strip_prefix("s3://") {
        let (bucket, key) = object.split_once('/').unwrap_or((object, ""));
        let legal = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        return if legal && !key.is_empty() { Ok(()) } else { Err("must read s3://BUCKET/KEY") };
    }
    if location.starts_with('/') {
        let escapes = location.split('/').any(|part| part == "..");
        return if escapes || location.ends_with('/') { Err("must be the absolute path of a file, without `..`") } else { Ok(()) };
    }
    let url = Url::parse(location).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some());
    match url {
        Some(url) if !url.username().is_empty() || url.password().is_some() => Err("must not carry a user or password"),
        Some(_) => Ok(()),
        None => Err("must read s3://BUCKET/KEY, https://HOST/PATH or be an absolute path"),
    }
}
