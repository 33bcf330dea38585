//! What was decided: the entries of a run's log. Names are in the past tense; the log is the audit trail and the truth.

use super::{
    evolve,
    state::{AttemptEnd, Ending, JobKind, Run},
};
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, RunId, WorkerId,
    git::CommitId,
    lock::LockKey,
    message::{Evidence, Failure, JobResult, Trigger},
    orders::OrderEvent,
    sync::{Release, Selection, ServiceId, SyncResult},
};
use serde::{Deserialize, Serialize};

/// One decision: everything it changed, in one message of the run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Random, to recognise one's own entry after a commit whose answer was lost.
    pub nonce: String,
    pub at: Timestamp,
    pub events: Vec<Event>,
    /// The command that it follows, by the id it was stored under. The same command delivered again is not decided again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Everything that was decided before, told again because the entries that told it first will outlive their age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Self>,
}

impl Entry {
    /// A decision that follows no command.
    pub fn new(nonce: String, at: Timestamp, events: Vec<Event>) -> Self {
        Self { nonce, at, events, cause: None, before: Vec::new() }
    }
}

/// A job as the run was made with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    pub name: String,
    pub kind: JobKind,
    #[serde(default)]
    pub needs: Vec<JobNo>,
    /// The service that a sync is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Accepted {
        trigger: Box<Trigger>,
        locks: Vec<LockKey>,
        jobs: Vec<JobPlan>,
    },
    LocksGranted,
    /// The lock of one job.
    JobLocked {
        job: JobNo,
    },
    /// What a run of syncs is about, and the jobs that it becomes.
    SyncPlanned {
        selection: Box<Selection>,
        jobs: Vec<JobPlan>,
    },
    /// The release that a run of syncs was to make.
    ReleaseMade {
        release: Release,
    },
    /// What a sync did, told with its success.
    ServiceSynced {
        job: JobNo,
        result: SyncResult,
    },
    JobSuperseded {
        job: JobNo,
        by: RunId,
    },
    /// A sync is put off: what it deploys to is to be left alone for a while.
    JobPostponed {
        job: JobNo,
        until: Timestamp,
        why: String,
    },
    JobQueued {
        job: JobNo,
        attempt: AttemptNo,
    },
    ApprovalOpened {
        job: JobNo,
        expires_at: Timestamp,
    },
    ApprovalGiven {
        job: JobNo,
        by: String,
    },
    ApprovalRefused {
        job: JobNo,
        by: String,
    },
    ApprovalExpired {
        job: JobNo,
    },
    Permitted {
        job: JobNo,
        attempt: AttemptNo,
        worker: WorkerId,
        nonce: String,
    },
    EffectsStarted {
        job: JobNo,
        attempt: AttemptNo,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial_before: Option<u64>,
    },
    PhaseEntered {
        job: JobNo,
        attempt: AttemptNo,
        phase: String,
    },
    CommitPinned {
        commit: CommitId,
    },
    AttemptEnded {
        job: JobNo,
        attempt: AttemptNo,
        end: AttemptEnd,
        #[serde(default)]
        result: Option<JobResult>,
    },
    JobSucceeded {
        job: JobNo,
    },
    JobFailed {
        job: JobNo,
        failure: Failure,
    },
    JobCancelled {
        job: JobNo,
    },
    JobSkipped {
        job: JobNo,
    },
    /// An order ran out of time.
    JobTimedOut {
        job: JobNo,
        failure: Failure,
    },
    /// Orders one of whose needs did not succeed. Many at once: a run may have ten thousand.
    OrdersSkipped {
        orders: Vec<JobNo>,
    },
    /// Orders that had not begun when the run was cancelled, or its time was over.
    OrdersCancelled {
        orders: Vec<JobNo>,
    },
    /// The time of the whole run is over: what runs is stopped, nothing new starts.
    TimeLimitReached,
    /// The commands of an order told something.
    OrderTold {
        job: JobNo,
        attempt: AttemptNo,
        events: Vec<OrderEvent>,
    },
    JobUnknown {
        job: JobNo,
        evidence: Evidence,
    },
    CancelRequested {
        by: String,
        force: bool,
    },
    Resolved {
        job: JobNo,
        by: String,
        succeeded: bool,
        reason: String,
    },
    RunEnded {
        ending: Ending,
    },
}

/// The run that a log tells of; `None` for an empty log or one that does not begin with the run's acceptance.
pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Run> {
    let mut run = None;
    for entry in entries {
        if !entry.before.is_empty() {
            run = fold(&entry.before);
        }
        for event in &entry.events {
            match (&mut run, event) {
                (None, Event::Accepted { trigger, locks, jobs }) => run = Some(evolve::found(trigger, locks, jobs)),
                (None, _) => return None,
                (Some(run), event) => evolve(run, event, entry.at),
            }
        }
    }
    run
}
