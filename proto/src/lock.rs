//! A lock: a named exclusive right, held by a run, with a queue of waiters. The record is what stands in the LOCKS bucket;
//! who may take it next is decided in `domain::lock`.

use crate::{
    RunId,
    git::GitUrl,
    path::RepoPath,
    sync::{Environment, ServiceId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The readable name of a lock, such as `git.example/acme/infra/network/default`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockKey(String);

impl LockKey {
    /// The lock of one directory and workspace: `repo/dir/workspace`.
    pub fn directory(repo: &GitUrl, dir: &RepoPath, workspace: &str) -> Self {
        Self(format!("{}/{}/{workspace}", repo.canonical(), dir))
    }

    /// The lock of one service in one environment: `environment/project/service`.
    pub fn service(environment: &Environment, service: &ServiceId) -> Self {
        Self(format!("{environment}/{service}"))
    }

    /// The readable name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key in the bucket. Names hold characters that KV keys refuse, so the key is a digest and the record carries the name.
    pub fn bucket_key(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lock as it stands in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The readable name.
    pub key: LockKey,
    /// Who holds it.
    pub holder: Option<LockHolder>,
    /// Who waits, first come first.
    #[serde(default)]
    pub queue: Vec<LockWaiter>,
}

/// The run that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    pub run: RunId,
    pub since: Timestamp,
}

/// A run that waits for a lock, with everything it wants: a set is taken all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWaiter {
    pub run: RunId,
    pub since: Timestamp,
    pub wants: Vec<LockKey>,
}
