//! API keys as they stand in the bucket KEYS, remembered for a moment.
//!
//! A record is read again when it is older than [`FRESH`], so a revocation at any gateway holds everywhere within that
//! time. When a key was used last stands apart from it: writing it together could bring a revoked key back to life.

use super::scope::Scope;
use crate::answers::chain;
use bus::{BusError, Keys};
use jiff::{SignedDuration, Timestamp};
use proto::subject;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a record is believed without looking again.
const FRESH: Duration = Duration::from_secs(20);
/// Records that are remembered at most.
const REMEMBERED: usize = 1_000;
/// How exactly it is recorded when a key was used.
const USE_GRAIN: SignedDuration = SignedDuration::from_hours(1);

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) id: String,
    /// For records: who did it.
    pub(crate) name: String,
    /// SHA-256 of the key's text, hex.
    pub(crate) digest: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) expires_at: Timestamp,
}

impl KeyRecord {
    /// Whether the key opens anything at this moment.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// When a key was used last, to the hour.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LastUse {
    at: Timestamp,
}

/// The keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: Keys,
    remembered: Mutex<HashMap<String, Remembered>>,
}

#[derive(Debug, Clone)]
struct Remembered {
    record: KeyRecord,
    read_at: Instant,
    use_recorded: Option<Timestamp>,
}

fn use_key(id: &str) -> String {
    format!("used.{id}")
}

impl Keyring {
    /// The keys of a bucket.
    pub(crate) fn new(store: Keys) -> Self {
        Self { store, remembered: Mutex::default() }
    }

    /// The record of a key, no older than [`FRESH`].
    pub(crate) async fn find(&self, id: &str) -> Result<Option<KeyRecord>, BusError> {
        if let Some(record) = self.remembered(id) {
            return Ok(Some(record));
        }
        let read_at = Instant::now();
        let found: Option<KeyRecord> = self.store.get(&subject::api_key(id)).await?;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = found.filter(|record| record.id == id) else {
            remembered.remove(id);
            return Ok(None);
        };
        if remembered.len() >= REMEMBERED && !remembered.contains_key(id) {
            remembered.clear();
        }
        let use_recorded = remembered.get(id).and_then(|known| known.use_recorded);
        remembered.insert(id.to_owned(), Remembered { record: record.clone(), read_at, use_recorded });
        Ok(Some(record))
    }

    /// The record of a key, if it was read a moment ago.
    pub(crate) fn remembered(&self, id: &str) -> Option<KeyRecord> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(id).filter(|known| known.read_at.elapsed() < FRESH).map(|known| known.record.clone())
    }

    /// Records that a key was used, about once an hour. Nothing hangs on it.
    pub(crate) async fn used(&self, record: &KeyRecord) {
        let now = Timestamp::now();
        {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(known) = remembered.get_mut(&record.id) else { return };
            if known.use_recorded.is_some_and(|at| now.duration_since(at) < USE_GRAIN) {
                return;
            }
            known.use_recorded = Some(now);
        }
        let hour = Timestamp::from_second(now.as_second() - now.as_second().rem_euclid(USE_GRAIN.as_secs())).unwrap_or(now);
        if let Err(error) = self.store.put(&use_key(&record.id), &LastUse { at: hour }).await {
            tracing::debug!(error = chain(&error), "the use of a key was not recorded");
        }
    }

    /// Adds a key.
    pub(crate) async fn create(&self, record: &KeyRecord) -> Result<(), BusError> {
        self.store.create(&subject::api_key(&record.id), record).await
    }

    /// Every key, and when it was used last.
    pub(crate) async fn list(&self) -> Result<Vec<(KeyRecord, Option<Timestamp>)>, BusError> {
        let uses: HashMap<String, LastUse> = self.store.list("used.").await?.into_iter().collect();
        let records: Vec<(String, KeyRecord)> = self.store.list("api.").await?;
        let with_use = |(_, record): (String, KeyRecord)| {
            let at = uses.get(&use_key(&record.id)).map(|last| last.at);
            (record, at)
        };
        Ok(records.into_iter().map(with_use).collect())
    }

    /// Revokes a key. Says whether there was one.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, BusError> {
        let there: Option<KeyRecord> = self.store.get(&subject::api_key(id)).await?;
        if there.is_none() {
            return Ok(false);
        }
        self.store.delete(&subject::api_key(id)).await?;
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        // Should this fail, a moment of use stays behind that belongs to no key.
        let _ = self.store.delete(&use_key(id)).await;
        Ok(true)
    }
}
