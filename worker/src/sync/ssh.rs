//! Hosts that services are deployed to, over the system's SSH: with our key and no other, to a host whose key is known and no
//! other, without a question to anybody.

use super::{
    floor::{Floor, Pressing},
    lines::{Line, Lines},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use service::settings;
use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt as _,
    process::{ChildStderr, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    time::Instant,
};

/// What ssh ends with when it is ssh that failed.
const SSH_FAILED: i32 = 255;
/// Most bytes of an answer that are kept.
const MAX_ANSWER: usize = 1 << 20;
/// How often somebody who wants it killed is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    port: Option<u16>,
    user: String,
    key_file: PathBuf,
    known_hosts_file: PathBuf,
    search_path: String,
}

/// Why there is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHost {
    #[error("the operator of this worker names no hosts (worker.sync.ssh_hosts)")]
    NotSetUp,
    #[error("the host `{0}` is none that the operator of this worker allows (worker.sync.ssh_hosts)")]
    NotAllowed(String),
    #[error("{0}")]
    Key(String),
}

/// How a command on a host ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    /// What it wrote, if that was asked for.
    pub(super) answer: Vec<u8>,
    /// Its last words.
    pub(super) last: String,
}

/// Why it is not known how a command ended, or whether it was begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    #[error("ssh cannot be started: {0}")]
    NotStarted(std::io::Error),
    #[error("ssh to {host} failed: {last}")]
    Failed { host: String, last: String },
    #[error("ssh to {host} took longer than {} s", .limit.as_secs())]
    TimedOut { host: String, limit: Duration },
    #[error("the attempt had to end before it was over")]
    Pressed,
}

/// What a command reads.
pub(super) enum Input<'a> {
    Bytes(&'a [u8]),
    /// Piece after piece, until nobody sends any more.
    Pieces(mpsc::Receiver<Vec<u8>>),
}

impl Input<'_> {
    /// One that does not want it all says so by its end.
    async fn give(self, stdin: &mut ChildStdin) -> std::io::Result<()> {
        match self {
            Self::Bytes(bytes) => stdin.write_all(bytes).await,
            Self::Pieces(mut pieces) => {
                while let Some(piece) = pieces.recv().await {
                    stdin.write_all(&piece).await?;
                }
                Ok(())
            }
        }
    }
}

/// A command for a host.
pub(super) struct Remote<'a> {
    /// For the host's shell.
    pub(super) script: &'a str,
    pub(super) input: Input<'a>,
    pub(super) limit: Duration,
    /// Keep what it writes, instead of showing it.
    pub(super) keep: bool,
}

impl Host {
    /// The host that a service names, or the first of those that the operator allows.
    ///
    /// # Errors
    /// Says what the operator has to do.
    pub fn of(settings: &settings::WorkerSync, named: Option<&str>, search_path: &str) -> Result<Self, NoHost> {
        let first = settings.ssh_hosts.first().ok_or(NoHost::NotSetUp)?;
        let host = named.unwrap_or(first);
        if !settings.ssh_hosts.iter().any(|allowed| allowed == host) {
            return Err(NoHost::NotAllowed(host.chars().take(80).flat_map(char::escape_debug).collect()));
        }
        let (Some(key_file), Some(known_hosts_file)) = (&settings.ssh_key_file, &settings.ssh_known_hosts_file) else {
            return Err(NoHost::NotSetUp);
        };
        private(key_file).map_err(NoHost::Key)?;
        let (name, port) = split(host);
        Ok(Self {
            name,
            port,
            user: settings.ssh_user.clone(),
            key_file: absolute(key_file),
            known_hosts_file: absolute(known_hosts_file),
            search_path: search_path.to_owned(),
        })
    }

