//! Tails that were looked at lately. Bounded: what was not looked at for longest is forgotten, and read again if needed.

use super::tails::Tails;
use crate::logs::source::Source;
use bus::{Bus, BusError, Written};
use proto::ids::AttemptId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What all tails together may take, in bytes.
const BUDGET_BYTES: usize = 24 * 1024 * 1024;

/// The tails of many attempts.
#[derive(Debug, Default)]
pub(crate) struct TailCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_attempt: HashMap<AttemptId, Entry>,
    looks: u64,
}

#[derive(Debug)]
struct Entry {
    tails: Shared,
    size: usize,
    last_look: u64,
}

/// Two who look at the same attempt read it one after the other, not twice.
pub(crate) type Shared = Arc<tokio::sync::Mutex<Tails>>;

impl TailCache {
    /// The tails of an attempt, read up to now.
    pub(crate) async fn read(&self, bus: &Bus, of: Written, over: bool) -> Result<Shared, BusError> {
        let (id, worker) = (of.id, of.worker.clone());
        let shared = self.entry(bus, of);
        let mut tails = shared.lock().await;
        tails.written_by(worker.as_ref());
        tails.read_on(over).await?;
        let size = tails.size();
        drop(tails);
        self.keep_budget(id, size);
        Ok(shared)
    }

    fn entry(&self, bus: &Bus, of: Written) -> Shared {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.looks += 1;
        let look = entries.looks;
        let id = of.id;
        let fresh = || Arc::new(tokio::sync::Mutex::new(Tails::new(Source::new(bus.clone(), of, 0))));
        let entry = entries.by_attempt.entry(id).or_insert_with(|| Entry { tails: fresh(), size: 0, last_look: look });
        entry.last_look = look;
        Arc::clone(&entry.tails)
    }

    fn keep_budget(&self, id: AttemptId, size: usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.by_attempt.get_mut(&id) {
            entry.size = size;
        }
        let mut total: usize = entries.by_attempt.values().map(|entry| entry.size).sum();
        while total > BUDGET_BYTES {
            let oldest = entries.by_attempt.iter().min_by_key(|(_, entry)| entry.last_look).map(|(id, _)| *id);
            let Some(entry) = oldest.and_then(|oldest| entries.by_attempt.remove(&oldest)) else { return };
            total -= entry.size;
        }
    }
}
