//! Whether the lock records can be believed. A run's log says that it holds its locks; the records in LOCKS are what keeps
//! others out. A bucket that was lost, emptied or restored from an older copy says nothing wrong by itself: it just looks
//! free. So nothing is granted and nothing starts while
//!
//! - the bucket lacks the mark that this shard once put there and that nothing takes away, or
//! - an open run says that it holds a lock, and no record names it.
//!
//! What runs goes on and may end. When the last such run has ended, or the bucket was restored, the next sweep sees it,
//! marks the bucket again, and everything goes on. Nothing is written back from here: who holds what is for a person to
//! find out, because what stands in between may be an apply.

use crate::{
    shard::{self, Shard},
    turn::TurnError,
};
use bus::BusError;
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is wrong with the lock records, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct LockWatch(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    /// Open runs that say that they hold these locks, while no record names them.
    unnamed: BTreeMap<RunId, Vec<LockKey>>,
    /// The mark was missing when a lock was to be granted.
    unmarked: bool,
    /// The records cannot be read, for a reason that does not pass by itself.
    unreadable: Option<String>,
}

impl LockWatch {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing may be granted or started; `None`: all is well.
    pub(crate) fn trouble(&self) -> Option<String> {
        let found = self.found();
        if let Some(why) = &found.unreadable {
            return Some(format!("the lock records cannot be read: {why}"));
        }
        if !found.unnamed.is_empty() {
            let runs: Vec<String> = found.unnamed.keys().take(5).map(ToString::to_string).collect();
            return Some(format!(
                "{} open runs say that they hold locks that no record in the bucket LOCKS names them for ({}): restore the bucket, or let \
                 these runs end or settle them; until then nothing is granted or started",
                found.unnamed.len(),
                runs.join(", ")
            ));
        }
        found.unmarked.then(|| "the bucket LOCKS was emptied or replaced; the next sweep looks what is left".to_owned())
    }

    fn note_unnamed(&self, run: RunId, keys: Vec<LockKey>) {
        self.found().unnamed.insert(run, keys);
    }

    fn note_unmarked(&self) {
        self.found().unmarked = true;
    }
}

/// Whether these free locks may be given to `run`. Asked right before the records are written.
pub(crate) async fn may_grant(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<bool, TurnError> {
    if shard.lock_watch.trouble().is_some() {
        return Ok(false);
    }
    if !shard.bus.locks().is_marked(shard.number).await? {
        tracing::error!(%run, "the bucket LOCKS has lost its mark: it was emptied or replaced. Nothing is granted");
        shard.lock_watch.note_unmarked();
        return Ok(false);
    }
    let holders: BTreeSet<RunId> = {
        let index = shard.index();
        keys.iter().filter_map(|key| index.holders.get(key)).copied().filter(|holder| *holder != run).collect()
    };
    for holder in holders {
        let mut held = held_in_log(shard, holder).await?;
        held.retain(|key| keys.contains(key));
        // One that was handed to it since the records were read names it now; the write of those finds out.
        let stored = shard.bus.locks().read(&held).await?;
        if stored.iter().any(|record| !names(&record.value, holder)) {
            tracing::error!(%run, %holder, "a lock looks free, but an open run holds it: the bucket LOCKS has lost records. Nothing is granted");
            shard.lock_watch.note_unnamed(holder, held);
            return Ok(false);
        }
    }
    Ok(true)
}

fn names(record: &LockRecord, run: RunId) -> bool {
    record.holder.as_ref().is_some_and(|holder| holder.run == run)
}

/// The locks that a run holds by its log, as the store has it now; none, if it is over.
async fn held_in_log(shard: &Shard, run: RunId) -> Result<Vec<LockKey>, TurnError> {
    let (state, ..) = shard::read_run(&shard.bus, run).await?;
    Ok(state.filter(|state| !state.is_over()).map(|state| state.locks_held()).unwrap_or_default())
}

/// Compares every open run of the shard that says it holds locks with the records, and marks the bucket when all is well.
/// `records` is what a reader saw, perhaps late; whoever is not named there is asked for at the leader.
pub(crate) async fn look(shard: &Shard, records: &[LockRecord]) -> Result<(), TurnError> {
    let named: BTreeSet<(&LockKey, RunId)> =
        records.iter().filter_map(|record| record.holder.as_ref().map(|holder| (&record.key, holder.run))).collect();
    let suspects: Vec<RunId> = {
        let index = shard.index();
        let all_named = |run: RunId, keys: &[LockKey]| keys.iter().all(|key| named.contains(&(key, run)));
        index.held.iter().filter(|(run, keys)| !all_named(**run, keys)).map(|(run, _)| *run).collect()
    };
    let mut unnamed = BTreeMap::new();
    for run in suspects {
        let keys = shard.index().held.get(&run).cloned().unwrap_or_default();
        let stored = shard.bus.locks().read(&keys).await?;
        let missing: Vec<LockKey> =
            stored.into_iter().map(|record| record.value).filter(|record| !names(record, run)).map(|record| record.key).collect();
        if missing.is_empty() {
            continue;
        }
        // The run, or a sync of it, may have ended before the record was read: its log, read after it, knows. Only what it
        // held before the record was read and holds after it was lost; what it has taken since, no record could name yet.
        let held = held_in_log(shard, run).await?;
        let lost: Vec<LockKey> = missing.into_iter().filter(|key| held.contains(key)).collect();
        if !lost.is_empty() {
            tracing::error!(%run, ?lost, "an open run holds locks that no record names it for: the bucket LOCKS has lost records");
            unnamed.insert(run, lost);
        }
    }
    let well = unnamed.is_empty();
    if well && !shard.bus.locks().is_marked(shard.number).await? {
        shard.bus.locks().mark(shard.number).await?;
        tracing::info!(shard = %shard.number, "the bucket LOCKS is marked as whole");
    }
    shard.metrics.locks_lost(unnamed.len() as u64);
    *shard.lock_watch.found() = Found { unnamed, unmarked: false, unreadable: None };
    Ok(())
}

/// The records could not be read. What passes by itself says nothing about them.
pub(crate) fn note_unreadable(shard: &Shard, error: &BusError) {
    if !error.retryable() {
        tracing::error!(%error, "the lock records cannot be read; nothing is granted or started");
        shard.lock_watch.found().unreadable = Some(error.to_string());
    }
}
