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

/// Records that are asked for with one request.
const AT_ONCE: usize = 256;

/// Some records, in the order of their last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentPage<T> {
    pub found: Vec<T>,
    /// Where the next page begins; absent: there is none.
    pub next: Option<u64>,
}

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

    /// Records of what is deployed where, in the order of their last change: at most `limit` of those that stand at `from` (0: the
    /// first) or behind it. In a cluster it may miss what was written this instant.
    pub async fn list<T: DeserializeOwned>(&self, of: &str, from: u64, limit: usize) -> Result<DeploymentPage<T>, BusError> {
        key("x", of)?;
        let subject = self.bucket.subject(&format!("*.{of}"));
        let (mut found, mut from) = (Vec::new(), from);
        loop {
            // One more than is wanted: whether there is another page is known, not guessed from a full one.
            let at_once = AtOnce { messages: (limit - found.len() + 1).min(AT_ONCE), bytes: None };
            let some = self.bucket.link.many(&self.bucket.stream(), &subject, from, at_once).await?;
            let all = some.len() < at_once.messages;
            for stored in some {
                if found.len() == limit {
                    return Ok(DeploymentPage { found, next: Some(stored.seq) });
                }
                from = stored.seq + 1;
                found.extend(value_of(&stored)?);
            }
            if all {
                return Ok(DeploymentPage { found, next: None });
            }
        }
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
