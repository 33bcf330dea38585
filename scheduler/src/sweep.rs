//! The slow look at everything that is open: finds what a lost message or a crash left behind. It knows nothing that the
//! store does not tell.

use crate::{
    effects, lock_watch, locks, places, retell,
    shard::Shard,
    turn::{Cause, Outcome, TurnError},
    views,
};
use bus::{BusError, Decided};
use domain::{
    lock,
    run::{self, Input},
};
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
};
use service::metrics::LockWait;
use std::{collections::BTreeSet, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Reads what is open when a scheduler starts, so that it knows whom to watch; what is due is done by the first sweep.
pub(crate) async fn recover(shard: &Arc<Shard>) -> Result<(), BusError> {
    note_decided(shard, NEWEST_ENDED).await?;
    // From what was noted, not from what is new: done again after it was cut short, the log does not tell of it again.
    let open = shard.index().open.clone();
    let known = open.len();
    for run in open {
        let slot = shard.slot(run);
        let loaded = slot.lock().await.load(shard, run).await;
        match loaded {
            Ok(()) => {}
            Err(error) if error.retryable() => return Err(error),
            // One run that cannot be read (written by a newer version, say) does not keep the others from going on.
            Err(error) => tracing::error!(%run, %error, "an open run cannot be read; it is left as it is"),
        }
    }
    match look_at_locks(shard).await {
        Ok(_) => {}
        Err(TurnError::Bus(error)) if error.retryable() => return Err(error),
        Err(error) => tracing::error!(%error, "the lock records could not be compared with the runs; the sweep tries again"),
    }
    shard.metrics.active_deployments(known as u64);
    tracing::info!(shard = %shard.number, open_runs = known, "recovered");
    Ok(())
}

/// Sweeps at once and then regularly, until told to drain.
pub(crate) async fn repeat(shard: Arc<Shard>, drain: CancellationToken) -> Result<(), BusError> {
    let mut every = tokio::time::interval(shard.sweep_every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        match sweep(&shard).await {
            Ok(()) => shard.note_store(None),
            Err(TurnError::Bus(error)) if !error.retryable() => {
                tracing::error!(%error, "the store is not as it must be; does `navvy admin migrate --check` say what is missing?");
                shard.note_store(Some(error.to_string()));
            }
            Err(error) => tracing::warn!(%error, "a sweep was cut short; the next one goes on"),
        }
    }
}

/// Ended runs whose view is looked at when a scheduler starts: more than can have been decided in the moment before the
/// former one died.
const NEWEST_ENDED: usize = 256;

/// Notes which runs were decided on since the last look: those that are open, also when they cannot be read, and the newest
/// of those that have ended, so many at most, if no view shows it. Noted at once: whatever is cut short afterwards, the next
/// look does not hear of them again.
async fn note_decided(shard: &Shard, most_ended: usize) -> Result<(), BusError> {
    let decided = shard.bus.run_log().decided_since(shard.number, &mut *shard.looked.lock().await).await?;
    let (open, mut ended): (Vec<Decided>, Vec<Decided>) = decided.into_iter().partition(|decided| decided.open);
    shard.index().open.extend(open.iter().map(|decided| decided.run));
    ended.sort_unstable_by_key(|decided| std::cmp::Reverse(decided.seq));
    ended.truncate(most_ended);
    note_unshown(shard, ended).await;
    Ok(())
}

/// Compares what runs say with the lock records. Gives the records.
async fn look_at_locks(shard: &Shard) -> Result<Vec<LockRecord>, TurnError> {
    let records = shard.bus.locks().list().await.inspect_err(|error| lock_watch::note_unreadable(shard, error))?;
    lock_watch::look(shard, &records).await?;
    Ok(records)
}

/// Ended runs that no view shows as ended, not even as running, are put on the list of those to be shown.
async fn note_unshown(shard: &Shard, ended: Vec<Decided>) {
    for Decided { run, seq, .. } in ended {
        let slot = shard.slot(run);
        let shown_here = slot.try_lock().is_ok_and(|slot| slot.shown >= seq);
        // In doubt it is shown once more, which costs nothing but a write.
        let shown = shown_here || shard.bus.views().get(run).await.is_ok_and(|view| view.is_some_and(|view| view.seq >= seq));
        if !shown {
            shard.index().unfinished.insert(run);
        }
    }
}

async fn sweep(shard: &Shard) -> Result<(), TurnError> {
    shard.bus.inbox().depth(shard.number).await?;
    // Asked of the store, not of memory: a run that another scheduler took on and died with is known nowhere else.
    note_decided(shard, usize::MAX).await?;
    shard.evict_ended();
    let records = look_at_locks(shard).await?;
    // Not the holders: one that was never told that it holds asks again, and finds out.
    let in_line: BTreeSet<(RunId, &LockKey)> =
        records.iter().flat_map(|record| record.queue.iter().map(move |waiter| (waiter.run, &record.key))).collect();
    let open = shard.index().open.clone();
    for run in open {
        go_on(sweep_run(shard, run, &in_line).await, &run)?;
    }
    places::keep_open(shard);
    sweep_locks(shard, &records).await?;
    sweep_secrets(shard).await?;
    views::show_ended(shard).await;
    match shard.bus.dead_letters().count().await {
        Ok(count) => shard.metrics.dead_letters(count),
        Err(error) => tracing::warn!(%error, "the dead letters cannot be counted"),
    }
    let pools: Vec<_> = shard.index().pools.iter().cloned().collect();
    for pool in pools {
        match shard.bus.work().depth(&pool).await {
            Ok(depth) => shard.metrics.queue_depth(pool.as_str(), depth),
            Err(error) => tracing::warn!(%pool, %error, "a pool's queue cannot be looked at; does `navvy admin migrate` know the pool?"),
        }
    }
    Ok(())
}

/// Trouble with one thing does not keep the sweep from the others; a store that is away ends it.
fn go_on(result: Result<(), TurnError>, about: &dyn std::fmt::Display) -> Result<(), TurnError> {
    match result {
        Err(TurnError::Bus(error)) if error.retryable() => Err(error.into()),
        Err(error) => {
            tracing::error!(%about, %error, "the sweep could not look after this one; it goes on with the others");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Deadlines first; when nothing is due, what is outstanding is done again.
async fn sweep_run(shard: &Shard, run: RunId, in_line: &BTreeSet<(RunId, &LockKey)>) -> Result<(), TurnError> {
    let slot = shard.slot(run);
    let mut slot = slot.lock().await;
    slot.in_line.retain(|key| in_line.contains(&(run, key)));
    let outcome = shard.turn_in(&mut slot, run, Cause::Input(Input::Tick)).await?;
    if matches!(outcome, Outcome::NoSuchRun) || slot.run.as_ref().is_some_and(run::Run::is_over) {
        shard.index().forget(run);
    }
    retell::when_due(shard, &mut slot, run).await
}

/// Lock records whose runs have moved on: a holder or waiter that is over gives way; a holder that does not know of its
/// luck is told; a free lock goes to the first in line.
async fn sweep_locks(shard: &Shard, records: &[LockRecord]) -> Result<(), TurnError> {
    let mut waiting = 0;
    let mut held = 0;
    for record in records {
        held += u64::from(record.holder.is_some());
        waiting += record.queue.len() as u64;
        for run in runs_in(record).into_iter().filter(|run| run.shard() == shard.number) {
            go_on(sweep_place(shard, record, run).await, &record.key)?;
        }
        if record.holder.is_none() {
            go_on(locks::grant_next(shard, std::slice::from_ref(record)).await, &record.key)?;
        }
    }
    shard.metrics.locks(LockWait { held, waiting });
    Ok(())
}

fn runs_in(record: &LockRecord) -> Vec<RunId> {
    record.holder.iter().map(|holder| holder.run).chain(record.queue.iter().map(|waiter| waiter.run)).collect()
}

async fn sweep_place(shard: &Shard, record: &LockRecord, run: RunId) -> Result<(), TurnError> {
    let (needless, wanted) = {
        let slot = shard.slot(run);
        let mut slot = slot.lock().await;
        slot.refresh(shard, run).await?;
        // A lock of a run that the store does not know is left alone and shouted about: the log is the truth, and
        // a truth that is missing is for a person.
        let Some(state) = &slot.run else {
            tracing::error!(%run, lock = %record.key, "a lock names a run that is not in the store; it is left as it is");
            return Ok(());
        };
        let needless = !state.needs_lock(&record.key);
        let wanted = state.wants_lock(&record.key);
        if needless {
            // It was put there again after it had left.
            slot.returned.clear();
        }
        (needless, wanted)
    };
    if needless {
        // What its syncs told is kept before a lock goes on, and a set is left as it was taken: whole.
        shard.turn(run, Cause::Again).await?;
        locks::release(shard, run, std::slice::from_ref(&record.key)).await
    } else {
        let holds = record.holder.as_ref().is_some_and(|holder| holder.run == run);
        if holds && wanted && lock::position(record, run).is_none() {
            shard.turn(run, Cause::Again).await?;
        }
        Ok(())
    }
}

/// Secrets of runs that are over are deleted. Those of runs that the store does not know yet are left: their trigger may
/// be on its way.
async fn sweep_secrets(shard: &Shard) -> Result<(), TurnError> {
    for run in shard.bus.sealed().list().await? {
        if run.shard() != shard.number || shard.index().open.contains(&run) {
            continue;
        }
        go_on(sweep_secret(shard, run).await, &run)?;
    }
    Ok(())
}

async fn sweep_secret(shard: &Shard, run: RunId) -> Result<(), TurnError> {
    let slot = shard.slot(run);
    let mut slot = slot.lock().await;
    slot.refresh(shard, run).await?;
    match slot.run.as_ref().filter(|run| run.is_over()).map(run::Run::orders_spec) {
        Some(Some(spec)) => effects::delete_pages(shard, run, spec.page_starts.len() as u32).await?,
        Some(None) => shard.bus.sealed().delete(run).await?,
        None => {}
    }
    Ok(())
}
