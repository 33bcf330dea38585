//! The words for statuses, and what a person could do next. Shared by all pictures.

use proto::view::RunStatus;

use super::style::Ink;

/// The ink of a run's status.
pub(crate) fn status_ink(status: RunStatus) -> Ink {
    match status {
        RunStatus::Running => Ink::Strong,
        RunStatus::Success => Ink::Good,
        RunStatus::AwaitingApproval | RunStatus::Unknown => Ink::Warn,
        RunStatus::Failed => Ink::Bad,
        RunStatus::Cancelled => Ink::Dim,
    }
}

/// The ink of a job's or attempt's status word.
pub(crate) fn job_ink(status: &str) -> Ink {
    match status {
        "running" => Ink::Strong,
        "succeeded" => Ink::Good,
        "failed" | "lost" => Ink::Bad,
        "waiting" | "unknown" | "unclear" => Ink::Warn,
        "blocked" | "skipped" | "cancelled" => Ink::Dim,
        _ => Ink::Plain,
    }
}

/// What a person can do about a run of this status, or nothing.
pub(crate) fn next_step(status: RunStatus, run: &str) -> Option<String> {
    match status {
        RunStatus::AwaitingApproval => Some(format!("navvy approve {run}   or   navvy reject {run}")),
        RunStatus::Unknown => Some(format!(
            "look at the real infrastructure, then: navvy run resolve {run} --as succeeded|failed --reason TEXT"
        )),
        RunStatus::Running => Some(format!("navvy logs -f {run}")),
        RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled => None,
    }
}
