//! What the scheduler shows to everybody: derived from the run's log, kept in VIEWS, read by gateways. Losing it loses nothing.

use crate::{
    git::CommitId,
    ids::{AttemptNo, JobNo, PoolName, RunId, WorkerId},
    lock::LockKey,
    message::{Evidence, Failure, RunSpec},
    orders::OrderCounts,
    sync::{Compared, Release, ServiceId, Skipped, SyncAction},
    terraform::PlanSummary,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a run stands. The API's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Running,
    AwaitingApproval,
    Success,
    Failed,
    Cancelled,
    /// A run of orders whose time was over, or one of whose orders that must succeed ran out of its own.
    TimedOut,
    /// Side effects may or may not have happened; a late report or a person settles it.
    Unknown,
}

impl RunStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing further happens by itself. `unknown` is open: it holds its locks.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::Cancelled | Self::TimedOut => true,
            Self::Running | Self::AwaitingApproval | Self::Unknown => false,
        }
    }
}

/// A run, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    pub id: RunId,
    /// Sequence in RUNS of the decision this view shows; a view with a lower one never replaces it.
    pub seq: u64,
    pub status: RunStatus,
    /// `initializing`, `cloning`, `init`, `plan`, `apply`, `destroy`, `orders`, `select`, `release`, `sync`, `completed`.
    pub phase: String,
    #[serde(default)]
    pub failed_phase: Option<String>,
    #[serde(default)]
    pub failure: Option<Failure>,
    #[serde(default)]
    pub waiting_for: Option<WaitingFor>,
    pub spec: RunSpec,
    pub pool: PoolName,
    pub by: String,
    #[serde(default)]
    pub request_digest: Option<String>,
    #[serde(default)]
    pub commit: Option<CommitId>,
    pub accepted_at: Timestamp,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub locks: Vec<LockKey>,
    #[serde(default)]
    pub approval: Option<ApprovalView>,
    #[serde(default)]
    pub cancel: Option<CancelView>,
    #[serde(default)]
    pub plan: Option<PlanSummary>,
    #[serde(default)]
    pub plan_sha256: Option<String>,
    /// `output -json`, sensitive values masked; empty until applied.
    #[serde(default)]
    pub outputs: String,
    #[serde(default)]
    pub evidence: Option<Evidence>,
    #[serde(default)]
    pub resolution: Option<ResolutionView>,
    /// Every job; none for a run of orders, whose jobs stand in pages ([`JobsPage`]).
    pub jobs: Vec<JobView>,
    /// How the orders stand; only of a run of orders.
    #[serde(default)]
    pub orders: Option<OrderCounts>,
    /// What a run of syncs turned out to be about; only of such a run. Its services stand in their jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<SyncsView>,
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// What an unfinished run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitingFor {
    /// Accepted and stored, not yet looked at.
    Scheduler,
    /// Locks that others hold. The gateway adds holder and place from the lock records.
    Lock {
        keys: Vec<LockKey>,
        #[serde(default)]
        held_by: Option<RunId>,
        /// 1 is next.
        #[serde(default)]
        position: Option<u32>,
    },
    /// A free slot in the pool.
    Worker {
        pool: PoolName,
        /// 1 is next.
        #[serde(default)]
        position: Option<u32>,
    },
    /// A person.
    Approval { expires_at: Timestamp },
    /// What a sync deploys to is left alone until then, because it could not be read.
    Remote { until: Timestamp },
    /// A person, to settle an unknown outcome.
    Resolution,
}

/// How an approval stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// `waiting`, `approved`, `rejected`, `expired`.
    pub state: String,
    #[serde(default)]
    pub by: Option<String>,
    #[serde(default)]
    pub at: Option<Timestamp>,
    #[serde(default)]
    pub opened_at: Option<Timestamp>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Who cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelView {
    pub by: String,
    pub at: Timestamp,
    pub force: bool,
}

/// How an unknown outcome was settled by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolutionView {
    pub by: String,
    pub at: Timestamp,
    pub succeeded: bool,
    pub reason: String,
}

/// One job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    pub n: JobNo,
    pub name: String,
    /// `terraform`, `probe`, `approval`, `shell`, `sync`.
    pub action: String,
    /// `blocked`, `ready`, `queued`, `running`, `waiting`, `unknown`, `succeeded`, `failed`, `timed_out`, `cancelled`, `skipped`, `superseded`.
    pub status: String,
    pub needs: Vec<JobNo>,
    pub attempts: Vec<AttemptView>,
    /// The pool that runs it, when it is not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Its failure does not make the run fail, and it waits for what it needs to be over, however it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why an order failed or ran out of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What a sync is about, and what it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncJobView>,
}

/// What a run of syncs turned out to be about, besides its services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncsView {
    /// What the changed files were told from; absent until the repository has been looked at.
    #[serde(default)]
    pub compared: Option<Compared>,
    #[serde(default)]
    pub changed_files: u32,
    /// What was not chosen, and why.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    #[serde(default)]
    pub notes: Vec<String>,
    #[serde(default)]
    pub release: Option<Release>,
}

/// One service of a run of syncs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncJobView {
    pub service: ServiceId,
    pub task: String,
    /// Why it was chosen.
    pub reasons: Vec<String>,
    /// What was done; absent until it has succeeded.
    #[serde(default)]
    pub action: Option<SyncAction>,
    #[serde(default)]
    pub details: String,
    #[serde(default)]
    pub failure: Option<Failure>,
    /// The newer run that it was left to.
    #[serde(default)]
    pub superseded_by: Option<RunId>,
}

/// Some of the jobs of a run that has many: page `n` holds those from `n * JobsPage::SIZE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsPage {
    pub run: RunId,
    pub page: u32,
    /// Sequence in RUNS of the decision this page shows.
    pub seq: u64,
    pub jobs: Vec<JobView>,
}

impl JobsPage {
    /// Jobs in a page: what one decision touches is then a few KiB to write.
    pub const SIZE: u32 = 32;

    /// The page that shows a job.
    pub fn of(job: JobNo) -> u32 {
        job.0 / Self::SIZE
    }

    /// How many pages so many jobs need.
    pub fn count(jobs: u32) -> u32 {
        jobs.div_ceil(Self::SIZE)
    }
}

/// One try of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    pub n: AttemptNo,
    #[serde(default)]
    pub worker: Option<WorkerId>,
    pub queued_at: Timestamp,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// `queued`, `running`, `succeeded`, `failed`, `not_started`, `stopped`, `lost`, `unclear`.
    pub status: String,
    /// Whether it had entered its side effects.
    #[serde(default)]
    pub effects: bool,
    #[serde(default)]
    pub phase: Option<String>,
}
