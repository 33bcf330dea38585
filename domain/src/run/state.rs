//! What is known about a run. Changed only by `evolve`.

use super::{
    orders::{Order, Orders},
    syncs::{ServiceJob, Syncs},
};
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, WorkerId,
    git::CommitId,
    lock::LockKey,
    message::{Evidence, Failure, RunSpec},
    orders::OrdersSpec,
    sync::SyncSpec,
    terraform::{ApplyResult, PlanResult},
};
use std::collections::BTreeMap;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub by: String,
    pub accepted_at: Timestamp,
    pub spec: RunSpec,
    pub pool: PoolName,
    pub has_secrets: bool,
    pub request_digest: Option<String>,
    pub traceparent: Option<String>,
    /// The locks the run needs, and where it stands with them.
    pub locks: Vec<LockKey>,
    pub lock: LockState,
    pub jobs: Vec<Job>,
    /// How many jobs are not over. Counted, so that no decision has to look at every job.
    pub open_jobs: u32,
    /// How many jobs have an unknown outcome.
    pub unknown_jobs: u32,
    /// How many gates wait.
    pub waiting_gates: u32,
    /// What is counted and kept of a run of orders.
    pub orders: Option<Orders>,
    /// What is known of a run of syncs.
    pub syncs: Option<Syncs>,
    /// The commit that every attempt uses, once the reference has been resolved.
    pub commit: Option<CommitId>,
    /// The phase word last reported.
    pub phase: String,
    /// Running time of ended attempts, in milliseconds: what is spent of the budget.
    pub spent_ms: u64,
    pub cancel: Option<Cancel>,
    pub failure: Option<Failure>,
    pub plan: Option<PlanResult>,
    pub applied: Option<ApplyResult>,
    /// What was seen of each job that is unknown, or once was.
    pub evidence: BTreeMap<JobNo, Evidence>,
    pub resolution: Option<Resolution>,
    pub ended: Option<(Timestamp, Ending)>,
}

impl Run {
    /// A job by number.
    pub fn job(&self, no: JobNo) -> Option<&Job> {
        self.jobs.get(no.0 as usize)
    }

    /// The pool whose workers run a job.
    pub fn pool_of(&self, no: JobNo) -> &PoolName {
        self.job(no).and_then(|job| job.order.as_ref()).map_or(&self.pool, |order| &order.pool)
    }

    /// What a run of orders was asked to do.
    pub fn orders_spec(&self) -> Option<&OrdersSpec> {
        match &self.spec {
            RunSpec::Orders(spec) => Some(spec),
            RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => None,
        }
    }

    /// What a run of syncs was asked to do.
    pub fn sync_spec(&self) -> Option<&SyncSpec> {
        match &self.spec {
            RunSpec::Sync(spec) => Some(spec),
            RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Orders(_) => None,
        }
    }

    /// Whether its jobs stand beside one another: one of them that is lost or waits says nothing about the run.
    pub fn is_of_many(&self) -> bool {
        self.orders.is_some() || self.syncs.is_some()
    }

    /// The job that a person settles next: the first whose outcome is unknown.
    pub fn first_unknown(&self) -> Option<JobNo> {
        self.jobs.iter().position(|job| job.state == JobState::Unknown).map(|no| JobNo(no as u32))
    }

    /// Whether nothing further can happen by itself or by anybody.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }
}

/// Where a run stands with its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// It needs none.
    NotNeeded,
    /// It stands in line, or is about to.
    Wanted,
    /// It holds them all.
    Held,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Success,
    Failed,
    Cancelled,
    TimedOut,
}

/// Who cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    pub by: String,
    pub at: Timestamp,
    pub force: bool,
}

/// How a person settled an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub by: String,
    pub at: Timestamp,
    pub succeeded: bool,
    pub reason: String,
}

/// One node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub name: String,
    pub kind: JobKind,
    pub needs: Vec<JobNo>,
    /// Jobs that need this one.
    pub feeds: Vec<JobNo>,
    /// How many of `needs` have not succeeded yet; of an optional order: how many are not over.
    pub unmet: u32,
    pub state: JobState,
    pub attempts: Vec<Attempt>,
    /// Only gates have one.
    pub gate: Option<Gate>,
    /// Only orders have it.
    pub order: Option<Box<Order>>,
    /// Only syncs have it.
    pub service: Option<Box<ServiceJob>>,
}

impl Job {
    /// Whether it is an order that need not succeed.
    pub fn is_optional(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.optional)
    }

    /// The attempt that counts: the newest.
    pub fn current(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    TerraformPlan,
    TerraformApply,
    Approval,
    Probe,
    Shell,
    /// Looks at the repository: which services a run of syncs is about.
    Select,
    /// Makes a release. It changes the repository, but doing it twice is doing it once: the tag names the run.
    Release,
    /// Brings one service up to date.
    Sync,
}

impl JobKind {
    /// Whether an attempt changes the world outside. Losing its worker after that point leaves an unknown outcome.
    pub fn has_effects(self) -> bool {
        match self {
            Self::TerraformApply | Self::Shell | Self::Sync => true,
            Self::TerraformPlan | Self::Approval | Self::Probe | Self::Select | Self::Release => false,
        }
    }

    /// The word of the action.
    pub fn action(self) -> &'static str {
        match self {
            Self::TerraformPlan | Self::TerraformApply => "terraform",
            Self::Approval => "approval",
            Self::Probe => "probe",
            Self::Shell => "shell",
            Self::Select | Self::Release | Self::Sync => "sync",
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for other jobs or for the run's locks.
    Blocked,
    /// Its order is out; no worker has begun.
    Queued,
    Running,
    /// A gate waits for a person.
    Waiting,
    /// Side effects may or may not have happened.
    Unknown,
    Succeeded,
    Failed,
    /// An order whose time was over, or the time of its run.
    TimedOut,
    Cancelled,
    /// A job it needs did not succeed.
    Skipped,
    /// A sync that a newer run makes needless. What needs it is superseded with it.
    Superseded,
}

impl JobState {
    /// Whether the job is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Blocked | Self::Queued | Self::Running | Self::Waiting | Self::Unknown => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Skipped | Self::Superseded => true,
        }
    }
}

/// One try of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub no: AttemptNo,
    pub queued_at: Timestamp,
    pub worker: Option<WorkerId>,
    /// The permit's nonce: tells a repeated question from a second worker.
    pub nonce: Option<String>,
    pub permitted_at: Option<Timestamp>,
    /// Since when the world outside may have been changed.
    pub effects_at: Option<Timestamp>,
    /// State serial before the side effects, as its worker knew it when it asked for the word.
    pub serial_before: Option<u64>,
    pub phase: Option<String>,
    pub ended: Option<(Timestamp, AttemptEnd)>,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    Succeeded,
    Failed,
    /// Nothing was started.
    NotStarted,
    /// Stopped on request or at the time limit, cleanly.
    Stopped,
    /// Its worker was lost: before any side effect it is tried again, in them its outcome is not known.
    Lost,
    /// Its worker says that its outcome is not known.
    Unclear,
}

/// A gate's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    pub state: GateState,
    pub opened_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub by: Option<String>,
    pub answered_at: Option<Timestamp>,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    Closed,
    Waiting,
    Approved,
    Rejected,
    Expired,
}
