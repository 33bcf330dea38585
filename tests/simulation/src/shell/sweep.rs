//! The slow look at everything that is open. As in `scheduler/src/sweep.rs`.

use super::{
    Shell, locks, places,
    planted::wrong,
    turn::{Cause, Outcome},
};
use crate::core::Away;
use domain::{lock, run::Input};
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
};
use std::collections::BTreeSet;

const SWEEP_EVERY: u64 = 30_000;

/// Sweeps at once and then regularly.
pub async fn repeat(shell: &Shell) {
    loop {
        let _ = sweep(shell).await;
        shell.ctx.sleep(SWEEP_EVERY).await;
    }
}

async fn sweep(shell: &Shell) -> Result<(), Away> {
    let records = shell.ctx.read(|store, _| store.lock_records()).await?;
    // Not the holders: one that was never told that it holds asks again, and finds out.
    let in_line: BTreeSet<(RunId, &LockKey)> =
        records.iter().flat_map(|record| record.queue.iter().map(move |waiter| (waiter.run, &record.key))).collect();
    // Every log there is, ended or not: a run that another scheduler took on and died with is known nowhere else.
    let over = |run: &RunId| shell.ctx.core.oracle.borrow().truths.get(run).is_some_and(|truth| truth.run.is_over());
    let mut open: BTreeSet<RunId> = shell.ctx.read(|store, _| store.runs().filter(|run| !over(run)).collect()).await?;
    open.extend(shell.memory.index.borrow().open.iter().copied());
    for run in open {
        let mut slot = shell.slot(run).await;
        slot.state.in_line.retain(|key| in_line.contains(&(run, key)));
        if let Outcome::NoSuchRun = shell.turn_in(&mut slot, run, Cause::Input(Input::Tick)).await? {
            shell.memory.index.borrow_mut().forget(run);
        }
    }
    places::keep_open(shell);
    if wrong!(NobodyWakesWaiters) {
        return Ok(());
    }
    for record in &records {
        for run in runs_in(record) {
            sweep_place(shell, record, run).await?;
        }
        if record.holder.is_none() {
            locks::grant_next(shell, std::slice::from_ref(record)).await?;
        }
    }
    Ok(())
}

fn runs_in(record: &LockRecord) -> Vec<RunId> {
    record.holder.iter().map(|holder| holder.run).chain(record.queue.iter().map(|waiter| waiter.run)).collect()
}

async fn sweep_place(shell: &Shell, record: &LockRecord, run: RunId) -> Result<(), Away> {
    let (needless, wanted) = {
        let mut slot = shell.slot(run).await;
        shell.refresh(&mut slot.state, run).await?;
        let Some(state) = &slot.state.run else { return Ok(()) };
        let needless = !state.needs_lock(&record.key);
        let wanted = state.wants_lock(&record.key);
        if needless {
            slot.state.returned.clear();
        }
        (needless, wanted)
    };
    if needless {
        shell.turn(run, Cause::Again).await?;
        return locks::release(shell, run, std::slice::from_ref(&record.key)).await;
    }
    let holds = record.holder.as_ref().is_some_and(|holder| holder.run == run);
    if holds && wanted && lock::position(record, run).is_none() {
        shell.turn(run, Cause::Again).await?;
    }
    Ok(())
}
