//! SECRETS: the sealed secrets of open runs, from the gateway to the scheduler. What is in there only the scheduler can open.

use crate::bucket::Bucket;
use crate::error::BusError;
use crate::link::Link;
use proto::message::Sealed;
use proto::{RunId, subject};

/// Sealed secrets by run.
#[derive(Debug, Clone)]
pub struct SealedSecrets {
    bucket: Bucket,
}

impl SealedSecrets {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::SECRETS) }
    }

    /// Stores a run's bundle, before its trigger is published.
    pub async fn put(&self, run: RunId, sealed: &Sealed) -> Result<(), BusError> {
        self.bucket.put(&subject::secrets_key(run), sealed).await.map(|_| ())
    }

    /// A run's bundle, as the leader has it.
    pub async fn get(&self, run: RunId) -> Result<Option<Sealed>, BusError> {
        Ok(self.bucket.get(&subject::secrets_key(run)).await?.value)
    }

    /// Removes a run's bundle; nothing to remove is a success.
    pub async fn delete(&self, run: RunId) -> Result<(), BusError> {
        self.bucket.remove(&subject::secrets_key(run), Some("1h")).await
    }
}
