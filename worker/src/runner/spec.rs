//! What the worker asks of a runner: one command, its surroundings, its bounds and what to do when nobody is left to ask.
//!
//! Only data. It crosses a pipe between two processes of the same build (bincode) and is never stored. `Debug` of
//! everything here is safe to log: values of the environment and secrets are not shown.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::bounds::FamilyLimits;
use crate::attempt_log::DEFAULT_LIMIT_BYTES;
use crate::mask::MASK;

/// One command to run. Paths must be UTF-8.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct RunnerSpec {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Arguments without the program. Never a secret: argv is public on the machine.
    pub args: Vec<String>,
    /// The whole environment of the tool; nothing is inherited and nothing is added.
    pub env: Vec<(String, String)>,
    /// Working directory; must exist.
    pub cwd: PathBuf,
    pub mode: Mode,
    /// The attempt's log, appended to; see [`crate::attempt_log`].
    pub log: PathBuf,
    /// Length of the log file in bytes after which output is dropped.
    pub log_limit_bytes: u64,
    /// Secrets in the clear. The runner looks for all their written forms (see [`crate::mask`]).
    pub secrets: Vec<String>,
    pub limits: Limits,
    pub family: FamilyLimits,
    /// Time the tool may run before the runner stops it.
    pub deadline: Option<Duration>,
    /// What the log says when the deadline was the reason for the end.
    pub deadline_line: Option<String>,
    pub stop_by: StopBy,
    /// Time between a stop that the runner decided itself (deadline, [`OnOrphan::Interrupt`]; with
    /// [`StopBy::TerminateGroup`] every stop) and SIGKILL for everything. `None`: never; only a person may force a
    /// command with side effects.
    pub grace: Option<Duration>,
    pub on_orphan: OnOrphan,
    /// Where to leave the [`super::ExitRecord`], so that a worker started later can report a genuine result.
    pub exit_record: Option<PathBuf>,
}

impl RunnerSpec {
    /// A command on a terminal of 40 × 160 with default limits, without deadline, that outlives its worker.
    pub fn new(program: impl Into<PathBuf>, cwd: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.into(),
            mode: Mode::Pty { rows: 40, cols: 160 },
            log: log.into(),
            log_limit_bytes: DEFAULT_LIMIT_BYTES,
            secrets: Vec::new(),
            limits: Limits::default(),
            family: FamilyLimits::default(),
            deadline: None,
            deadline_line: None,
            stop_by: StopBy::InterruptTool,
            grace: None,
            on_orphan: OnOrphan::Finish,
            exit_record: None,
        }
    }
}

impl fmt::Debug for RunnerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &Names(&self.env))
            .field("cwd", &self.cwd)
            .field("mode", &self.mode)
            .field("log", &self.log)
            .field("secrets", &vec![MASK; self.secrets.len()])
            .field("limits", &self.limits)
            .field("family", &self.family)
            .field("deadline", &self.deadline)
            .field("stop_by", &self.stop_by)
            .field("grace", &self.grace)
            .field("on_orphan", &self.on_orphan)
            .finish_non_exhaustive()
    }
}

/// Shows the names of an environment and hides its values.
pub(super) struct Names<'a>(pub(super) &'a [(String, String)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, _)| (name, MASK))).finish()
    }
}

/// How the tool's output travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Mode {
    /// Output and errors go to a terminal of this size, and from there into the log. Input is empty: nobody answers.
    Pty { rows: u16, cols: u16 },
    /// For machine output: stdout is handed to the worker in [`super::RunnerEvent::Captured`], **unmasked**, and
    /// never stored; stderr goes into the log. Bytes of stdout beyond the limit are counted and dropped.
    Pipe { capture_limit_bytes: u64 },
    /// Output and errors go through one pipe into the log, in the order in which they were written: for tools that must
    /// not take themselves for watched by a person. If the runner is killed, the tool is killed with it; its children
    /// meet a closed pipe.
    Plain,
}

/// How a tool is asked to stop, whoever wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum StopBy {
    /// SIGINT to the tool process alone. What comes after a worker's wish is the worker's to say.
    InterruptTool,
    /// SIGTERM to the tool's whole process group, and after [`RunnerSpec::grace`] SIGKILL for everything.
    TerminateGroup,
}

/// What the kernel enforces for the tool and each of its children. Core dumps are always off: they hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Processes of the *user*, not of the job (`RLIMIT_NPROC`). Root is not bound by it.
    pub processes: Option<u64>,
    /// Address space of one process in bytes (`RLIMIT_AS`).
    pub address_space_bytes: Option<u64>,
    /// Greatest length of one written file in bytes (`RLIMIT_FSIZE`). Does not bind the log: the runner writes that.
    pub file_size_bytes: Option<u64>,
    /// Processor time of one process in seconds (`RLIMIT_CPU`).
    pub cpu_seconds: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_files: 65_536, processes: None, address_space_bytes: None, file_size_bytes: None, cpu_seconds: None }
    }
}

/// What the runner does when the worker's end of the control pipe closes: the worker died, or dropped its handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum OnOrphan {
    /// Let the tool finish: for commands with side effects.
    Finish,
    /// Interrupt the tool, wait for [`RunnerSpec::grace`], kill what is left.
    Interrupt,
}
