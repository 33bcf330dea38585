//! NOTICES: what gateways have told the outside about runs. A notice is changed by whoever read it last, so that of two
//! gateways one tells.

use crate::bucket::{Bucket, value_of};
use crate::error::BusError;
use crate::link::Link;
use crate::locks::Held;
use proto::notice::Notice;
use proto::subject;

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
    pub async fn get(&self, key: &str) -> Result<Held<Notice>, BusError> {
        let entry = self.bucket.get::<Notice>(key).await?;
        Ok(Held { value: entry.value.unwrap_or_default(), revision: entry.revision })
    }

    /// Changes a notice; gives its new revision. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn change(&self, key: &str, notice: &Held<Notice>) -> Result<u64, BusError> {
        self.bucket.put_if(key, &notice.value, notice.revision).await
    }

    /// Every notice by its key. In a cluster it may miss what was written this instant.
    pub async fn list(&self) -> Result<Vec<(String, Notice)>, BusError> {
        let mut found = Vec::new();
        for stored in self.bucket.all().await? {
            match value_of::<Notice>(&stored) {
                Ok(notice) => found.extend(notice.map(|notice| (self.bucket.key(&stored.subject).to_owned(), notice))),
                Err(error) => tracing::warn!(%error, "a notice that cannot be read"),
            }
        }
        Ok(found)
    }
}
