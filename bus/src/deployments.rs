//! DEPLOYMENTS: which run a deployment of a version is. What a record says is the gateways' business; here it is JSON that is
//! changed by whoever read it last, so that of two gateways one starts a run.
//!
//! A key is the deployment's id and a name for what is deployed where, so that both can be looked for.

use crate::bucket::{Bucket, value_of};
use crate::error::{BusError, Op};
use crate::link::Link;
use crate::locks::Held;
use crate::read::AtOnce;
use proto::subject;
use serde::{Serialize, de::DeserializeOwned};

/// The records.
#[derive(Debug, Clone)]
pub struct Deployments {
    bucket: Bucket,
}

impl Deployments {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::DEPLOYMENTS) }
    }

    /// A record with the revision that a change of it has to name, as the leader has it. `of`: what is deployed where.
    pub async fn get<T: DeserializeOwned>(&self, id: &str, of: &str) -> Result<Held<Option<T>>, BusError> {
        let entry = self.bucket.get(&key(id, of)?).await?;
        Ok(Held { value: entry.value, revision: entry.revision })
    }

    /// Changes a record. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn change<T: Serialize>(&self, id: &str, of: &str, record: &T, revision: u64) -> Result<(), BusError> {
        self.bucket.put_if(&key(id, of)?, record, revision).await.map(|_| ())
    }

    /// The record of an id, as the leader has it.
    pub async fn find<T: DeserializeOwned>(&self, id: &str) -> Result<Option<T>, BusError> {
        key(id, "x")?;
        let subject = self.bucket.subject(&format!("{id}.*"));
        let stored = self.bucket.link.last(&self.bucket.stream(), &subject).await?;
        stored.map_or(Ok(None), |stored| value_of(&stored))
    }

    /// The records of what is deployed where, as many as one request brings. In a cluster it may miss what was written this
    /// instant.
    pub async fn list<T: DeserializeOwned>(&self, of: &str) -> Result<Vec<T>, BusError> {
        key("x", of)?;
        let subject = self.bucket.subject(&format!("*.{of}"));
        let mut found = Vec::new();
        for stored in self.bucket.link.many(&self.bucket.stream(), &subject, 1, AtOnce::MANY).await? {
            found.extend(value_of(&stored)?);
        }
        Ok(found)
    }
}

fn key(id: &str, of: &str) -> Result<String, BusError> {
    let name = |t: &str| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name(id) && name(of) {
        return Ok(format!("{id}.{of}"));
    }
    let shown: String = id.chars().chain(of.chars()).take(80).flat_map(char::escape_debug).collect();
    Err(BusError::invalid(Op("use key", &shown), "a deployment's key is two names of lower-case letters and digits"))
}
