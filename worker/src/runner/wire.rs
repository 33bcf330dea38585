//! What worker and runner say to each other over the runner's stdin and stdout: control messages one way, events the other.
//!
//! Both ends are the same build, so the layout (bincode) needs no versions; see `frames` for the framing.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::bounds::OverLimit;

/// What the worker may ask of a running tool. Each is idempotent: a message that arrives twice does no more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Control {
    /// SIGINT to the tool process alone, once: terraform takes a second one as an order to drop everything. With
    /// [`super::StopBy::TerminateGroup`] SIGTERM to its group, and the grace begins.
    Interrupt,
    /// SIGTERM to the tool process alone, once. With [`super::StopBy::TerminateGroup`] the same as `Interrupt`.
    Terminate,
    /// SIGKILL to the tool, its process group and every descendant. Loses what the tool had not saved.
    Kill,
}

/// What the runner reports. The last one is always [`RunnerEvent::Exited`] or [`RunnerEvent::Failed`].
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum RunnerEvent {
    /// The tool's program runs (exec has succeeded).
    Started { pid: u32 },
    /// The log file has grown to this many bytes. Comes at most every 10 ms, the last one with the exit.
    Output { log_len: u64 },
    /// The next bytes of captured stdout. **Not masked.**
    Captured { bytes: Vec<u8> },
    /// A signal went out to the tool.
    Signalled { signal: i32, cause: StopCause },
    /// The tool has ended and so has every process it started (see [`Exit::leftovers`]).
    Exited(Exit),
    /// The tool never ran: no side effect can have happened.
    Failed(StartFailure),
}

impl fmt::Debug for RunnerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid } => write!(f, "Started {{ pid: {pid} }}"),
            Self::Output { log_len } => write!(f, "Output {{ log_len: {log_len} }}"),
            Self::Captured { bytes } => write!(f, "Captured {{ {} bytes }}", bytes.len()),
            Self::Signalled { signal, cause } => {
                write!(f, "Signalled {{ signal: {signal}, cause: {cause:?} }}")
            }
            Self::Exited(exit) => exit.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Who wanted the tool stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum StopCause {
    /// A [`Control`] message of the worker.
    Asked,
    /// [`super::RunnerSpec::deadline`] has passed.
    Deadline,
    /// The worker is gone and the spec says [`super::OnOrphan::Interrupt`].
    Orphaned,
    /// [`super::RunnerSpec::grace`] has passed after one of those above.
    GraceOver,
    /// The family went beyond one of [`super::RunnerSpec::family`].
    OverLimit,
}

/// How the tool ended. Exactly one of `code` and `signal` is set.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The deadline passed and the runner interrupted the tool for it.
    pub timed_out: bool,
    /// A signal of the stop ladder was sent, whoever asked for it.
    pub interrupted: bool,
    /// Final length of the log file in bytes.
    pub log_len: u64,
    /// Bytes of output that are not in the log because of its limit or the disk.
    pub log_dropped: u64,
    /// Bytes of stdout beyond the capture limit. If not 0 the captured output is useless as a document.
    pub captured_dropped: u64,
    /// Processes of the tool that even SIGKILL did not end in time. If not 0 the lock must not be released (I16).
    pub leftovers: u32,
    /// Why the runner killed everything, or the kernel something, for using too much.
    pub over: Option<OverLimit>,
    pub usage: Usage,
}

/// What the tool and its children used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Usage {
    /// Resident memory of the largest process at its peak, in bytes.
    pub max_rss_bytes: u64,
    pub user: Duration,
    pub system: Duration,
}

/// Why the tool could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StartFailure {
    pub step: StartStep,
    /// The program, folder or file that the step was about.
    pub path: PathBuf,
    /// The system's error number; 0 if the step has none.
    pub errno: i32,
    /// More than the error number tells; may be empty.
    pub detail: String,
}

/// The step on which a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum StartStep {
    CompileSecrets,
    OpenLog,
    OpenTerminal,
    SpawnLauncher,
    SetLimits,
    EnterFolder,
    Execute,
}

impl StartFailure {
    pub(super) fn io(step: StartStep, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        let detail = if error.raw_os_error().is_some() { String::new() } else { error.to_string() };
        Self { step, path: path.into(), errno: error.raw_os_error().unwrap_or(0), detail }
    }

    /// True if the program itself is not there (ENOENT).
    pub fn is_missing_program(&self) -> bool {
        self.step == StartStep::Execute && self.errno == nix::libc::ENOENT && self.detail.is_empty()
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.step {
            StartStep::CompileSecrets => "compile the secrets to mask for",
            StartStep::OpenLog => "open the attempt's log",
            StartStep::OpenTerminal => "open a terminal for",
            StartStep::SpawnLauncher => "start the launcher of",
            StartStep::SetLimits => "set the limits of",
            StartStep::EnterFolder => "enter the working folder",
            StartStep::Execute => "execute",
        };
        write!(f, "cannot {doing} {}", self.path.display())?;
        if self.errno != 0 {
            write!(f, ": {}", io::Error::from_raw_os_error(self.errno))?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for StartFailure {}
