//! How a service stands in an environment, and what a sync brought.

use super::{Environment, ServiceId};
use crate::{
    RunId,
    git::{CommitId, GitRef},
    ids::SourceId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The kind of failure of a sync that was not tried, because what is deployed could not be read before and it is too soon to ask
/// again. It says nothing about the service. A sync that fails so before it has begun is put off by the scheduler; it counts as
/// failed only when that was done often enough.
pub const PAUSED: &str = "paused";

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncAction {
    /// Nothing had changed.
    Skipped,
    Updated,
    /// There was nothing before.
    Created,
}

impl SyncAction {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Updated => "updated",
            Self::Created => "created",
        }
    }
}

/// What a sync that succeeded brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncResult {
    pub action: SyncAction,
    /// For people: what was compared, what was done.
    pub details: String,
    /// The full identity of what is deployed (`v2:` and a digest); absent where the executor's command decides.
    #[serde(default)]
    pub hash: Option<String>,
    /// The service was left as it is without being looked at: what is known of it stays known.
    #[serde(default)]
    pub untouched: bool,
}

/// What is known of a source, as the last selection of its branch told. Derived from the runs' logs, kept in SERVICES.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub source: SourceId,
    /// The run that told last, and when it did.
    pub run: RunId,
    pub at: Timestamp,
    pub commit: CommitId,
    /// Every managed service there was.
    pub services: Vec<ServiceId>,
    /// The last mapping that could be read; absent: there was none yet.
    #[serde(default)]
    pub mapping: Option<String>,
}

/// How a service stands in an environment, as its last syncs told. Derived from the runs' logs, kept in SERVICES.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    pub service: ServiceId,
    pub environment: Environment,
    pub source: SourceId,
    /// The commit of the last success; absent: there was none.
    #[serde(default)]
    pub commit: Option<CommitId>,
    #[serde(default)]
    pub git_ref: Option<GitRef>,
    #[serde(default)]
    pub tag: Option<String>,
    #[serde(default)]
    pub action: Option<SyncAction>,
    /// The identity of what is deployed; absent also after a sync that broke off half-way, or that a person settled.
    #[serde(default)]
    pub hash: Option<String>,
    /// When the last success was told.
    #[serde(default)]
    pub synced_at: Option<Timestamp>,
    /// The run that told last, and when it did.
    pub run: RunId,
    pub at: Timestamp,
    /// The runs that told last, the latest at the end: one that tells again is known by it.
    #[serde(default)]
    pub told: Vec<RunId>,
    /// Syncs that failed since the last success.
    #[serde(default)]
    pub failures: u32,
    /// Why the last one failed.
    #[serde(default)]
    pub error_kind: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
}
