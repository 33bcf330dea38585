//! Running one tool: a child process of our own binary, one per command, stands between the worker and the tool.
//!
//! ```text
//! worker ── spec, control ──▶ runner ── launch spec ──▶ launcher ══ exec ══▶ terraform
//!        ◀──── events ──────         ◀── terminal or pipes ────────────────────┘
//! ```
//! The *worker's* side is [`Runner`] (`parent`). The *runner* (`child`) opens the terminal, filters and masks the
//! output into the attempt's log, carries signals, outlives the worker, and ends every process the tool left behind
//! before it reports the exit (I16); where limits are given it holds the tool and all it started to them. The *launcher* (`launch`) is the same binary once more, between fork and exec: it
//! makes the session, sets limits and reports exactly why an exec failed, which no pre-exec hook of a library does.
//! Not here: what to run and why (the action), sending the log on, sealing or unsealing secrets.

mod ansi;
mod bounds;
mod cgroup;
mod child;
mod contain;
mod exit_record;
mod family;
mod feeds;
mod frames;
mod launch;
mod lines;
mod output;
mod parent;
mod reporter;
mod running;
mod spec;
mod stop;
mod tool;
mod wire;

pub use ansi::TerminalFilter;
pub use bounds::{FamilyLimits, OverLimit, Resource};
pub use exit_record::{ExitRecord, ExitRecordError, Outcome};
pub use lines::{LONGEST_LINE, LineBound, SPLIT_MARK};
pub use parent::{Runner, RunnerError, RunnerExe};
pub use spec::{Limits, Mode, OnOrphan, RunnerSpec, StopBy};
pub use wire::{Control, Exit, RunnerEvent, StartFailure, StartStep, StopCause, Usage};

/// The subcommand under which a binary must call [`main`] before it reads its arguments or starts a thread.
pub const SUBCOMMAND: &str = "runner";

/// Added to a runner's own arguments for the launcher.
const LAUNCH: &str = "launch";

/// The whole life of a runner or launcher process; the spec comes on stdin. Exits 0 once its report is delivered or
/// nobody is left to take it, 2 if it was started by hand without a spec.
pub fn main() -> std::process::ExitCode {
    if std::env::args_os().next_back().is_some_and(|last| last == LAUNCH) { launch::main() } else { child::main() }
}
