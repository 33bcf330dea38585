//! Answers of the API, as far as pictures need them. They are read tolerantly: fields that this program does not know
//! are ignored, and what a newer or older gateway leaves out has a default. `--json` passes answers through unread.

use proto::Timestamp;
use proto::git::CommitId;
use proto::lock::LockKey;
use proto::message::{Evidence, Failure, Heartbeat, RunSpec};
use proto::orders::OrderCounts;
use proto::terraform::PlanSummary;
use proto::view::{ApprovalView, CancelView, JobView, ResolutionView, RunStatus, SyncsView, WaitingFor};
use serde::Deserialize;

/// A release, as `GET /v1/releases` gives it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReleaseRow {
    pub(crate) run_id: String,
    pub(crate) status: RunStatus,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) tag: Option<String>,
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
    #[serde(default)]
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) environment: String,
    #[serde(default)]
    pub(crate) triggered_by: String,
    pub(crate) accepted_at: Timestamp,
}

/// A page of releases.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReleasePage {
    pub(crate) releases: Vec<ReleaseRow>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// A run, as `GET /v1/runs/:id` gives it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) status: RunStatus,
    pub(crate) phase: String,
    #[serde(default)]
    pub(crate) failed_phase: Option<String>,
    #[serde(default)]
    pub(crate) failure: Option<Failure>,
    #[serde(default)]
    pub(crate) waiting_for: Option<WaitingFor>,
    pub(crate) spec: RunSpec,
    #[serde(default)]
    pub(crate) pool: String,
    #[serde(default)]
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
    pub(crate) accepted_at: Timestamp,
    #[serde(default)]
    pub(crate) ended_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) locks: Vec<LockKey>,
    #[serde(default)]
    pub(crate) approval: Option<ApprovalView>,
    #[serde(default)]
    pub(crate) cancel: Option<CancelView>,
    #[serde(default)]
    pub(crate) plan: Option<PlanSummary>,
    #[serde(default)]
    pub(crate) plan_sha256: Option<String>,
    /// The tool's `output -json`, as a text or as the object itself.
    #[serde(default)]
    pub(crate) outputs: serde_json::Value,
    #[serde(default)]
    pub(crate) evidence: Option<Known>,
    #[serde(default)]
    pub(crate) resolution: Option<ResolutionView>,
    #[serde(default)]
    pub(crate) jobs: Vec<JobView>,
    #[serde(default)]
    pub(crate) orders: Option<OrderCounts>,
    #[serde(default)]
    pub(crate) syncs: Option<SyncsView>,
}

/// What is known about an unknown outcome.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Known {
    #[serde(flatten)]
    pub(crate) evidence: Evidence,
    /// The last lines of the attempt's log.
    #[serde(default)]
    pub(crate) last_lines: Vec<String>,
}

/// A page of runs, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct RunPage {
    pub(crate) runs: Vec<Run>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// All locks.
#[derive(Debug, Deserialize)]
pub(crate) struct LockList {
    pub(crate) locks: Vec<Lock>,
}

/// A lock, who holds it, who waits.
#[derive(Debug, Deserialize)]
pub(crate) struct Lock {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) holder: Option<InLine>,
    #[serde(default)]
    pub(crate) queue: Vec<InLine>,
}

/// A run at a lock.
#[derive(Debug, Deserialize)]
pub(crate) struct InLine {
    pub(crate) run: String,
    pub(crate) since: Timestamp,
}

/// All workers that were heard of lately.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkerList {
    pub(crate) workers: Vec<LiveWorker>,
}

/// A worker's last sign of life.
#[derive(Debug, Deserialize)]
pub(crate) struct LiveWorker {
    #[serde(flatten)]
    pub(crate) heartbeat: Heartbeat,
    #[serde(default)]
    pub(crate) age_seconds: f64,
}

/// All keys, without the keys themselves.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyList {
    pub(crate) keys: Vec<Key>,
}

/// What is known of a key.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) created_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
}
