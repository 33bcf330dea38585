//! A KV bucket as `nats kv` knows it, spoken by hand: reads come from the leader, every write may carry an expectation,
//! and keys are removed without losing what their next revision must be.

use crate::batch::Write;
use crate::error::{BusError, Op};
use crate::layout::{bucket_stream, bucket_subject};
use crate::link::{Link, headers};
use crate::scan::{self, Filter, Stored};
use async_nats::HeaderMap;
use bytes::Bytes;
use proto::codec;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

const OPERATION: &str = "KV-Operation";
const MARKER_REASON: &str = "Nats-Marker-Reason";

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) link: Link,
    pub(crate) name: &'static str,
}

/// What a key holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    /// Sequence of the last write; what the next one must expect. 0: never written.
    pub(crate) revision: u64,
    /// `None`: never written, deleted, or expired.
    pub(crate) value: Option<T>,
}

impl Bucket {
    pub(crate) fn new(link: Link, name: &'static str) -> Self {
        Self { link, name }
    }

    pub(crate) fn stream(&self) -> String {
        bucket_stream(self.name)
    }

    pub(crate) fn subject(&self, key: &str) -> String {
        bucket_subject(self.name, key)
    }

    /// The key of a subject of this bucket.
    pub(crate) fn key<'a>(&self, subject: &'a str) -> &'a str {
        subject.strip_prefix("$KV.").and_then(|s| s.strip_prefix(self.name)).and_then(|s| s.strip_prefix('.')).unwrap_or(subject)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Entry<T>, BusError> {
        let subject = self.subject(key);
        let Some(stored) = self.link.last(&self.stream(), &subject).await? else {
            return Ok(Entry { revision: 0, value: None });
        };
        Ok(Entry { revision: stored.seq, value: value_of(&stored)? })
    }

    /// Writes, whatever is there.
    pub(crate) async fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<u64, BusError> {
        let subject = self.subject(key);
        let op = Op("put", &subject);
        Ok(self.link.publish(op, HeaderMap::new(), encoded(op, value)?).await?.sequence)
    }

    /// Writes only if `revision` is still the last one (0: never written).
    pub(crate) async fn put_if<T: Serialize>(&self, key: &str, value: &T, revision: u64) -> Result<u64, BusError> {
        self.link.write_one("put", &self.write(key, value, revision)?).await
    }

    pub(crate) fn write<T: Serialize>(&self, key: &str, value: &T, revision: u64) -> Result<Write, BusError> {
        let subject = self.subject(key);
        let payload = encoded(Op("put", &subject), value)?;
        Ok(Write { subject, expected: revision, headers: HeaderMap::new(), payload })
    }

    /// Removes a key. What remains is a marker; `ttl` (as NATS writes it, `1h`) is how long, in buckets that allow it.
    pub(crate) async fn remove(&self, key: &str, ttl: Option<&str>) -> Result<(), BusError> {
        let subject = self.subject(key);
        let mut marker = headers(&[(OPERATION, "PURGE"), ("Nats-Rollup", "sub")]);
        if let Some(ttl) = ttl {
            marker.insert("Nats-TTL", ttl);
        }
        self.link.publish(Op("remove", &subject), marker, Bytes::new()).await?;
        Ok(())
    }

    /// Every key that was ever written, removed ones included, without a consumer: whoever may create one on a stream says
    /// where its messages are delivered, and so could have what it wrote here delivered anywhere. For buckets of few keys.
    pub(crate) async fn keys(&self) -> Result<Vec<String>, BusError> {
        let subject = format!("STREAM.INFO.{}", self.stream());
        let (mut keys, mut offset) = (Vec::new(), 0);
        loop {
            let asked = serde_json::json!({ "subjects_filter": self.subject(">"), "offset": offset });
            let told: Subjects = self.link.api(Op("list", &subject), &asked).await?;
            let page = told.state.subjects.unwrap_or_default();
            offset += page.len();
            keys.extend(page.into_keys().map(|subject| self.key(&subject).to_owned()));
            if offset >= told.total || offset == 0 {
                return Ok(keys);
            }
        }
    }

    /// Every key with a value, as it is stored.
    pub(crate) async fn all(&self) -> Result<Vec<Stored>, BusError> {
        let stream = self.stream();
        let subjects = self.subject(">");
        let filter = Filter { stream: &stream, subjects: &subjects, headers_only: false };
        let mut found = scan::last_of_each(&self.link, filter).await?;
        found.retain(|stored| !is_marker(stored));
        Ok(found)
    }
}

/// The part of what a server says about a stream that names its subjects, a page at a time.
#[derive(Deserialize)]
struct Subjects {
    /// Of all pages.
    #[serde(default)]
    total: usize,
    state: SubjectsOfState,
}

#[derive(Deserialize)]
struct SubjectsOfState {
    subjects: Option<BTreeMap<String, u64>>,
}

fn encoded<T: Serialize>(op: Op<'_>, value: &T) -> Result<Bytes, BusError> {
    codec::encode(value).map(Bytes::from).map_err(|error| BusError::unencodable(op, &error))
}

/// Whether this says that the key is gone.
pub(crate) fn is_marker(stored: &Stored) -> bool {
    matches!(stored.header(OPERATION), Some("DEL" | "PURGE")) || stored.header(MARKER_REASON).is_some()
}

/// The value, or `None` where the key is gone.
pub(crate) fn value_of<T: DeserializeOwned>(stored: &Stored) -> Result<Option<T>, BusError> {
    if is_marker(stored) {
        return Ok(None);
    }
    codec::decode(&stored.payload).map(Some).map_err(|error| BusError::corrupt(Op("read", &stored.subject), error))
}
