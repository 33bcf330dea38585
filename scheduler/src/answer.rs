//! What the scheduler says to a person about a command: what is so, why, and what to do. The one place for these words.

use crate::turn::Outcome;
use domain::run::Refusal;
use proto::{message::CommandAnswer, view::RunStatus};

/// The answer to a command.
pub(crate) fn to_command(outcome: &Outcome) -> CommandAnswer {
    match outcome {
        Outcome::Decided => CommandAnswer::Done,
        Outcome::Refused { refusal: Refusal::AlreadySo, .. } => CommandAnswer::AlreadySo,
        Outcome::Refused { refusal, status } => CommandAnswer::Refused {
            code: refusal.code().to_owned(),
            message: message(refusal, *status),
            status: status.as_str().to_owned(),
        },
        Outcome::NoSuchRun => {
            CommandAnswer::Refused { code: "not_found".to_owned(), message: "there is no such run".to_owned(), status: String::new() }
        }
    }
}

fn message(refusal: &Refusal, status: RunStatus) -> String {
    match refusal {
        Refusal::WrongState(_) => match status {
            RunStatus::Running => "the run is running: nothing waits for an approval".to_owned(),
            RunStatus::AwaitingApproval => "the run waits for an approval".to_owned(),
            RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut => {
                format!("the run is over: {}", status.as_str())
            }
            RunStatus::Unknown => {
                "the outcome of the run is unknown: find out what was done, then settle it with `navvy run resolve`".to_owned()
            }
        },
        Refusal::ApprovalExpired => "the approval expired: submit the request again".to_owned(),
        Refusal::PlanChanged => "another plan is waiting than the one you approved: look at the plan again".to_owned(),
        Refusal::NoSuchJob
        | Refusal::StaleAttempt { .. }
        | Refusal::AttemptOver
        | Refusal::NotYours
        | Refusal::NotPermitted
        | Refusal::TooSoon
        | Refusal::AlreadyPermitted
        | Refusal::NotQueued
        | Refusal::Cancelling
        | Refusal::LocksNotHeld
        | Refusal::NoEffects
        | Refusal::NotWaitingForLocks
        | Refusal::AlreadySo
        | Refusal::OtherCommit
        | Refusal::NotNewer
        | Refusal::NothingDue => refusal.to_string(),
    }
}