    /// The host's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command on the host to its end, and shows what it writes.
    pub(super) async fn run(&self, floor: &mut impl Floor, remote: Remote<'_>) -> Result<Ran, SshError> {
        let mut child = self.command(remote.script).spawn().map_err(SshError::NotStarted)?;
        let group = Group(child.id().map(|id| Pid::from_raw(id as i32)));
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(SshError::NotStarted(std::io::ErrorKind::BrokenPipe.into()));
        };
        let input = async move {
            let _ = remote.input.give(&mut stdin).await;
            drop(stdin);
            Ok(())
        };
        let deadline = Instant::now() + remote.limit;
        let timed_out = || SshError::TimedOut { host: self.name.clone(), limit: remote.limit };
        let both = async { tokio::try_join!(follow(floor, stdout, stderr, remote.keep), input) };
        let (Written { answer, last, last_error }, ()) = tokio::time::timeout_at(deadline, both).await.map_err(|_| timed_out())??;
        let status = tokio::time::timeout_at(deadline, child.wait()).await.map_err(|_| timed_out())?.map_err(SshError::NotStarted)?;
        group.over();
        // What stands in the two outputs comes in no order; why something failed is said in the second.
        let last = if last_error.is_empty() { last } else { last_error };
        match status.code() {
            Some(SSH_FAILED) | None => Err(SshError::Failed { host: self.name.clone(), last }),
            Some(code) => Ok(Ran { code, answer, last }),
        }
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("ssh");
        let option = |name: &str, path: &Path| format!("{name}=\"{}\"", path.display().to_string().replace('%', "%%"));
        command
            .env_clear()
            .env("PATH", &self.search_path)
            .env("LC_ALL", "C")
            .args(["-F", "none", "-T", "-x", "-a"])
            .args(OPTIONS.iter().flat_map(|option| ["-o", *option]))
            .args(["-o", &option("UserKnownHostsFile", &self.known_hosts_file), "-o", &option("IdentityFile", &self.key_file)])
            .args(self.port.map(|port| format!("-p{port}")))
            .args(["-l", &self.user, "--", &self.name, script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

const OPTIONS: &[&str] = &[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
];

/// Kills the process group of an ssh that is still running when this is dropped.
struct Group(Option<Pid>);

impl Group {
    /// Its leader has been waited for: the number may belong to somebody else by now.
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// What a command wrote.
#[derive(Default)]
struct Written {
    /// Of the output, if it is kept.
    answer: Vec<u8>,
    last: String,
    last_error: String,
}

/// Reads both outputs to their end, unless somebody wants an end before.
async fn follow(floor: &mut impl Floor, stdout: ChildStdout, stderr: ChildStderr, keep: bool) -> Result<Written, SshError> {
    let (mut output, mut errors) = (Lines::new(stdout, keep), Lines::new(stderr, false));
    let mut written = Written::default();
    let (mut out_open, mut err_open) = (true, true);
    let mut look = tokio::time::interval(LOOK_EVERY);
    while out_open || err_open {
        tokio::select! {
            line = output.next(), if out_open => match line {
                Ok(Some(piece)) if keep => {
                    let room = MAX_ANSWER.saturating_sub(written.answer.len());
                    written.answer.extend(piece.bytes.into_iter().take(room));
                }
                Ok(Some(line)) => show(floor, line, &mut written.last),
                Ok(None) | Err(_) => out_open = false,
            },
            line = errors.next(), if err_open => match line {
                Ok(Some(line)) => show(floor, line, &mut written.last_error),
                Ok(None) | Err(_) => err_open = false,
            },
            _ = look.tick() => {
                if let Pressing::Kill { .. } | Pressing::Stop { timed_out: true } = floor.pressing() {
                    return Err(SshError::Pressed);
                }
            }
        }
    }
    Ok(written)
}

fn show(floor: &mut impl Floor, line: Line, last: &mut String) {
    let line = line.shown(floor);
    if !line.is_empty() {
        floor.narrate(&line);
        *last = line;
    }
}

/// A text as one word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `host`, `host:port` or `[address]:port`.
fn split(host: &str) -> (String, Option<u16>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if name.ends_with(']') || !name.contains(':') => (name, port.parse().ok()),
        Some(_) | None => (host, None),
    };
    (name.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

fn private(file: &Path) -> Result<(), String> {
    let about = file.metadata().map_err(|error| format!("the worker's SSH key {} cannot be read: {error}", file.display()))?;
    let open = about.mode() & 0o077 != 0;
    if open { Err(format!("the worker's SSH key {} may be read by others: make its mode 0600", file.display())) } else { Ok(()) }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
