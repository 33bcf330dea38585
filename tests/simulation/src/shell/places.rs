//! Places for orders. As in `scheduler/src/places.rs`, with the same [`domain::dispatch::Dispatcher`].

use super::{Shell, planted::wrong};
use crate::sometimes::Case;
use domain::{
    dispatch::Grant,
    run::{self, Event, Input, Run},
};
use jiff::Timestamp;
use proto::{PoolName, RunId};

/// Puts what may go out of this run into the decision that is being made; what may go out of others is told to them.
pub(super) fn fill(shell: &Shell, run: &mut Run, now: Timestamp, events: &mut Vec<Event>) {
    if run.orders.is_none() {
        return;
    }
    let granted = grants(shell, run);
    let ours = tell_others(shell, run.id, granted);
    if ours.is_empty() {
        return;
    }
    if let Ok(more) = run::decide(run, &Input::Dispatch { places: ours }, now, &shell.ctx.core.policy)
        && !wrong!(PlacesNotWritten)
    {
        events.extend(more);
    }
    shell.memory.places.borrow_mut().note(run);
}

/// After a decision or a look: what there is room for now goes out in a decision of its own.
pub(super) fn hand_out(shell: &Shell, run: &Run) {
    let granted = grants(shell, run);
    let ours = tell_others(shell, run.id, granted);
    if !ours.is_empty() {
        shell.wake(run.id, Input::Dispatch { places: ours });
    }
}

/// Forgets the runs that the sweep does not look at any more: they may have ended without a turn here.
pub(super) fn keep_open(shell: &Shell) {
    if !wrong!(EndedKeepPlaces) {
        shell.memory.places.borrow_mut().keep(&shell.memory.index.borrow().open);
    }
}

fn grants(shell: &Shell, run: &Run) -> Vec<Grant> {
    let mut places = shell.memory.places.borrow_mut();
    places.note(run);
    places.grants()
}

fn tell_others(shell: &Shell, run: RunId, granted: Vec<Grant>) -> Vec<(PoolName, u32)> {
    let (ours, others): (Vec<Grant>, Vec<Grant>) = granted.into_iter().partition(|grant| grant.run == run);
    for Grant { run, pool, places } in others {
        shell.ctx.core.met(Case::PlaceHandedOn);
        shell.wake(run, Input::Dispatch { places: vec![(pool, places)] });
    }
    ours.into_iter().map(|grant| (grant.pool, grant.places)).collect()
}
