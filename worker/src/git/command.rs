//! Runs one git command: own argv, empty environment, own process group, bounded in time and in bytes.
//!
//! Nothing of the worker's environment and no configuration file reaches git. A command whose future is dropped is
//! killed with everything it started.

use super::lines::Lines;
use super::redact::Redactor;
use super::{GitError, Settings, Sink};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proto::git::Scheme;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

/// Longest standard output that is kept: the reference list of a very large repository.
const MOST_OUTPUT: usize = 64 << 20;
/// How long a killed command is waited for.
const DYING: Duration = Duration::from_secs(10);
const LOOK_AT_SIZE_EVERY: Duration = Duration::from_millis(200);

/// Settings for every command. Each one closes a door: hooks, credential helpers, redirects, background maintenance,
/// downloads from places that the server names (bundle and packfile URIs), submodules. Three kinds of harmless old
/// objects, which most servers hold somewhere, do not fail the check of received objects.
const CONFIG: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "http.followRedirects=false",
    "http.proxy=",
    "fetch.fsckObjects=true",
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "fetch.unpackLimit=1",
    "fetch.uriProtocols=",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
    "protocol.version=2",
    "protocol.ext.allow=never",
    "protocol.file.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "init.defaultBranch=main",
    "advice.detachedHead=false",
];

/// Stops a command whose files grow too much.
pub(super) struct Watch {
    /// Directory without subdirectories.
    pub(super) dir: PathBuf,
    pub(super) max_bytes: u64,
    /// What is named in the error.
    pub(super) what: String,
}

/// One command.
pub(super) struct Invocation {
    pub(super) command: Command,
    /// What it does, for an error text: `reading`, `fetching`.
    pub(super) operation: &'static str,
    pub(super) limit: Duration,
    pub(super) watch: Option<Watch>,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    /// The last lines of standard error, redacted.
    pub(super) last: Vec<String>,
}

/// git with our settings and environment; may speak `scheme` and nothing else.
pub(super) fn git(settings: &Settings, scheme: Option<Scheme>) -> Command {
    let home = settings.dir.join("home");
    let protocol = match scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
        Some(Scheme::Ssh) => "ssh",
        None => "",
    };
    let mut command = Command::new(&settings.program);
    command
        .env_clear()
        .env("PATH", &settings.search_path)
        .env("HOME", &home)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", protocol)
        .env("GIT_ASKPASS", "")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for setting in CONFIG {
        command.args(["-c", setting]);
    }
    command
}

/// Kills the process group of a command that is still running when this is dropped.
struct Group(Option<Pid>);

impl Group {
    /// Only before the leader has been waited for: afterwards its number may belong to somebody else.
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Invocation {
    /// Runs to the end. Lines of standard error go to `sink` as they come.
    ///
    /// # Errors
    /// The program cannot be started, takes too long, or writes too much. A failed exit is not an error here.
    pub(super) async fn run(mut self, redactor: &Redactor, sink: &mut Sink<'_>) -> Result<Ended, GitError> {
        let mut child = self.command.spawn().map_err(|source| self.not_started(source))?;
        // Declared after the child: on an early end the group is killed first, then its leader is collected.
        let mut group = Group(child.id().map(|id| Pid::from_raw(id as i32)));
        let mut lines = Lines::new(redactor);
        let deadline = Instant::now() + self.limit;
        let result = self.follow(&mut child, deadline, &mut lines, sink).await;
        if result.is_err() {
            group.kill();
            let _ = tokio::time::timeout(DYING, child.wait()).await;
        }
        let stdout = result?;
        // Both outputs are at their end, so every process that held them is gone or has let go of them.
        let status = tokio::time::timeout_at(deadline, child.wait())
            .await
            .map_err(|_| self.timed_out())?
            .map_err(GitError::storage("wait for", std::path::Path::new("git")))?;
        group.0 = None;
        Ok(Ended { success: status.success(), stdout, last: lines.into_last(sink) })
    }

    async fn follow(&self, child: &mut Child, deadline: Instant, lines: &mut Lines<'_>, sink: &mut Sink<'_>) -> Result<Vec<u8>, GitError> {
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let (mut out_open, mut err_open) = (true, true);
        let mut output = Vec::new();
        let (mut out_bytes, mut err_bytes) = (vec![0; 16 << 10], vec![0; 4 << 10]);
        let mut look = tokio::time::interval(LOOK_AT_SIZE_EVERY);
        let unreadable = |source| GitError::storage("read the output of", std::path::Path::new("git"))(source);
        while out_open || err_open {
            tokio::select! {
                got = stdout.read(&mut out_bytes), if out_open => {
                    let got = got.map_err(unreadable)?;
                    out_open = got > 0;
                    output.extend_from_slice(out_bytes.get(..got).unwrap_or_default());
                    if output.len() > MOST_OUTPUT {
                        return Err(too_large("the list of references", MOST_OUTPUT as u64));
                    }
                }
                got = stderr.read(&mut err_bytes), if err_open => {
                    let got = got.map_err(unreadable)?;
                    err_open = got > 0;
                    lines.feed(err_bytes.get(..got).unwrap_or_default(), sink);
                }
                _ = look.tick(), if self.watch.is_some() => self.look_at_size()?,
                () = sleep_until(deadline) => return Err(self.timed_out()),
            }
        }
        self.look_at_size()?;
        Ok(output)
    }

    fn look_at_size(&self) -> Result<(), GitError> {
        match &self.watch {
            Some(watch) if files_bytes(&watch.dir) > watch.max_bytes => Err(too_large(&watch.what, watch.max_bytes)),
            _ => Ok(()),
        }
    }

    fn not_started(&self, source: std::io::Error) -> GitError {
        let program = self.command.as_std().get_program();
        match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                GitError::GitMissing { program: program.to_string_lossy().into_owned(), source }
            }
            _ => GitError::storage("start", std::path::Path::new(program))(source),
        }
    }

    fn timed_out(&self) -> GitError {
        GitError::TimedOut { operation: self.operation, seconds: self.limit.as_secs() }
    }
}

/// `what` and its limit in words.
pub(super) fn too_large(what: &str, limit: u64) -> GitError {
    let limit = if limit >= 1 << 20 { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
    GitError::TooLarge { what: what.to_owned(), limit }
}

/// Bytes of the files in one directory; 0 when it cannot be read, which is so before git has made it.
fn files_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
