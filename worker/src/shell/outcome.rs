//! What the end of an order means. The same judgement whether its worker watched it or found its exit record later.
//!
//! An order that was killed is over like one that failed: every process of it is gone, and it holds no lock of its own.
//! Only where that cannot be said (a process withstood SIGKILL, the runner was lost) nobody knows what it still does.

use super::Progress;
use crate::runner::{self, Exit, OverLimit, Resource};
use proto::{
    message::{AttemptOutcome, Evidence, Failure, JobResult},
    orders::OrderResult,
};
use std::path::Path;

/// What of a runner's exit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    pub interrupted: bool,
    pub leftovers: u32,
    pub over: Option<OverLimit>,
}

impl From<&Exit> for End {
    fn from(exit: &Exit) -> Self {
        let Exit { code, signal, timed_out, interrupted, leftovers, over, .. } = *exit;
        Self { code, signal, timed_out, interrupted, leftovers, over }
    }
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded {
        commands: u32,
    },
    Failed(Failure),
    /// On request or at its time limit; nothing of it runs any more.
    Stopped {
        timed_out: bool,
    },
    /// No command was run.
    NotStarted {
        reason: String,
    },
    /// Something of it may still run.
    Unclear(Evidence),
}

impl Outcome {
    /// The outcome of the attempt; `result` makes of the order's result the job's.
    pub fn of_attempt(self, result: impl FnOnce(OrderResult) -> JobResult) -> AttemptOutcome {
        match self {
            Self::Succeeded { commands } => AttemptOutcome::Succeeded { result: result(OrderResult { commands }) },
            Self::Failed(failure) => AttemptOutcome::Failed { failure },
            Self::Stopped { timed_out } => AttemptOutcome::Stopped { clean: true, timed_out },
            Self::NotStarted { reason } => AttemptOutcome::NotStarted { reason },
            Self::Unclear(evidence) => AttemptOutcome::Unclear { evidence },
        }
    }
}

/// What an end means that `progress` was made before.
pub fn judge(end: &End, progress: Progress, phase: &str) -> Outcome {
    if end.leftovers > 0 {
        return Outcome::Unclear(unclear(&format!("{} processes of the order withstand SIGKILL and may go on", end.leftovers)));
    }
    let failed = |kind: &str, message: String, next_action: &str| {
        Outcome::Failed(Failure { kind: kind.to_owned(), phase: phase.to_owned(), message, next_action: next_action.to_owned() })
    };
    match (end.code, end.over) {
        // Done is done, even if somebody wanted it stopped in the meantime.
        (Some(0), _) => Outcome::Succeeded { commands: progress.of },
        (_, Some(over)) => {
            let (kind, next_action) = over_words(over.resource);
            failed(kind, format!("{} was killed: {over}", place(progress)), next_action)
        }
        _ if end.interrupted => Outcome::Stopped { timed_out: end.timed_out },
        (Some(code), None) if progress.command > 0 && !progress.ended => failed(
            "not_started",
            format!("{} could not be started: the shell ended with exit code {code}", place(progress)),
            "Look at the last lines of the log; the limit of processes may be reached.",
        ),
        (Some(code), None) => {
            let signal = (129..=192).contains(&code).then(|| format!(", which a shell gives for signal {}", code - 128));
            let message = format!("{} ended with exit code {code}{}", place(progress), signal.unwrap_or_default());
            failed("exit_code", message, "Look at the order's log: the last lines before `Exit code` say why.")
        }
        (None, None) => {
            let signal = end.signal.map(|signal| format!(" by signal {signal}")).unwrap_or_default();
            let next_action = "Nobody of the fleet did that: the machine may be out of memory, or a command killed its own shell.";
            failed("killed", format!("{} was killed{signal}", place(progress)), next_action)
        }
    }
}

/// What an order's exit record says, for a worker that was not there: the order goes on without its worker, and its
/// `scratch` still tells how far it came. Its secrets died with the worker, so its events are not told: nothing could
/// mask them any more.
pub fn judge_unwatched(recorded: &runner::Outcome, scratch: &Path, phase: &str) -> Outcome {
    match recorded {
        runner::Outcome::Exited { code, signal, timed_out, interrupted, leftovers, over, log_len: _ } => {
            let (code, signal, timed_out, interrupted) = (*code, *signal, *timed_out, *interrupted);
            let end = End { code, signal, timed_out, interrupted, leftovers: *leftovers, over: *over };
            judge(&end, Progress::read(scratch), phase)
        }
        runner::Outcome::NotStarted { reason } => not_started(reason, phase),
    }
}

