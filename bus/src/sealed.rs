//! SECRETS: the sealed secrets of open runs, from the gateway to the scheduler. What is in there only the scheduler can open.

use crate::bucket::{Bucket, value_of};
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

    /// Stores a run's bundle where none is. [`BusError::Conflict`]: there is one.
    pub async fn create(&self, run: RunId, sealed: &Sealed) -> Result<(), BusError> {
        let key = subject::secrets_key(run);
        let there = self.bucket.get::<serde::de::IgnoredAny>(&key).await?;
        if there.value.is_some() {
            return Err(BusError::Conflict { what: format!("create {key}") });
        }
        self.bucket.put_if(&key, sealed, there.revision).await.map(|_| ())
    }

    /// The runs that have a bundle.
    pub async fn list(&self) -> Result<Vec<RunId>, BusError> {
        let mut runs = Vec::new();
        for stored in self.bucket.all().await? {
            let has_value = value_of::<serde::de::IgnoredAny>(&stored)?.is_some();
            let run = subject::run_of_secrets_key(self.bucket.key(&stored.subject));
            runs.extend(run.filter(|_| has_value));
        }
        runs.sort_unstable();
        runs.dedup();
        Ok(runs)
    }

    /// A run's bundle, as the leader has it.
    pub async fn get(&self, run: RunId) -> Result<Option<Sealed>, BusError> {
        Ok(self.bucket.get(&subject::secrets_key(run)).await?.value)
    }

    /// Stores some of a run's bundles, before its trigger is published.
    pub async fn put_page(&self, run: RunId, page: u32, sealed: &Sealed) -> Result<(), BusError> {
        self.bucket.put(&subject::secrets_page_key(run, page), sealed).await.map(|_| ())
    }

    /// A page of a run's bundles, as the leader has it.
    pub async fn page(&self, run: RunId, page: u32) -> Result<Option<Sealed>, BusError> {
        Ok(self.bucket.get(&subject::secrets_page_key(run, page)).await?.value)
    }

    /// Removes a page of a run's bundles; nothing to remove is a success.
    pub async fn delete_page(&self, run: RunId, page: u32) -> Result<(), BusError> {
        self.bucket.remove(&subject::secrets_page_key(run, page), Some("1h")).await
    }

    /// Removes a run's bundle; nothing to remove is a success.
    pub async fn delete(&self, run: RunId) -> Result<(), BusError> {
        self.bucket.remove(&subject::secrets_key(run), Some("1h")).await
    }
}
