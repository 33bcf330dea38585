//! What people read about a run: narration in its log, marks where something was cut, and why it failed.
//!
//! The narrator's lines are those of the runner that Navvy replaced; they are part of ids, so a changed byte here changes
//! the addresses of the lines behind it. The words of refusals are in [`super::refusal`].

use proto::{
    RunId,
    message::JobAttempt,
    view::{RunStatus, RunView},
};

pub(crate) const GATE_WAITING: &str = "Waiting for approval...";
pub(crate) const GATE_APPROVED: &str = "✅ Deployment approved, continuing with apply...";
pub(crate) const GATE_REJECTED: &str = "❌ Deployment rejected by user";
pub(crate) const GATE_EXPIRED: &str = "⏱️ Approval timeout exceeded";
pub(crate) const GATE_CANCELLED: &str = "🛑 Deployment cancelled by user";

pub(crate) const ACCEPTED: &str = "Deployment started";
pub(crate) const APPROVED: &str = "Deployment approved";
pub(crate) const REJECTED: &str = "Deployment rejected";
pub(crate) const CANCEL_ASKED: &str = "Cancellation requested";
pub(crate) const RESOLVED: &str = "Run resolved";

/// Why a live stream ends although its run goes on. The client connects again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// This gateway stops.
    Shutdown,
    /// The key is no longer valid, or nobody can say whether it is.
    Key,
    /// The store cannot be read.
    Store,
}

impl Closing {
    /// For the comment at the end of the stream.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Shutdown => "this gateway is stopping; connect again and resume with Last-Event-ID",
            Self::Key => "the key of this connection is not valid any more, or cannot be checked",
            Self::Store => "the log cannot be read just now; connect again and resume with Last-Event-ID",
        }
    }
}

/// The answer to a command that the scheduler has not confirmed in time.
pub(crate) fn unconfirmed(verb: &str) -> String {
    format!("{verb} was recorded; the scheduler has not confirmed it yet")
}

/// Stands in for the beginning of a log that is too long for the status object.
pub(crate) fn cut_mark(run: RunId, at: JobAttempt, cut_bytes: u64) -> String {
    format!(
        "[... {cut_bytes} bytes before this are left out; the whole log: GET /v1/runs/{run}/log.txt?job={}&attempt={} ...]\n",
        at.job, at.attempt
    )
}

/// Stands in for bytes of a log that the store does not have. 0: nobody knows how many.
pub(crate) fn gap_mark(missing_bytes: u64) -> String {
    match missing_bytes {
        0 => "\n[... part of the log is missing here ...]\n".to_owned(),
        missing => format!("\n[... {missing} bytes of the log are missing here ...]\n"),
    }
}

/// The status object's `error`: empty unless something went wrong or somebody cancelled. A rejected or expired approval
/// is no error; the log tells it.
pub(crate) fn error_text(view: &RunView) -> String {
    match view.status {
        RunStatus::Running | RunStatus::AwaitingApproval | RunStatus::Success => String::new(),
        RunStatus::Failed | RunStatus::TimedOut => {
            view.failure.as_ref().map_or_else(|| "The run failed; no reason was recorded".to_owned(), |f| f.message.clone())
        }
        RunStatus::Cancelled if view.cancel.is_some() => "Deployment cancelled by user".to_owned(),
        RunStatus::Cancelled => view.failure.as_ref().map(|f| f.message.clone()).unwrap_or_default(),
        RunStatus::Unknown => {
            let seen = view.evidence.as_ref().map_or("", |evidence| evidence.seen.as_str());
            format!("The outcome is unknown: side effects may or may not have happened. {seen}").trim_end().to_owned()
        }
    }
}

/// The status object's `next_action`: what a person should do now; empty when there is nothing to do.
pub(crate) fn next_action(view: &RunView) -> String {
    match view.status {
        RunStatus::Running | RunStatus::Success | RunStatus::Cancelled => String::new(),
        RunStatus::AwaitingApproval => "Review the plan, then approve or reject it".to_owned(),
        RunStatus::Failed | RunStatus::TimedOut => view.failure.as_ref().map(|failure| failure.next_action.clone()).unwrap_or_default(),
        RunStatus::Unknown => {
            let checks = view.evidence.as_ref().map(|evidence| evidence.check.join("; ")).unwrap_or_default();
            let resolve = "find out what really happened, then settle it with POST /v1/runs/ID/resolve";
            if checks.is_empty() {
                format!("Nothing is repeated by itself: {resolve}")
            } else {
                format!("Check: {checks}; then settle it with POST /v1/runs/ID/resolve")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proto::{
        AttemptNo, JobNo,
        message::{Evidence, Failure},
        view::CancelView,
    };

    #[test]
    fn error_and_next_action_of_every_status() {
        let failure = Failure {
            kind: "init".into(),
            phase: "init".into(),
            message: "Init failed: no such module".into(),
            next_action: "fix it".into(),
        };
        let mut table = Vec::new();
        for (status, cancelled) in [
            (RunStatus::Running, false),
            (RunStatus::AwaitingApproval, false),
            (RunStatus::Success, false),
            (RunStatus::Failed, false),
            (RunStatus::Cancelled, false),
            (RunStatus::Cancelled, true),
            (RunStatus::Unknown, false),
        ] {
            let mut view = fixtures::view();
            view.status = status;
            view.failure = (status == RunStatus::Failed).then(|| failure.clone());
            view.cancel = cancelled.then(|| CancelView { by: "ann".into(), at: fixtures::at(1), force: false });
            view.evidence =
                Some(Evidence { seen: "The worker fell silent.".into(), check: vec!["the state's serial".into()], ..Evidence::default() });
            table.push((error_text(&view), next_action(&view)));
        }
        let expected = [
            ("", ""),
            ("", "Review the plan, then approve or reject it"),
            ("", ""),
            ("Init failed: no such module", "fix it"),
            ("", ""),
            ("Deployment cancelled by user", ""),
            (
                "The outcome is unknown: side effects may or may not have happened. The worker fell silent.",
                "Check: the state's serial; then settle it with POST /v1/runs/ID/resolve",
            ),
        ];
        assert_eq!(table, expected.map(|(error, action)| (error.to_owned(), action.to_owned())));
    }

    #[test]
    fn marks_say_what_is_missing_and_where_to_find_it() {
        let at = JobAttempt { job: JobNo(2), attempt: AttemptNo(1) };
        let run = "0192f0c1-7e3a-7abc-8def-0123456789ab".parse().unwrap();
        let expected = "[... 7 bytes before this are left out; the whole log: GET /v1/runs/0192f0c1-7e3a-7abc-8def-0123456789ab/log.txt?job=2&attempt=1 ...]\n";
        assert_eq!(cut_mark(run, at, 7), expected);
        assert_eq!(gap_mark(7), "\n[... 7 bytes of the log are missing here ...]\n");
        assert_eq!(gap_mark(0), "\n[... part of the log is missing here ...]\n");
    }
}
