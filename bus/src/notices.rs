//! NOTICES: what gateways have told the outside about runs. What a notice says is the gateways' business; here it is JSON
//! that is changed by whoever read it last, so that of two gateways one tells.

use crate::bucket::{Bucket, value_of};
use crate::error::BusError;
use crate::link::Link;
use crate::locks::Held;
use proto::subject;
use serde::{Serialize, de::DeserializeOwned};

/// The notices.
#[derive(Debug, Clone)]
pub struct Notices {
    bucket: Bucket,
}

impl Notices {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::NOTICES) }
    }

    /// A notice with the revision that a change of it has to name, as the leader has it; an empty one where there is none.
    pub async fn get<T: DeserializeOwned + Default>(&self, key: &str) -> Result<Held<T>, BusError> {
        let entry = self.bucket.get::<T>(key).await?;
        Ok(Held { value: entry.value.unwrap_or_default(), revision: entry.revision })
    }

    /// Changes a notice; gives its new revision. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn change<T: Serialize>(&self, key: &str, notice: &Held<T>) -> Result<u64, BusError> {
        self.bucket.put_if(key, &notice.value, notice.revision).await
    }

    /// Every notice by its key. In a cluster it may miss what was written this instant.
    pub async fn list<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, BusError> {
        let mut found = Vec::new();
        for stored in self.bucket.all().await? {
            match value_of::<T>(&stored) {
                Ok(notice) => found.extend(notice.map(|notice| (self.bucket.key(&stored.subject).to_owned(), notice))),
                Err(error) => tracing::warn!(%error, "a notice that cannot be read"),
            }
        }
        Ok(found)
    }
}