/// The order's shell could not be started at all.
pub(super) fn not_started(reason: &str, phase: &str) -> Outcome {
    Outcome::Failed(Failure {
        kind: "not_started".to_owned(),
        phase: phase.to_owned(),
        message: format!("no command was run: {reason}"),
        next_action: "Ask an operator to check this worker; nothing was changed, so the order may be submitted again.".to_owned(),
    })
}

pub(super) fn unclear(seen: &str) -> Evidence {
    let check = vec!["The last lines of the log: which commands were run, and what the last one still does.".to_owned()];
    Evidence { seen: seen.to_owned(), check, ..Evidence::default() }
}

fn place(progress: Progress) -> String {
    match progress.command {
        0 => "the order".to_owned(),
        command => format!("command {command} of {}", progress.of),
    }
}

fn over_words(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Memory => ("out_of_memory", "Use less memory, or ask an operator to raise worker.limits.memory_bytes."),
        Resource::Processes => ("too_many_processes", "Start fewer at a time, or ask an operator to raise worker.limits.processes."),
        Resource::Processor => ("processor_time", "Do less in one order, or ask an operator to raise worker.limits.processor_time."),
        Resource::Disk => ("disk_full", "Write less, or ask an operator to raise worker.limits.disk_bytes."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: OverLimit = OverLimit { resource: Resource::Memory, used: 220_200_960, limit: 209_715_200 };

    fn end(code: Option<i32>) -> End {
        let signal = if code.is_none() { Some(9) } else { None };
        End { code, signal, timed_out: false, interrupted: false, leftovers: 0, over: None }
    }

    #[test]
    fn every_end_has_one_meaning() {
        let at = |command, ended| Progress { command, ended, of: 3 };
        let stopped = |timed_out, code| End { interrupted: true, timed_out, ..end(code) };
        let over = |code| End { over: Some(MEMORY), ..end(code) };
        let table = [
            (end(Some(0)), at(3, true), "succeeded 3"),
            (stopped(true, Some(0)), at(3, true), "succeeded 3"),
            (over(Some(0)), at(3, true), "succeeded 3"),
            (end(Some(7)), at(2, true), "exit_code: command 2 of 3 ended with exit code 7"),
            (end(Some(137)), at(1, true), "exit_code: command 1 of 3 ended with exit code 137, which a shell gives for signal 9"),
            (end(Some(2)), at(2, false), "not_started: command 2 of 3 could not be started: the shell ended with exit code 2"),
            (end(Some(2)), at(0, false), "exit_code: the order ended with exit code 2"),
            (end(None), at(2, false), "killed: command 2 of 3 was killed by signal 9"),
            (over(None), at(2, false), "out_of_memory: command 2 of 3 was killed: out of memory, used 210 MiB of 200 MiB"),
            (over(Some(137)), at(2, true), "out_of_memory: command 2 of 3 was killed: out of memory, used 210 MiB of 200 MiB"),
            (stopped(true, None), at(2, false), "stopped, timed out: true"),
            (stopped(false, Some(143)), at(2, true), "stopped, timed out: false"),
            (End { leftovers: 2, ..end(Some(0)) }, at(3, true), "unclear: 2 processes of the order withstand SIGKILL and may go on"),
        ];
        for (end, progress, expected) in table {
            let found = match judge(&end, progress, "running") {
                Outcome::Succeeded { commands } => format!("succeeded {commands}"),
                Outcome::Failed(failure) => {
                    assert!(failure.phase == "running" && !failure.next_action.is_empty(), "{failure:?}");
                    format!("{}: {}", failure.kind, failure.message)
                }
                Outcome::Stopped { timed_out } => format!("stopped, timed out: {timed_out}"),
                Outcome::NotStarted { reason } => reason,
                Outcome::Unclear(evidence) => format!("unclear: {}", evidence.seen),
            };
            assert_eq!(found, expected, "{end:?}");
        }
    }
}
