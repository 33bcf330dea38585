//! What must hold of runs of syncs, judged from outside.
//!
//! S1 a sync that may have begun holds its lock, and one that is over does not keep it; S2 what is left to a newer run had not
//! begun, and nobody of its own run waits for it any more; S3 who leaves a service to another leaves it to somebody who does
//! it, or is seen not to, and to nobody who skips it; S4 the state that is kept of a service is that of each sync in turn, none passed over and none
//! twice, and it is kept before the lock goes on; S6 what is put off has not begun, and is so a few times at most; S5 a failure closes what comes after it and nothing else.

use crate::{core::Core, oracle::Oracle, sometimes::Case, store::STALE_FOR, tool::Tool};
use domain::run::{AttemptEnd, Event, Job, JobKind, JobState, Run};
use proto::{
    JobNo, RunId,
    git::CommitId,
    ids::AttemptId,
    lock::{LockKey, LockRecord},
    sync::{PAUSED, ServiceState},
};
use std::collections::{BTreeMap, BTreeSet};

/// A sync may be put off so often.
const MOST_PUT_OFF: u32 = 4;
/// Longer than two sweeps, in ms.
const LONG: u64 = 120_000;

/// What is known of the services from outside, by their locks.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// Every sync that came to its end, in order.
    finished: BTreeMap<LockKey, Vec<Finished>>,
    /// How many of them were kept, and when the last one was (ms).
    kept: BTreeMap<LockKey, (usize, u64)>,
    /// Who held a lock last.
    held_last: BTreeMap<LockKey, RunId>,
    /// When the sync of a run was over (ms).
    over_at: BTreeMap<(RunId, LockKey), u64>,
}

/// How a sync ended.
#[derive(Debug)]
struct Finished {
    run: RunId,
    /// What it brought; `None`: it failed.
    commit: Option<CommitId>,
    /// A worker told what is deployed.
    told: bool,
    /// Its side effects had begun.
    begun: bool,
}

impl Services {
    /// Services whose state is not yet what was done last.
    pub(crate) fn unkept(&self) -> Vec<String> {
        let kept = |key: &LockKey| self.kept.get(key).map_or(0, |(kept, _)| *kept);
        self.finished.iter().filter(|(key, all)| kept(key) < all.len()).map(|(key, _)| key.to_string()).collect()
    }
}

fn lock(run: &Run, no: JobNo) -> Option<&LockKey> {
    run.job(no)?.service.as_ref().map(|service| &service.lock)
}

/// Whether a sync waits for a lock of its own, or is put off.
pub(crate) fn any_waits(run: &Run) -> bool {
    let put_off = |job: &Job| job.state == JobState::Blocked && job.service.as_ref().is_some_and(|service| service.not_before.is_some());
    let wants_lock = |job: &Job| job.service.as_ref().is_some_and(|service| run.wants_lock(&service.lock));
    run.jobs.iter().any(|job| put_off(job) || wants_lock(job))
}

/// Whether a job may be changing the world, or may have changed it.
pub(crate) fn may_have_begun(job: &Job) -> bool {
    let effects = job.current().is_some_and(|attempt| attempt.effects_at.is_some());
    job.state == JobState::Unknown || (job.state == JobState::Running && effects)
}

