//! The slow look at everything that is open: finds what a lost message or a crash left behind. It knows nothing that the
//! store does not tell.

use crate::{
    locks,
    shard::Shard,
    turn::{Cause, Outcome, TurnError},
    views,
};
use bus::BusError;
use domain::{
    lock,
    run::{Input, LockState},
};
use proto::{RunId, lock::LockRecord};
use service::metrics::LockWait;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Reads what is open when a scheduler starts, so that it knows whom to watch; what is due is done by the first sweep.
pub(crate) async fn recover(shard: &Arc<Shard>) -> Result<(), BusError> {
    let open = shard.bus.run_log().open_runs(shard.number).await?;
    let known = open.len();
    for run in open {
        let slot = shard.slot(run);
        slot.lock().await.load(shard, run).await?;
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
        if let Err(error) = sweep(&shard).await {
            tracing::warn!(%error, "a sweep was cut short; the next one goes on");
        }
    }
}

async fn sweep(shard: &Shard) -> Result<(), TurnError> {
    // Asked of the store, not of memory: a run that another scheduler took on and died with is known nowhere else.
    let open = shard.bus.run_log().open_runs(shard.number).await?;
    let known: Vec<RunId> = shard.index().open.iter().copied().filter(|run| !open.contains(run)).collect();
    for run in known.into_iter().chain(open) {
        // Deadlines first; when nothing is due, what is outstanding is done again.
        if let Outcome::NoSuchRun = shard.turn(run, Cause::Input(Input::Tick)).await? {
            shard.index().open.remove(&run);
        }
    }
    sweep_locks(shard).await?;
    sweep_secrets(shard).await?;
    let pools: Vec<_> = shard.index().pools.iter().cloned().collect();
    for pool in pools {
        shard.metrics.queue_depth(pool.as_str(), shard.bus.work().depth(&pool).await?);
    }
    views::show_ended(shard).await;
    shard.evict_ended();
    Ok(())
}

/// Lock records whose runs have moved on: a holder or waiter that is over gives way; a holder that does not know of its
/// luck is told; a free lock goes to the first in line.
async fn sweep_locks(shard: &Shard) -> Result<(), TurnError> {
    let records = shard.bus.locks().list().await?;
    let mut waiting = 0;
    let mut held = 0;
    for record in &records {
        held += u64::from(record.holder.is_some());
        waiting += record.queue.len() as u64;
        for run in runs_in(record).into_iter().filter(|run| run.shard() == shard.number) {
            sweep_place(shard, record, run).await?;
        }
        if record.holder.is_none() {
            locks::grant_next(shard, std::slice::from_ref(record)).await?;
        }
    }
    shard.metrics.locks(LockWait { held, waiting });
    Ok(())
}

fn runs_in(record: &LockRecord) -> Vec<RunId> {
    record.holder.iter().map(|holder| holder.run).chain(record.queue.iter().map(|waiter| waiter.run)).collect()
}

async fn sweep_place(shard: &Shard, record: &LockRecord, run: RunId) -> Result<(), TurnError> {
    let (over, wanted) = {
        let slot = shard.slot(run);
        let mut slot = slot.lock().await;
        slot.refresh(shard, run).await?;
        // A lock of a run that the store does not know is left alone and shouted about: the log is the truth, and
        // a truth that is missing is for a person.
        let Some(state) = &slot.run else {
            tracing::error!(%run, lock = %record.key, "a lock names a run that is not in the store; it is left as it is");
            return Ok(());
        };
        (state.is_over(), state.lock == LockState::Wanted)
    };
    if over {
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
        let slot = shard.slot(run);
        let mut slot = slot.lock().await;
        slot.refresh(shard, run).await?;
        if slot.run.as_ref().is_some_and(domain::run::Run::is_over) {
            shard.bus.sealed().delete(run).await?;
        }
    }
    Ok(())
}
