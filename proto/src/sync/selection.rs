//! Which services a run turned out to be about, and why.

use super::ServiceId;
use crate::{git::CommitId, path::RepoPath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was found in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What the reference means. Binds the run.
    pub commit: CommitId,
    /// How many commits the history of `commit` has: of two commits of one branch, the newer has more.
    pub generation: u64,
    pub compared: Compared,
    /// How far the branch was looked at: where the push had put it, which may be before `commit`. Absent: up to `commit`.
    #[serde(default)]
    pub until: Option<CommitId>,
    /// How many files were looked at.
    pub changed_files: u32,
    /// In the order of their names.
    pub services: Vec<Selected>,
    pub skipped: Vec<Skipped>,
    /// Every managed service there is at this commit.
    #[serde(default)]
    pub known: Vec<ServiceId>,
    pub mapping: MappingInForce,
    /// Worth knowing, such as what is wrong with a mapping that is not in force.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What the changed files were told from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Compared {
    /// `git diff` from this commit.
    Diff { before: CommitId },
    /// The forge's list, because git could not compare.
    Payload { why: String },
    /// Nothing to compare with: everything counts as changed.
    Everything { why: String },
    /// Not compared: the services were named.
    Named,
}

/// The mapping that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mapping", rename_all = "snake_case")]
pub enum MappingInForce {
    /// The repository has none: the platform layout and the built-in table.
    BuiltIn,
    /// The one of the commit, as read.
    OfCommit { text: String },
    /// The last good one, because the commit's cannot be read.
    LastGood { text: String, problem: String },
}

/// A service to sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    pub service: ServiceId,
    /// Its folder.
    pub dir: RepoPath,
    /// What `{task}` stands for, such as `postgres.sync`.
    pub task: String,
    pub executor: Executor,
    /// Why it was chosen.
    pub reasons: Vec<String>,
    /// Services that are synced before it, where they are synced by the same run.
    #[serde(default)]
    pub after: Vec<ServiceId>,
    /// Skipped in every environment but production.
    #[serde(default)]
    pub production_only: bool,
    /// Variables that must be set, or the sync fails before anything is touched.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Files outside its folder that it is built from: globs of the mapping and of the dependency manifest.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// Something that was not chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// A service, or a path or pattern.
    pub what: String,
    pub reason: String,
}

/// How a service is brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "executor", rename_all = "snake_case")]
pub enum Executor {
    /// The configured command; it decides by itself whether anything is to be done.
    Command,
    /// `docker compose` on a host, over SSH.
    Compose(ComposeTarget),
    /// A compose service of Dokploy.
    Dokploy(DokployTarget),
}

/// What both executors need that deploy by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Native {
    /// The compose file, below the service's folder.
    pub file: RepoPath,
    /// Variables of the service besides the usual ones. `{env}`, `{suffix}`, `{service}`, `{project}` and `{domain}` (the
    /// internal domain) are replaced in the values.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub data: Option<DataFolder>,
    #[serde(default)]
    pub secret: Option<EnsuredSecret>,
}

/// A folder on the host that must be there before the service starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFolder {
    /// Absolute; placeholders as in [`Native::env`].
    pub path: String,
    pub uid: u32,
    pub gid: u32,
    /// Such as `755`, octal.
    pub mode: String,
}

/// A secret of the service that is made if it is missing, and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsuredSecret {
    /// Path in Vault's KV v2, below its mount; placeholders as in [`Native::env`].
    pub path: String,
    /// The keys that must have a value.
    pub keys: Vec<String>,
}

/// A host with docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeTarget {
    #[serde(flatten)]
    pub native: Native,
    /// `host` or `host:port`, a name that the worker's operator allows; absent: the worker's default.
    #[serde(default)]
    pub host: Option<String>,
    /// Name of the compose project; placeholders as in [`Native::env`].
    pub project: String,
}

/// A compose service of Dokploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DokployTarget {
    #[serde(flatten)]
    pub native: Native,
    /// Dokploy's project; absent: the service's.
    #[serde(default)]
    pub project: Option<String>,
    /// Dokploy's name of the compose service; absent: the service's.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub domain: Option<Domain>,
}

/// A host name of a service: `{subdomain}{-environment unless production}.{INTERNAL_DOMAIN}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub subdomain: String,
    /// The service in the compose file.
    pub service: String,
    pub port: u16,
}
