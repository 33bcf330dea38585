//! What must always hold, over the whole world, and what must be met somewhere, so that the search is known to be no walk
//! around the difficult places.

use crate::{
    facts::Facts,
    rules::Rule,
    settings::Settings,
    state::{Floating, Outcome, Scheduler, State, Task, Worker},
    words::{Id, In, No, RunIx},
    world::World,
};
use domain::run::{Ending, LockState};
use stateright::Property;

/// A named predicate over states.
type Named = (&'static str, fn(&World, &State) -> bool);

/// The invariants, in the design's numbers.
pub const INVARIANTS: [Named; 9] = [
    ("I1 one at a time on a lock, unknown counted", |world, state| !state.broken.has(Rule::OneAtATime) && one_at_a_time(world, state)),
    ("I3 what is over stays", |_, state| !state.broken.has(Rule::WrittenOnce)),
    ("I4 doubt holds the lock", |world, state| !state.broken.has(Rule::UnknownStays) && doubt_holds_locks(world, state)),
    ("I5 applied as approved", |_, state| !state.broken.has(Rule::AsApproved)),
    ("I6 one permit, none without", |_, state| !state.broken.has(Rule::OnePermit)),
    ("I7 stragglers change nothing", |_, state| !state.broken.has(Rule::NoStragglers)),
    ("I8 no success without one", |_, state| !state.broken.has(Rule::NoFalseSuccess)),
    ("I10 no dead end, no endless retry", |world, state| !state.broken.has(Rule::Bounded) && goes_on(world, state)),
    ("I11 nothing starts after a cancel", |_, state| !state.broken.has(Rule::CancelHolds)),
];

/// What a configuration may be asked to meet.
pub const MEETINGS: [Named; 12] = [
    ("both runs succeed", |world, state| both(world, state, |state, run| ends(state, run, Ending::Success))),
    ("unknown", |world, state| some(world, |run| state.facts(run).is_some_and(|facts| facts.unknown))),
    ("unknown settled by a late result", |world, state| some(world, |run| settled(state, run, false))),
    ("unknown settled by a person", |world, state| some(world, |run| settled(state, run, true))),
    ("cancel wins", |world, state| some(world, |run| ends(state, run, Ending::Cancelled))),
    ("completion wins over cancel", |world, state| some(world, |run| cancel_lost(state, run))),
    ("lock handed over", handed_over),
    ("ambiguous commit had applied", |_, state| state.floating == Floating::Landed),
    ("ambiguous commit lands late", lands_late),
    ("second permit refused", |_, state| refused(state, No::AlreadyPermitted, |what| matches!(what, In::Begin { .. }))),
    ("straggler refused", |_, state| refused(state, No::Straggler, |what| matches!(what, In::Report { .. }))),
    ("start refused after a cancel", |_, state| refused(state, No::Cancelling, |what| matches!(what, In::Start { .. }))),
];

/// A configuration's properties.
pub fn all(settings: &Settings) -> Vec<Property<World>> {
    let always = INVARIANTS.iter().map(|(name, holds)| Property::always(name, *holds));
    let met = MEETINGS.iter().filter(|(name, _)| settings.meets.contains(name));
    always.chain(met.map(|(name, met)| Property::sometimes(name, *met))).collect()
}

fn some(world: &World, is: impl Fn(RunIx) -> bool) -> bool {
    (0..world.runs()).any(is)
}

fn both(world: &World, state: &State, is: fn(&State, RunIx) -> bool) -> bool {
    world.runs() == 2 && (0..2).all(|run| is(state, run))
}

fn ends(state: &State, run: RunIx, how: Ending) -> bool {
    state.facts(run).is_some_and(|facts| facts.ending == Some(how))
}

fn settled(state: &State, run: RunIx, by_person: bool) -> bool {
    state.facts(run).is_some_and(|facts| facts.was_unknown && facts.is_over() && facts.resolved == by_person)
}

fn cancel_lost(state: &State, run: RunIx) -> bool {
    let cancel = In::Cancel { force: false };
    let pending = state.inbox.iter().any(|message| message.run == run && message.what == cancel)
        || tasks(state).any(|task| task.run == run && task.cause == cancel);
    state.people.cancelled & (1 << run) != 0 && !pending && ends(state, run, Ending::Success)
}

fn handed_over(_: &World, state: &State) -> bool {
    let over = |run| state.facts(run).is_some_and(Facts::is_over);
    let holds = |run| state.facts(run).is_some_and(|facts| !facts.is_over() && facts.lock == LockState::Held);
    (over(0) && holds(1)) || (over(1) && holds(0))
}

/// The write may still arrive, but whoever sent it has read back, not found it, and decides again.
fn lands_late(_: &World, state: &State) -> bool {
    let awaits = |task: &Task| matches!(task.step, crate::state::Step::ReadBack(_));
    let decides = |task: &Task| matches!(task.step, crate::state::Step::Commit(_));
    matches!(state.floating, Floating::InFlight { .. }) && !tasks(state).any(awaits) && tasks(state).any(decides)
}

fn refused(state: &State, no: No, what: fn(In) -> bool) -> bool {
    tasks(state).any(|task| task.outcome == Outcome::Refused(no) && what(task.cause))
}

fn tasks(state: &State) -> impl Iterator<Item = &Task> {
    state.schedulers.iter().filter_map(|scheduler: &Scheduler| scheduler.task.as_ref())
}

/// Attempts that may be changing the world: those whose tool runs, and those of which nobody knows.
fn changing(world: &World, state: &State) -> Vec<Id> {
    let mut ids: Vec<Id> = state.workers.iter().filter_map(Worker::changing).collect();
    for run in 0..world.runs() {
        let Some(facts) = state.facts(run) else { continue };
        if let Some(job) = facts.unknown_job() {
            ids.push(Id { run, job, attempt: facts.jobs[usize::from(job)].attempt });
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn one_at_a_time(world: &World, state: &State) -> bool {
    let ids = changing(world, state);
    let shares = |a: &Id, b: &Id| {
        let locks = |id: &Id| &world.settings.runs[usize::from(id.run)].locks;
        locks(a).iter().any(|lock| locks(b).contains(lock))
    };
    ids.iter().enumerate().all(|(at, id)| ids[at + 1..].iter().all(|other| !shares(id, other)))
}

/// Who waits holds nothing that another could wait for, and while anything is left to do, somebody can do something.
fn goes_on(world: &World, state: &State) -> bool {
    !state.locks.is_torn && (world.is_done(state) || !world.is_stuck(state))
}

/// While the world may be changing, the records name the run that may be changing it.
fn doubt_holds_locks(world: &World, state: &State) -> bool {
    changing(world, state).iter().all(|id| World::holds_locks(state, id.run))
}
