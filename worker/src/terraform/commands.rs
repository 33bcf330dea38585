//! How the steps here get commands run, words into the log and leave from the scheduler. The worker's loop implements it
//! over the runner; tests do with a plain process.

use crate::mask::MASK;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;

/// One command of the tool. The whole environment is here: nothing is inherited.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCommand {
    /// Absolute.
    pub program: PathBuf,
    /// Never a secret: argv is public on the machine.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    /// Whether it changes the world: such a command is never killed by the worker itself, and outlives it.
    pub effects: bool,
}

impl fmt::Debug for ToolCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| format!("{name}={MASK}")).collect();
        let mut shown = f.debug_struct("ToolCommand");
        shown.field("program", &self.program).field("args", &self.args).field("env", &names);
        shown.field("cwd", &self.cwd).field("effects", &self.effects).finish()
    }
}

/// How a command ended. Exactly one of `code` and `signal` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// A stop was asked for while it ran (cancel, time limit), and the tool was signalled for it.
    pub interrupted: bool,
}

/// A command whose output went to the attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    pub exit: Exit,
    /// The last 64 KiB (or more) of what *this* command wrote, as it stands in the log. What went wrong is read out of it.
    pub tail: Vec<u8>,
}

/// A command whose standard output was kept from the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Captured {
    pub exit: Exit,
    /// Not masked.
    pub stdout: Vec<u8>,
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("exit", &self.exit).field("stdout", &format_args!("{} bytes", self.stdout.len())).finish()
    }
}

/// Why there is no [`Exit`].
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("{} could not be started", .program.display())]
    NotStarted {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a stop was asked for before the command began")]
    Stopped,
    #[error("the command's output is larger than {limit} bytes")]
    TooMuch { limit: usize },
    #[error("the command was lost while it ran: {0}")]
    Lost(String),
}

/// The scheduler does not let the side effects begin. Final for this attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the side effects may not begin: {reason}")]
pub struct NoLeave {
    pub reason: String,
}

/// Runs one command of the tool to its end, and speaks for the attempt.
pub trait Commands {
    /// With output and errors to the attempt's log through a terminal. After a stop was asked for, nothing is started
    /// any more ([`CommandError::Stopped`]).
    fn stream(&mut self, command: ToolCommand) -> impl Future<Output = Result<Streamed, CommandError>> + Send;

    /// With standard output, at most `limit` bytes, into memory and nowhere else; errors go to the log.
    fn capture(&mut self, command: ToolCommand, limit: usize) -> impl Future<Output = Result<Captured, CommandError>> + Send;

    /// Writes one line of Navvy's own into the log.
    fn narrate(&mut self, line: &str) -> impl Future<Output = ()> + Send;

    /// The attempt enters a phase.
    fn phase(&mut self, phase: &str) -> impl Future<Output = ()> + Send;

    /// The last word before the world is changed.
    fn start_effects(&mut self) -> impl Future<Output = Result<(), NoLeave>> + Send;

    /// Takes every secret of the attempt out of a text.
    fn mask(&self, text: &str) -> String;
}
