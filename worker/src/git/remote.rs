//! Speaks with a git server: lists its references, fetches objects into a store.

use super::address::Endpoint;
use super::classify::{Subject, classify};
use super::command::{Ended, Invocation, Watch, git};
use super::login::{Login, TOKEN_USER, authority};
use super::redact::Redactor;
use super::resolve::{RemoteRef, parse_refs};
use super::store::Store;
use super::tags::Pushed;
use super::{GitError, Settings, Sink, Source};
use crate::file_lock::FileLock;
use proto::git::{CommitId, GitRef, Scheme};
use proto::terraform::GitAuth;
use std::ffi::OsString;
use tokio::process::Command;

/// A git release, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

/// `fetch --no-write-fetch-head` and friends.
const OLDEST: Version = Version(2, 30);
/// `http.curloptResolve`, which ties a name to the checked addresses.
const PINS: Version = Version(2, 37);

/// What to fetch.
pub(super) enum Want<'a> {
    /// One object, without history.
    Commit(&'a CommitId),
    /// All branches and tags with history, and one more reference if it lies elsewhere.
    Everything(Option<&'a GitRef>),
}

/// How a fetch by commit id ended, when git and the server understood each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    Done,
    /// The server does not have it.
    Absent,
    /// The server does not give objects by id: an old one, or one without protocol version 2.
    NotById,
}

/// A server whose address was checked.
pub(super) struct Remote<'a> {
    settings: &'a Settings,
    source: Source<'a>,
    endpoint: Endpoint,
    redactor: Redactor,
    address: String,
}

impl<'a> Remote<'a> {
    /// Checks the allow-list and the addresses behind the name. Nothing is sent yet.
    pub(super) async fn check(settings: &'a Settings, version: Version, source: Source<'a>) -> Result<Self, GitError> {
        let endpoint = Endpoint::check(source.url, &settings.allowed).await?;
        let too_old = |needed, why| GitError::GitTooOld { found: format!("{}.{}", version.0, version.1), needed, why };
        if version < OLDEST {
            return Err(too_old("2.37", "for Navvy"));
        }
        if version < PINS && endpoint.curl_pin(source.url.scheme()).is_some() {
            return Err(too_old("2.37", "to be tied to the checked address of an http or https server"));
        }
        let redactor = match source.auth {
            Some(GitAuth::Basic { username, password }) => Redactor::new(username, password.expose()),
            Some(GitAuth::Token { token }) => Redactor::new(TOKEN_USER, token.expose()),
            None | Some(GitAuth::Ssh { .. }) => Redactor::default(),
        };
        let address = address(source, &endpoint);
        Ok(Self { settings, source, endpoint, redactor, address })
    }

