//! Places for orders: asks [`domain::dispatch`] whose turn it is, and feeds the answer to the runs.

use crate::shard::Shard;
use domain::{
    dispatch::{Dispatcher, Grant},
    run::{self, Event, Input, Run},
};
use jiff::Timestamp;
use proto::{PoolName, RunId};
use std::sync::{MutexGuard, PoisonError};

/// Puts what may go out of this run into the decision that is being made; what may go out of others is told to them. Before
/// the commit: should that be refused, the run is read again and tells how it really stands.
pub(crate) fn fill(shard: &Shard, run: &mut Run, now: Timestamp, events: &mut Vec<Event>) {
    if run.orders.is_none() {
        return;
    }
    let granted = grants(shard, run);
    let ours = tell_others(shard, run.id, granted);
    if ours.is_empty() {
        return;
    }
    match run::decide(run, &Input::Dispatch { places: ours }, now, &shard.policy) {
        Ok(more) => events.extend(more),
        Err(refusal) => tracing::debug!(run = %run.id, %refusal, "places that the run cannot use"),
    }
    places(shard).note(run);
}

/// After a decision or a look: what there is room for now goes out in a decision of its own.
pub(crate) fn hand_out(shard: &Shard, run: &Run) {
    let granted = grants(shard, run);
    let ours = tell_others(shard, run.id, granted);
    if !ours.is_empty() {
        shard.wake(run.id, Input::Dispatch { places: ours });
    }
}

/// Forgets the runs that the sweep does not look at any more: they may have ended without a turn in this process.
pub(crate) fn keep_open(shard: &Shard) {
    let open = shard.index().open.clone();
    places(shard).keep(&open);
}

fn grants(shard: &Shard, run: &Run) -> Vec<Grant> {
    let mut places = places(shard);
    places.note(run);
    places.grants()
}

fn tell_others(shard: &Shard, run: RunId, granted: Vec<Grant>) -> Vec<(PoolName, u32)> {
    let (ours, others): (Vec<Grant>, Vec<Grant>) = granted.into_iter().partition(|grant| grant.run == run);
    for Grant { run, pool, places } in others {
        shard.wake(run, Input::Dispatch { places: vec![(pool, places)] });
    }
    ours.into_iter().map(|grant| (grant.pool, grant.places)).collect()
}

fn places(shard: &Shard) -> MutexGuard<'_, Dispatcher> {
    shard.places.lock().unwrap_or_else(PoisonError::into_inner)
}
