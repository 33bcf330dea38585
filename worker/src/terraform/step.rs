//! The steps of a job as people see them, and how a step that did not end well is told.

use super::{
    commands::{CommandError, Streamed},
    diagnosis,
};
use proto::message::{Evidence, Failure};
use std::path::PathBuf;

/// One step of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Init,
    Plan,
    Apply,
    Destroy,
}

impl Step {
    /// The phase it happens in.
    pub(super) fn phase(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        }
    }

    /// How an error text begins. Users of the replaced runner look for these words; it knew no destroy of its own.
    fn prefix(self) -> &'static str {
        match self {
            Self::Init => "Init failed",
            Self::Plan => "Plan failed",
            Self::Apply => "Apply failed",
            Self::Destroy => "Destroy failed",
        }
    }

    /// A failure of this step. The kind defaults to the phase.
    pub(super) fn failure(self, kind: Option<&str>, why: &str, next_action: &str) -> Failure {
        Failure {
            kind: kind.unwrap_or(self.phase()).to_owned(),
            phase: self.phase().to_owned(),
            message: format!("{}: {why}", self.prefix()),
            next_action: next_action.to_owned(),
        }
    }

    pub(super) fn failed(self, kind: Option<&str>, why: &str, next_action: &str) -> Unfinished {
        Unfinished::Failed(self.failure(kind, why, next_action))
    }

    /// A command without side effects did not run to its end.
    pub(super) fn not_run(self, error: &CommandError) -> Unfinished {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        let why = format!("{error}{source}");
        match error {
            CommandError::Stopped => Unfinished::Stopped { clean: true },
            CommandError::NotStarted { .. } => {
                self.failed(Some("tool_broken"), &why, "Ask an operator to check the worker's tools with `navvy doctor`.")
            }
            CommandError::TooMuch { .. } => self.failed(None, &why, "Split the configuration into smaller ones."),
            CommandError::Lost(_) => self.failed(Some("runner_lost"), &why, "Nothing was changed. Run it again."),
        }
    }

    /// Whether a command without side effects did what it should.
    pub(super) fn check(self, tool: &str, ran: &Streamed, mask: impl Fn(&str) -> String) -> Result<(), Unfinished> {
        match (ran.exit.code, ran.exit.signal) {
            // Done is done, even if somebody wanted it stopped in the meantime.
            (Some(0), _) => Ok(()),
            (code, _) if ran.exit.interrupted => Err(Unfinished::Stopped { clean: code.is_some() }),
            (Some(code), _) => Err(Unfinished::Failed(diagnosis::read(&ran.tail, mask).failure(self, tool, code))),
            (None, signal) => {
                let why = format!("{tool} was killed{}", by_signal(signal));
                Err(self.failed(Some("killed"), &why, "The usual reason is too little memory: ask an operator to look at the worker."))
            }
        }
    }
}

/// ` by signal 9`, or nothing.
pub(super) fn by_signal(signal: Option<i32>) -> String {
    signal.map(|signal| format!(" by signal {signal}")).unwrap_or_default()
}

/// Why a job brought no result.
#[derive(Debug)]
pub enum Unfinished {
    /// It is known what was done, and it was not what was wanted.
    Failed(Failure),
    /// On request or at the time limit. `clean`: the tool had its time to save its state and to free its lock.
    Stopped { clean: bool },
    /// Leave was not given: nothing was changed.
    NotStarted { reason: String },
    /// Nobody can say what was done.
    Unclear(Box<Unclear>),
}

/// What is known when the outcome is not.
#[derive(Debug, Default)]
pub struct Unclear {
    pub evidence: Evidence,
    /// The state that could not be saved. The caller stores it, sealed, before it removes the checkout, and names the
    /// object in [`Evidence::errored_state`].
    pub errored_state: Option<PathBuf>,
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terraform::Exit;

    #[test]
    fn a_command_without_side_effects_is_done_failed_stopped_or_killed() {
        for (code, signal, interrupted, expected) in [
            (Some(0), None, false, "done"),
            (Some(0), None, true, "done"),
            (Some(1), None, false, "failed plan"),
            (Some(1), None, true, "stopped clean: true"),
            (None, Some(9), true, "stopped clean: false"),
            (None, Some(9), false, "failed killed"),
        ] {
            let ran = Streamed { exit: Exit { code, signal, interrupted }, tail: b"boom".to_vec() };
            let found = match Step::Plan.check("terraform", &ran, str::to_owned) {
                Ok(()) => "done".to_owned(),
                Err(Unfinished::Failed(failure)) => format!("failed {}", failure.kind),
                Err(Unfinished::Stopped { clean }) => format!("stopped clean: {clean}"),
                Err(other) => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{:?}", ran.exit);
        }
    }
}
