//! Every "no" and "not yet", with its reason. A refusal is not an error: it is an answer, and it changes nothing.

use proto::{AttemptNo, view::RunStatus};

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such job in this run")]
    NoSuchJob,
    #[error("attempt {given} is not the current one ({current})")]
    StaleAttempt { given: AttemptNo, current: AttemptNo },
    #[error("the attempt is over")]
    AttemptOver,
    #[error("the attempt belongs to another worker")]
    NotYours,
    /// Of a report: who reports has a permit, so this log does not show everything yet. Not an answer; look again later.
    #[error("no permit was given for this attempt")]
    NotPermitted,
    #[error("the permit was given already")]
    AlreadyPermitted,
    #[error("the job is not waiting for a worker")]
    NotQueued,
    #[error("the run is being cancelled")]
    Cancelling,
    #[error("the run does not hold its locks")]
    LocksNotHeld,
    #[error("the job has no side effects to start")]
    NoEffects,
    #[error("the run is not waiting for locks")]
    NotWaitingForLocks,
    #[error("it is so already")]
    AlreadySo,
    #[error("the run is {}", .0.as_str())]
    WrongState(RunStatus),
    /// See [`proto::message::PERMIT_LIFE_MS`].
    #[error("its worker may still start what it had the word for: look again and settle it in {} s", proto::message::PERMIT_LIFE_MS / 1000)]
    TooSoon,
    #[error("the approval expired")]
    ApprovalExpired,
    #[error("the plan waiting for approval is another one")]
    PlanChanged,
    #[error("another commit is bound to this run")]
    OtherCommit,
    #[error("what waits behind it is not newer")]
    NotNewer,
    #[error("nothing has to be done")]
    NothingDue,
}

impl Refusal {
    /// Machine-readable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchJob => "no_such_job",
            Self::StaleAttempt { .. } => "stale_attempt",
            Self::AttemptOver => "attempt_over",
            Self::NotYours => "not_yours",
            Self::NotPermitted => "not_permitted",
            Self::AlreadyPermitted => "already_permitted",
            Self::NotQueued => "not_queued",
            Self::Cancelling => "cancelling",
            Self::LocksNotHeld => "locks_not_held",
            Self::NoEffects => "no_effects",
            Self::NotWaitingForLocks => "not_waiting_for_locks",
            Self::AlreadySo => "already_so",
            Self::WrongState(_) => "wrong_state",
            Self::TooSoon => "too_soon",
            Self::ApprovalExpired => "approval_expired",
            Self::PlanChanged => "plan_changed",
            Self::OtherCommit => "other_commit",
            Self::NotNewer => "not_newer",
            Self::NothingDue => "nothing_due",
        }
    }
}