    pub(super) fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// Branches and tags with the commits they lead to; for a name outside of both, that one alone.
    /// Shows that the credentials may read the repository.
    pub(super) async fn list(&self, reference: &GitRef, sink: &mut Sink<'_>) -> Result<Vec<RemoteRef>, GitError> {
        let name = reference.as_str();
        let elsewhere =
            name == "HEAD" || (name.starts_with("refs/") && !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/"));
        let mut command = self.git();
        command.args(["ls-remote", "--quiet"]);
        if elsewhere {
            command.arg("--").arg(&self.address).arg(name);
        } else {
            command.args(["--heads", "--tags", "--"]).arg(&self.address);
        }
        let ended = self.run(command, "reading", None, sink).await?;
        if ended.success { Ok(parse_refs(&ended.stdout)) } else { Err(self.failure("reading", &ended.last)) }
    }

    /// Fetches into a store that exists. The caller holds `lock` for changing it.
    pub(super) async fn fetch(&self, store: &Store, want: &Want<'_>, lock: &FileLock, sink: &mut Sink<'_>) -> Result<Fetched, GitError> {
        let mut command = self.git();
        let mut directory = OsString::from("--git-dir=");
        directory.push(store.path());
        command.arg(directory);
        command.args(["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]);
        command.arg("--no-recurse-submodules");
        match want {
            Want::Commit(id) => {
                command.args(["--depth=1", "--"]).arg(&self.address);
                command.arg(format!("+{id}:refs/navvy/commits/{id}"));
            }
            Want::Everything(also) => {
                // Without it, a branch `a` that became `a/b` would be in its own way.
                command.args(["--prune", "--"]).arg(&self.address);
                command.args(["+refs/heads/*:refs/navvy/heads/*", "+refs/tags/*:refs/navvy/tags/*"]);
                if let Some(name) = also.map(GitRef::as_str).filter(|name| name.starts_with("refs/")) {
                    command.arg(format!("+{name}:refs/navvy/also/{}", name.trim_start_matches("refs/")));
                }
            }
        }
        command.stdin(lock.as_stdin().map_err(GitError::storage("share the lock of", store.path()))?);
        let watch =
            Watch { dir: store.packs(), max_bytes: self.settings.limits.max_bytes, what: format!("the repository {}", self.source.url) };
        let ended = self.run(command, "fetching", Some(watch), sink).await?;
        if ended.success {
            return Ok(Fetched::Done);
        }
        let says = |needle: &str| ended.last.iter().any(|line| line.contains(needle));
        if matches!(want, Want::Commit(_)) {
            if says("does not allow request for unadvertised") || says("not valid") || says("does not support shallow") {
                return Ok(Fetched::NotById);
            }
            if says("not our ref") {
                return Ok(Fetched::Absent);
            }
        }
        Err(self.failure("fetching", &ended.last))
    }

    /// Pushes one reference that the server must not have yet. The caller holds `lock` for changing the store.
    pub(super) async fn push(&self, store: &Store, refspec: &str, lock: &FileLock, sink: &mut Sink<'_>) -> Result<Pushed, GitError> {
        let mut command = self.git();
        let mut directory = OsString::from("--git-dir=");
        directory.push(store.path());
        command.arg(directory);
        command.args(["push", "--porcelain", "--no-verify", "--no-recurse-submodules", "--"]).arg(&self.address).arg(refspec);
        command.stdin(lock.as_stdin().map_err(GitError::storage("share the lock of", store.path()))?);
        let ended = self.run(command, "pushing", None, sink).await?;
        if ended.success {
            return Ok(Pushed::Made);
        }
        match refused(&String::from_utf8_lossy(&ended.stdout)) {
            Some(pushed) => Ok(pushed),
            None => Err(self.failure("pushing", &ended.last)),
        }
    }

    fn git(&self) -> Command {
        let scheme = self.source.url.scheme();
        let mut command = git(self.settings, Some(scheme));
        if let Some(pin) = self.endpoint.curl_pin(scheme) {
            command.args(["-c", &format!("http.curloptResolve={pin}")]);
        }
        if let Some(file) = &self.settings.ca_file {
            let mut setting = OsString::from("http.sslCAInfo=");
            setting.push(file);
            command.arg("-c").arg(setting);
        }
        command
    }

    async fn run(
        &self,
        mut command: Command,
        operation: &'static str,
        watch: Option<Watch>,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, GitError> {
        let fallback = self.settings.dir.join("private");
        // Lives as long as the command and no longer.
        let login = Login::prepare(self.source, &self.endpoint, &self.settings.askpass, &fallback)?;
        command.envs(login.env.iter().map(|(name, value)| (name, value)));
        let invocation = Invocation { command, operation, limit: self.settings.limits.timeout, watch };
        invocation.run(&self.redactor, sink).await
    }

    fn failure(&self, operation: &'static str, last: &[String]) -> GitError {
        let subject = Subject {
            operation,
            url: self.source.url.as_str(),
            host: &authority(&self.endpoint.host, self.source.url.port()),
            auth: self.source.auth.map(GitAuth::kind),
        };
        classify(&subject, last)
    }
}

/// What `git push --porcelain` says of a reference that was not taken: `!`, the reference, and the reason in brackets.
fn refused(output: &str) -> Option<Pushed> {
    let line = output.lines().find(|line| line.starts_with('!'))?;
    let why = line.rsplit('\t').next().unwrap_or_default().trim();
    // By git itself, which saw it in the server's list; by the server, to which somebody was faster.
    let exists = ["already exists", "failed to update ref", "cannot lock ref", "reference already exists", "stale info"];
    if exists.iter().any(|word| why.contains(word)) {
        return Some(Pushed::Exists);
    }
    Some(Pushed::Declined { why: why.chars().filter(|c| !c.is_control()).take(200).collect() })
}

/// The address for git's argv, put together from the checked parts: what was checked is what git reads.
fn address(source: Source<'_>, endpoint: &Endpoint) -> String {
    let url = source.url;
    let host = authority(&endpoint.host, url.port());
    match url.scheme() {
        Scheme::Http => format!("http://{host}{}", url.path()),
        Scheme::Https => format!("https://{host}{}", url.path()),
        // `user@host:path` is relative to the login's home directory, `ssh://` is not: they must not be mixed up.
        Scheme::Ssh if !url.as_str().contains("://") => url.as_str().to_owned(),
        Scheme::Ssh => match url.user() {
            Some(user) => format!("ssh://{user}@{host}{}", url.path()),
            None => format!("ssh://{host}{}", url.path()),
        },
    }
}
