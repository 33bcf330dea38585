//! DELIVERIES: what webhooks brought and what became of it. What a record says is the gateways' business; here it is JSON
//! under a key of three names, `source.delivery.body`, that is stored once, and changed by whoever read it last.

use crate::bucket::{Bucket, value_of};
use crate::error::{BusError, Op};
use crate::link::Link;
use crate::locks::Held;
use crate::read::AtOnce;
use async_nats::jetstream::stream::Info;
use proto::{SourceId, subject};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// Sequences that are looked through with one request, newest first.
const WINDOW: u64 = 256;
/// Requests that one page may take: a source with few deliveries among many of others' is looked for no further at a time.
const WINDOWS: usize = 16;

/// The records.
#[derive(Debug, Clone)]
pub struct Deliveries {
    bucket: Bucket,
}

/// A record as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery<T> {
    /// Its place in the order in which they were stored.
    pub seq: u64,
    pub key: String,
    pub record: T,
}

/// Some records, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage<T> {
    pub found: Vec<StoredDelivery<T>>,
    /// Those before this place have not been looked at; absent: there are none.
    pub next: Option<u64>,
}

impl Deliveries {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::DELIVERIES) }
    }

    /// Stores where nothing is. [`BusError::Conflict`]: there is something.
    pub async fn create<T: Serialize>(&self, key: &str, record: &T) -> Result<(), BusError> {
        valid(key)?;
        self.bucket.put_if(key, record, 0).await.map(|_| ())
    }

    /// Stores, whatever is there.
    pub async fn put<T: Serialize>(&self, key: &str, record: &T) -> Result<(), BusError> {
        valid(key)?;
        self.bucket.put(key, record).await.map(|_| ())
    }

    /// What stands under a key, as the leader has it.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, BusError> {
        valid(key)?;
        Ok(self.bucket.get(key).await?.value)
    }

    /// The same, with the revision that a change of it has to name.
    pub async fn held<T: DeserializeOwned>(&self, key: &str) -> Result<Held<Option<T>>, BusError> {
        valid(key)?;
        let entry = self.bucket.get(key).await?;
        Ok(Held { value: entry.value, revision: entry.revision })
    }

    /// Changes a record. [`BusError::Conflict`]: somebody else did meanwhile.
    pub async fn change<T: Serialize>(&self, key: &str, record: &T, revision: u64) -> Result<(), BusError> {
        valid(key)?;
        self.bucket.put_if(key, record, revision).await.map(|_| ())
    }

    /// The last record of one delivery of a source, whatever its body, as the leader has it.
    pub async fn last_of<T: DeserializeOwned>(&self, source: &SourceId, delivery: &str) -> Result<Option<(String, T)>, BusError> {
        let under = format!("{source}.{delivery}.body");
        valid(&under)?;
        let subject = self.bucket.subject(&format!("{source}.{delivery}.*"));
        let Some(stored) = self.bucket.link.last(&self.bucket.stream(), &subject).await? else { return Ok(None) };
        Ok(value_of(&stored)?.map(|record| (self.bucket.key(&stored.subject).to_owned(), record)))
    }

    /// Records of a source, or of all, newest first: at most `limit` of those that `wanted` lets through, stored before a place
    /// (absent: the newest). In a cluster it may miss what was written this instant.
    pub async fn before<T: DeserializeOwned>(
        &self,
        source: Option<&SourceId>,
        before: Option<u64>,
        limit: usize,
        wanted: impl Fn(&T) -> bool + Send,
    ) -> Result<DeliveryPage<T>, BusError> {
        let subjects = self.bucket.subject(&source.map_or_else(|| ">".to_owned(), |source| format!("{source}.>")));
        let (first, last) = self.bounds().await?;
        let mut end = before.unwrap_or(u64::MAX).min(last.saturating_add(1));
        let mut found = Vec::new();
        for _ in 0..WINDOWS {
            if end <= first {
                return Ok(DeliveryPage { found, next: None });
            }
            let start = end.saturating_sub(WINDOW).max(first);
            for stored in self.between(&subjects, start, end).await?.into_iter().rev() {
                let record = match value_of::<T>(&stored) {
                    Ok(Some(record)) => record,
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "the record of a delivery that cannot be read");
                        continue;
                    }
                };
                if wanted(&record) {
                    let seq = stored.seq;
                    found.push(StoredDelivery { seq, key: self.bucket.key(&stored.subject).to_owned(), record });
                    if found.len() >= limit {
                        return Ok(DeliveryPage { found, next: (seq > first).then_some(seq) });
                    }
                }
            }
            end = start;
        }
        Ok(DeliveryPage { found, next: (end > first).then_some(end) })
    }

    /// What is stored from one sequence up to another, which is not among them; oldest first.
    async fn between(&self, subjects: &str, start: u64, end: u64) -> Result<Vec<crate::scan::Stored>, BusError> {
        let mut found = Vec::new();
        let mut from = start;
        while from < end {
            let at_once = AtOnce { messages: WINDOW as usize, bytes: Some(1 << 20) };
            let some = self.bucket.link.many(&self.bucket.stream(), subjects, from, at_once).await?;
            let Some(last) = some.last().map(|stored| stored.seq) else { break };
            found.extend(some.into_iter().filter(|stored| stored.seq < end));
            from = last + 1;
        }
        Ok(found)
    }

    async fn bounds(&self) -> Result<(u64, u64), BusError> {
        let subject = format!("STREAM.INFO.{}", self.bucket.stream());
        let info: Info = self.bucket.link.api(Op("look at", &subject), &json!({})).await?;
        Ok((info.state.first_sequence, info.state.last_sequence))
    }
}

/// Three names; anything else would become another subject, or a wildcard.
fn valid(key: &str) -> Result<(), BusError> {
    let name = |t: &str| {
        (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    if key.split('.').count() == 3 && key.split('.').all(name) {
        return Ok(());
    }
    let shown: String = key.chars().take(80).flat_map(char::escape_debug).collect();
    Err(BusError::invalid(Op("use key", &shown), "a delivery's key is `source.delivery.body`, each a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_three_names() {
        let long = format!("a.b.{}", "c".repeat(65));
        for (key, good) in [
            ("platform.0f.9a", true),
            ("platform.refused.07", true),
            ("platform.0f", false),
            ("a.b.c.d", false),
            ("a..c", false),
            ("a.*.c", false),
            ("a.b.>", false),
            ("A.b.c", false),
            (long.as_str(), false),
        ] {
            assert_eq!(valid(key).is_ok(), good, "{key}");
        }
    }
}