/// What must be so before an event of a decision.
pub(crate) fn before(core: &Core, oracle: &mut Oracle, run: &Run, event: &Event) {
    if run.syncs.is_none() {
        return;
    }
    let id = run.id;
    match event {
        Event::JobQueued { job, .. } | Event::EffectsStarted { job, .. } => {
            let locked = run.job(*job).and_then(|job| job.service.as_ref()).is_none_or(|service| service.locked);
            oracle.must(locked, || format!("I1: {job} of {id} goes on without its lock"));
        }
        Event::JobLocked { job } => locked(core, oracle, run, *job),
        Event::SyncPlanned { jobs, .. } => {
            let services: BTreeSet<_> = jobs.iter().filter_map(|job| job.service.as_ref()).collect();
            let syncs = jobs.iter().filter(|job| job.kind == JobKind::Sync).count();
            oracle.must(run.jobs.len() == 1 && services.len() == syncs, || format!("S1: {id} is to sync a service twice"));
        }
        Event::JobSuperseded { job, by } => superseded(oracle, run, *job, *by),
        Event::JobPostponed { job, .. } => postponed(oracle, run, *job),
        Event::JobSkipped { job } => {
            let missed = |need: &JobNo| run.job(*need).is_some_and(|need| need.state.is_over() && need.state != JobState::Succeeded);
            let so = run.job(*job).is_some_and(|job| job.needs.iter().any(missed));
            oracle.must(so, || format!("S5: {job} of {id} was skipped, and what it needs did not fail"));
            let left = lock(run, *job).and_then(|key| left_to(oracle, key, id));
            oracle.must(left.is_none(), || format!("S3: {left:?} left to {job} of {id} what was skipped there: nobody does it"));
        }
        Event::OrdersSkipped { .. } | Event::OrdersCancelled { .. } | Event::TimeLimitReached | Event::JobTimedOut { .. } => {
            oracle.violated(format!("S5: {id} was decided on as a run of orders"));
        }
        Event::Accepted { .. }
        | Event::LocksGranted
        | Event::ReleaseMade { .. }
        | Event::ServiceSynced { .. }
        | Event::ApprovalOpened { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::Permitted { .. }
        | Event::PhaseEntered { .. }
        | Event::CommitPinned { .. }
        | Event::AttemptEnded { .. }
        | Event::JobSucceeded { .. }
        | Event::JobFailed { .. }
        | Event::JobCancelled { .. }
        | Event::OrderTold { .. }
        | Event::JobUnknown { .. }
        | Event::CancelRequested { .. }
        | Event::Resolved { .. }
        | Event::RunEnded { .. } => {}
    }
}

fn locked(core: &Core, oracle: &mut Oracle, run: &Run, no: JobNo) {
    let Some(key) = lock(run, no) else { return oracle.violated(format!("I1: {no} of {} has no lock", run.id)) };
    let held = core.store.borrow().lock(key, 0).record.holder.is_some_and(|holder| holder.run == run.id);
    oracle.must(held, || format!("I1: {} says that it holds {key}, and does not", run.id));
    let unkept = oracle.services.unkept().contains(&key.to_string());
    oracle.must(!unkept, || format!("S4: {key} went on to {} before what was done last was kept", run.id));
}

fn superseded(oracle: &mut Oracle, run: &Run, no: JobNo, by: RunId) {
    let id = run.id;
    let state = run.job(no).map(|job| job.state);
    oracle.must(matches!(state, Some(JobState::Blocked | JobState::Queued)), || format!("S2: {no} of {id} was left as it is {state:?}"));
    let feeds = run.job(no).map(|job| job.feeds.as_slice()).unwrap_or_default();
    let waited_for = feeds.iter().any(|feed| run.job(*feed).is_some_and(|feed| !feed.state.is_over()));
    oracle.must(!waited_for, || format!("S2: {no} of {id} was left, and others of the run wait for it"));
    let theirs = lock(run, no).is_some_and(|key| oracle.truths.get(&by).is_some_and(|truth| truth.run.locks.contains(key)));
    oracle.must(theirs, || format!("S3: {no} of {id} was left to {by}, which does not sync it"));
    let skips = |job: &Job| job.state == JobState::Skipped && job.service.as_ref().map(|service| &service.lock) == lock(run, no);
    let skipped = oracle.truths.get(&by).is_some_and(|truth| truth.run.jobs.iter().any(skips));
    oracle.must(!skipped, || format!("S3: {no} of {id} was left to {by}, which had skipped it"));
    let came_later = oracle.truths.get(&by).is_some_and(|truth| (truth.run.accepted_at, by) > (run.accepted_at, id));
    oracle.must(came_later, || format!("S3: {no} of {id} was left to {by}, which had come before it"));
}

/// S6.
fn postponed(oracle: &mut Oracle, run: &Run, no: JobNo) {
    let id = run.id;
    let job = run.job(no);
    let times = job.and_then(|job| job.service.as_ref()).map_or(u32::MAX, |service| service.put_off);
    oracle.must(times < MOST_PUT_OFF, || format!("S6: {no} of {id} is put off after it was so {times} times"));
    let began = job.is_some_and(|job| job.attempts.iter().any(|attempt| attempt.effects_at.is_some()));
    oracle.must(!began, || format!("S6: {no} of {id} is put off, and had begun"));
    oracle.must(run.cancel.is_none(), || format!("S6: {no} of {id} is put off, and its run is to stop"));
}

/// A run that left this service to another.
fn left_to(oracle: &Oracle, key: &LockKey, by: RunId) -> Option<RunId> {
    let left = |job: &Job| job.service.as_ref().is_some_and(|service| service.lock == *key && service.superseded_by == Some(by));
    oracle.truths.values().find(|truth| truth.run.jobs.iter().any(left)).map(|truth| truth.run.id)
}

/// What must be so after a decision.
pub(crate) fn after(core: &Core, oracle: &mut Oracle, run: &Run, events: &[Event]) {
    if run.syncs.is_none() {
        return;
    }
    let id = run.id;
    for event in events {
        if let Event::JobSucceeded { job } | Event::JobFailed { job, .. } | Event::JobCancelled { job } = event {
            finished(oracle, run, *job);
        }
    }
    for (no, job) in (0_u32..).map(JobNo).zip(&run.jobs) {
        let Some(service) = &job.service else { continue };
        let holds = || core.store.borrow().lock(&service.lock, 0).record.holder.is_some_and(|holder| holder.run == id);
        oracle.must(!may_have_begun(job) || holds(), || format!("S1: {no} of {id} may have begun, and {} is not its own", service.lock));
        let closed = |need: &JobNo| run.job(*need).is_some_and(|need| need.state.is_over() && need.state != JobState::Succeeded);
        let stuck = job.state == JobState::Blocked && job.needs.iter().any(closed);
        oracle.must(!stuck, || format!("S5: {no} of {id} waits for what did not succeed"));
        if job.state.is_over() {
            oracle.services.over_at.entry((id, service.lock.clone())).or_insert(core.now.get());
        }
    }
    let unknown = run.jobs.iter().any(|job| job.state == JobState::Unknown);
    if unknown && events.iter().any(|event| matches!(event, Event::JobSucceeded { .. })) {
        core.met(Case::UnknownWhileOthersGo);
    }
    if run.is_over() {
        left_to_somebody(oracle, run);
    }
}

/// A sync came to its end that a worker had begun.
fn finished(oracle: &mut Oracle, run: &Run, no: JobNo) {
    let Some((job, key)) = run.job(no).zip(lock(run, no)) else { return };
    let Some(attempt) = job.current().filter(|attempt| attempt.permitted_at.is_some()) else { return };
    let begun = attempt.effects_at.is_some();
    let succeeded = job.state == JobState::Succeeded;
    // One that was not tried says nothing of its service.
    let paused = job.service.as_ref().and_then(|service| service.failure.as_ref()).is_some_and(|failure| failure.kind == PAUSED);
    if (job.state == JobState::Cancelled && !begun) || paused {
        return;
    }
    let told = succeeded && matches!(attempt.ended, Some((_, AttemptEnd::Succeeded)));
    let commit = run.commit.clone().filter(|_| succeeded);
    oracle.services.finished.entry(key.clone()).or_default().push(Finished { run: run.id, commit, told, begun });
}

/// Who leaves a service to another run leaves it in the end to one that did it, or is seen not to: never to itself.
fn left_to_somebody(oracle: &mut Oracle, run: &Run) {
    for (no, job) in (0_u32..).map(JobNo).zip(&run.jobs) {
        let Some(key) = lock(run, no) else { continue };
        let mut seen = BTreeSet::from([run.id]);
        let mut next = job.service.as_ref().and_then(|service| service.superseded_by);
        while let Some(by) = next {
            if !seen.insert(by) {
                return oracle.violated(format!("S3: {key} was left by each of {seen:?} to another of them, and nobody does it"));
            }
            let theirs = oracle.truths.get(&by).and_then(|truth| {
                let job = truth.run.jobs.iter().find(|job| job.service.as_ref().is_some_and(|service| service.lock == *key))?;
                job.service.as_ref()?.superseded_by
            });
            next = theirs;
        }
    }
}

/// The tool of a sync is about to be started: nobody else's may run that does the same, nor have an end that nobody knows.
pub(crate) fn starts(core: &Core, oracle: &mut Oracle, run: &Run, id: AttemptId) {
    let Some(key) = lock(run, id.job) else { return oracle.violated(format!("I1: {id} syncs no service")) };
    let now = core.now.get();
    let tools = core.tools.borrow();
    let busy = |other: &Run| {
        let same =
            (0_u32..).map(JobNo).zip(&other.jobs).filter(|(_, job)| job.service.as_ref().is_some_and(|service| service.lock == *key));
        same.filter(|(no, _)| (other.id, *no) != (id.run, id.job)).any(|(no, job)| {
            let runs =
                |(attempt, tool): (&AttemptId, &Tool)| attempt.run == other.id && attempt.job == no && tool.effects && tool.runs(now);
            job.state == JobState::Unknown || tools.0.iter().any(runs)
        })
    };
    let clash = oracle.truths.values().filter(|other| !other.mistaken).find(|other| busy(&other.run)).map(|other| other.run.id);
    oracle.must(clash.is_none(), || format!("I1: {id} syncs {key}, and so does {clash:?}"));
}

/// The state of a service was written.
pub(crate) fn kept(core: &Core, key: &LockKey, state: &ServiceState) {
    core.say(|| format!("{key} is noted by {}: {:?}, {} failures", state.run, state.commit, state.failures));
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    let (kept, _) = oracle.services.kept.get(key).copied().unwrap_or_default();
    let all = oracle.services.finished.get(key).map(Vec::as_slice).unwrap_or_default();
    let Some(upto) = all.iter().position(|finished| finished.run == state.run) else {
        return oracle.violated(format!("S4: {} was noted of {key}, and no sync of it has ended", state.run));
    };
    let in_turn = upto == kept;
    let told = &all[..=upto];
    let failures = told.iter().rev().take_while(|finished| finished.commit.is_none()).count();
    let last = told.iter().rev().find(|finished| finished.commit.is_some());
    let broken_off = told.iter().rev().take_while(|finished| finished.commit.is_none()).any(|finished| finished.begun);
    let hash = last.filter(|last| last.told && !broken_off).map(|last| format!("v2:{}", last.run));
    let expected = (failures as u32, last.and_then(|last| last.commit.clone()), hash);
    let is = (state.failures, state.commit.clone(), state.hash.clone());
    oracle.must(in_turn, || format!("S4: the {upto}th sync of {key} was noted after {kept} were"));
    oracle.must(expected == is, || format!("S4: {key} is noted as {is:?}, and it is {expected:?}"));
    oracle.services.kept.insert(key.clone(), (upto + 1, core.now.get()));
}

/// A worker is told how its service stands.
pub(crate) fn known(core: &Core, key: &LockKey, state: Option<&ServiceState>) {
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    let Some((kept, at)) = oracle.services.kept.get(key).copied().filter(|(kept, _)| *kept > 0) else { return };
    let last = oracle.services.finished[key][kept - 1].run;
    let seen = at + STALE_FOR >= core.now.get() || state.is_some_and(|state| state.run == last);
    oracle.must(seen, || format!("S4: a worker is told of {key} what was so before {last}"));
}

/// The record of a service's lock was written. `false`: it is no service's lock.
pub(crate) fn lock_written(core: &Core, oracle: &mut Oracle, before: &LockRecord, after: &LockRecord) -> bool {
    let key = &after.key;
    let of = |run: RunId, oracle: &Oracle| oracle.truths.get(&run).is_some_and(|truth| truth.run.syncs.is_some());
    let (was, is) = (before.holder.as_ref().map(|holder| holder.run), after.holder.as_ref().map(|holder| holder.run));
    if !was.into_iter().chain(is).any(|run| of(run, oracle)) {
        return false;
    }
    if let Some(is) = is {
        let former = oracle.services.held_last.insert(key.clone(), is);
        let goes_on = former.filter(|former| *former != is).and_then(|former| oracle.truths.get(&former));
        if goes_on.is_some_and(|former| !former.run.is_over()) {
            core.met(Case::SyncLockHandedOn);
        }
    }
    if was.is_some() && was != is {
        given_back(core, oracle, key, was);
    }
    true
}

fn given_back(core: &Core, oracle: &mut Oracle, key: &LockKey, was: Option<RunId>) {
    let Some(truth) = was.and_then(|run| oracle.truths.get(&run)) else { return };
    let (id, mistaken) = (truth.run.id, truth.mistaken);
    let job = truth.run.jobs.iter().zip(0_u32..).find(|(job, _)| job.service.as_ref().is_some_and(|service| service.lock == *key));
    let Some((job, no)) = job else { return oracle.violated(format!("S1: {id} held {key}, which it has no use for")) };
    let over = job.state.is_over();
    let now = core.now.get();
    let tools = core.tools.borrow();
    let runs = tools.0.iter().any(|(attempt, tool)| attempt.run == id && attempt.job.0 == no && tool.effects && tool.runs(now));
    oracle.must(over, || format!("S1: {id} gave {key} back, and its sync is not over"));
    oracle.must(!runs || mistaken, || format!("I16: {id} gave {key} back while its sync runs"));
    let calm_since = core.closing_since.get();
    let over_at = oracle.services.over_at.get(&(id, key.clone())).copied().unwrap_or(now);
    let kept_long = core.closing.get() && now > over_at.max(calm_since) + LONG;
    oracle.must(!kept_long, || format!("S1: {id} kept {key} for long after its sync was over"));
}
