//! What must hold, judged from outside after every step: the decisions as they are stored, the tools as they really run,
//! the locks as they are written. It believes nobody.
//!
//! The names I1 to I16 are those of the invariants (`docs/reference/reliability.md`).

use crate::{core::Core, order_rules, store::STALE_FOR, sync_rules, tool::Tool};
use domain::run::{Attempt, AttemptEnd, Entry, Event, GateState, Input, Job, JobState, LockState, Run, evolve, fold, status};
use proto::{
    AttemptNo, JobNo, RunId, WorkerId,
    ids::AttemptId,
    lock::{LockHolder, LockRecord},
    message::{InboxMessage, PERMIT_LIFE_MS, ReportWhat},
    view::RunStatus,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Starts of one job after which it is given up (`domain::run::Policy::max_starts`).
const MOST_STARTS: usize = 3;

/// The reason of somebody who settles without having looked.
pub const MISTAKE: &str = "a mistake";

/// A run as its log says, and what was seen of it.
#[derive(Debug)]
pub struct Truth {
    pub run: Run,
    /// When it last changed (ms).
    pub changed_at: u64,
    permits: BTreeSet<(u32, u32)>,
    /// The plan that was approved.
    approved: Option<String>,
    /// Settled by somebody who had not looked: what its tool still does is that person's doing.
    pub(crate) mistaken: bool,
}

/// What is known from outside.
#[derive(Debug, Default)]
pub struct Oracle {
    pub truths: BTreeMap<RunId, Truth>,
    /// When an attempt was called over (ms).
    over_at: BTreeMap<AttemptId, u64>,
    /// Attempts whose outcome was written down by their worker, and of which it was told.
    pub spooled: BTreeSet<AttemptId>,
    pub told: BTreeSet<AttemptId>,
    /// Commands that had an effect, and those that were answered with a "no".
    decided: BTreeSet<String>,
    /// With the moment at which it was said.
    refused: BTreeMap<String, u64>,
    /// Triggers that were accepted: stored, and answered 2xx.
    pub accepted: BTreeSet<RunId>,
    pub(crate) services: sync_rules::Services,
    /// The first thing that must not have happened.
    pub violation: Option<String>,
}

impl Oracle {
    /// Says that something must not have happened. Only the first counts.
    pub fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(crate) fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violated(what());
        }
    }

    /// Runs that were accepted and are not over.
    pub fn unfinished(&self) -> usize {
        let over = |run: &&RunId| self.truths.get(run).is_some_and(|truth| truth.run.is_over());
        self.accepted.len() - self.accepted.iter().filter(over).count()
    }

    /// Runs that are not over.
    pub fn open(&self) -> Vec<RunId> {
        self.truths.iter().filter(|(_, truth)| !truth.run.is_over()).map(|(run, _)| *run).collect()
    }
}

/// A decision was stored. `input` is what it was an answer to, `taken` the moment at which its message was taken up.
pub fn appended(core: &Core, id: RunId, entry: &Rc<Entry>, input: Option<&Input>, taken: Option<u64>) {
    core.say(|| format!("{id}: {}", words(&entry.events)));
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    let now = core.now.get();
    let Some(mut truth) = oracle.truths.remove(&id) else {
        return founded(core, oracle, id, entry, now);
    };
    crate::notice::decision(core, &truth.run, &entry.events, input);
    oracle.must(!truth.run.is_over() || entry.events.is_empty(), || format!("I3: {id} was decided on after its end: {:?}", entry.events));
    if let Some(Input::Report { job, attempt, worker, .. }) = input {
        let heard = truth.run.job(*job).and_then(Job::current);
        let theirs = heard.is_some_and(|current| current.no == *attempt && current.worker.as_ref() == Some(worker));
        oracle.must(theirs, || format!("I7: a report of {worker} about {job}.{attempt} of {id} counted"));
    }
    if let Some(Input::Approve { plan_sha256: Some(looked_at), .. }) = input {
        let waits = truth.run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.as_str());
        oracle.must(waits == Some(looked_at), || format!("I5: {looked_at} was looked at and {waits:?} approved in {id}"));
    }
    if let Some(cause) = &entry.cause {
        // A scheduler that stood still with the command in its hands is the one exception (docs/reference/reliability.md).
        let said = oracle.refused.get(cause).copied();
        let late = said.is_some_and(|said| taken.is_none_or(|taken| taken > said));
        oracle.must(!late, || format!("I9: command {cause} was answered with a no, and then taken up and decided on"));
        let first = oracle.decided.insert(cause.clone());
        oracle.must(first, || format!("I9: command {cause} had its effect twice"));
    }
    let mistake = |event: &Event| matches!(event, Event::Resolved { reason, .. } if reason == MISTAKE);
    truth.mistaken |= entry.events.iter().any(mistake);
    if let Some(Input::StartEffects { job, worker, nonce, .. }) = input {
        let current = truth.run.job(*job).and_then(Job::current);
        let theirs = current.is_some_and(|current| current.worker.as_ref() == Some(worker) && current.nonce.as_ref() == Some(nonce));
        oracle.must(theirs, || format!("I6: {worker} got the last word for {job} of {id} without its permit"));
    }
    let settled = entry.events.iter().any(|event| matches!(event, Event::Resolved { .. }));
    for event in &entry.events {
        order_rules::before(core, oracle, (&truth.run, truth.changed_at), event, entry);
        sync_rules::before(core, oracle, &truth.run, event);
        before(core, oracle, &mut truth, event, (entry, settled));
        evolve(&mut truth.run, event, entry.at);
    }
    truth.changed_at = now;
    after(core, oracle, &truth.run);
    order_rules::after(core, oracle, &truth.run);
    sync_rules::after(core, oracle, &truth.run, &entry.events);
    oracle.truths.insert(id, truth);
}

/// Events in short.
fn words(events: &[Event]) -> String {
    let short = |event: &Event| {
        let text = format!("{event:?}");
        text.chars().take(110).collect::<String>()
    };
    events.iter().map(short).collect::<Vec<_>>().join(", ")
}

fn founded(core: &Core, oracle: &mut Oracle, id: RunId, entry: &Rc<Entry>, now: u64) {
    match fold([&**entry]) {
        Some(run) => {
            let queued = run.jobs.iter().any(|job| !job.attempts.is_empty());
            oracle.must(!queued || run.lock != LockState::Wanted, || format!("I1: {id} queued a job before it held its locks"));
            order_rules::founded(core, oracle, entry);
            oracle.truths.insert(id, Truth { run, changed_at: now, permits: BTreeSet::new(), approved: None, mistaken: false });
        }
        None => oracle.violated(format!("{id}'s log does not begin with its acceptance")),
    }
}

/// What must be so before an event of a decision.
fn before(core: &Core, oracle: &mut Oracle, truth: &mut Truth, event: &Event, (entry, settled): (&Entry, bool)) {
    let run = &truth.run;
    let id = run.id;
    let now = core.now.get();
    match event {
        Event::Accepted { .. } => oracle.violated(format!("I9: {id} was accepted twice")),
        Event::JobQueued { job, .. } => {
            let state = run.job(*job);
            oracle.must(run.cancel.is_none(), || format!("I11: {job} of {id} was queued after a cancel"));
            oracle.must(run.lock != LockState::Wanted, || format!("I1: {job} of {id} was queued without locks"));
            let started = state.is_some_and(|job| job.attempts.iter().any(|attempt| attempt.effects_at.is_some()));
            oracle.must(!started, || format!("I4: {job} of {id} was queued again after side effects"));
            let unstarted = |attempt: &&Attempt| matches!(attempt.ended, Some((_, AttemptEnd::NotStarted)));
            let tries = state.map_or(0, |job| job.attempts.iter().filter(|attempt| !unstarted(attempt)).count());
            oracle.must(tries < MOST_STARTS, || format!("I10: {job} of {id} was started {tries} times already"));
        }
        Event::Permitted { job, attempt, .. } => {
            let queued = run.job(*job).is_some_and(|job| job.state == JobState::Queued && job.current().map(|a| a.no) == Some(*attempt));
            oracle.must(queued, || format!("I6: {job}.{attempt} of {id} was permitted and is not what waits"));
            oracle.must(truth.permits.insert((job.0, attempt.0)), || format!("I6: {job}.{attempt} of {id} was permitted twice"));
            oracle.must(run.cancel.is_none(), || format!("I11: {job} of {id} was permitted after a cancel"));
        }
        Event::EffectsStarted { job, attempt, .. } => effects_started(core, oracle, run, *job, *attempt),
        Event::ApprovalGiven { job, .. } => approved(oracle, truth, *job, entry),
        Event::CommitPinned { commit } => {
            oracle.must(run.commit.is_none(), || format!("I5: {id} was bound to {commit} after another commit"));
        }
        Event::JobSucceeded { .. } | Event::JobFailed { .. } | Event::JobCancelled { .. } => {
            job_over(core, oracle, truth, event, settled);
        }
        Event::Resolved { job, .. } => {
            let unknown = run.job(*job).is_some_and(|job| job.state == JobState::Unknown);
            oracle.must(unknown, || format!("I3: {job} of {id} was settled and was not unknown"));
        }
        Event::RunEnded { .. } => {
            oracle.must(run.unknown_jobs == 0, || format!("I3: {id} ended with an unknown outcome"));
        }
        Event::AttemptEnded { job, attempt, .. } => {
            oracle.over_at.entry(AttemptId { run: id, job: *job, attempt: *attempt }).or_insert(now);
        }
        Event::LocksGranted
        | Event::JobLocked { .. }
        | Event::SyncPlanned { .. }
        | Event::ReleaseMade { .. }
        | Event::ServiceSynced { .. }
        | Event::JobSuperseded { .. }
        | Event::JobPostponed { .. }
        | Event::ApprovalOpened { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::PhaseEntered { .. }
        | Event::JobSkipped { .. }
        | Event::JobTimedOut { .. }
        | Event::OrdersSkipped { .. }
        | Event::OrdersCancelled { .. }
        | Event::TimeLimitReached
        | Event::OrderTold { .. }
        | Event::JobUnknown { .. }
        | Event::CancelRequested { .. } => {}
    }
}

/// What must be so before the last word is given.
fn effects_started(core: &Core, oracle: &mut Oracle, run: &Run, job: JobNo, attempt: AttemptNo) {
    let id = run.id;
    oracle.must(run.cancel.is_none(), || format!("I11: {job} of {id} started its effects after a cancel"));
    let current = run.job(job).and_then(Job::current).map(|attempt| attempt.no);
    oracle.must(current == Some(attempt), || format!("I7: an older attempt {job}.{attempt} of {id} had the last word"));
    let store = core.store.borrow();
    let held = run.locks_of(job).iter().all(|key| store.lock(key, 0).record.holder.is_some_and(|holder| holder.run == id));
    oracle.must(held, || format!("I1: {id} started its effects and its locks are not its own in the store"));
}

/// What must be so before an approval counts.
fn approved(oracle: &mut Oracle, truth: &mut Truth, job: JobNo, entry: &Entry) {
    let run = &truth.run;
    let id = run.id;
    let gate = run.job(job).and_then(|job| job.gate.as_ref());
    let waits = gate.is_some_and(|gate| gate.state == GateState::Waiting);
    oracle.must(waits, || format!("I3: {id} was approved and did not wait for it"));
    let in_time = gate.and_then(|gate| gate.expires_at).is_some_and(|expires_at| entry.at < expires_at);
    oracle.must(in_time, || format!("I5: {id} was approved after the approval had expired"));
    truth.approved = run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.clone());
}

/// What must be so before a job is called over: its tool is over too, and somebody knows how.
fn job_over(core: &Core, oracle: &mut Oracle, truth: &Truth, event: &Event, settled: bool) {
    let (Event::JobSucceeded { job } | Event::JobFailed { job, .. } | Event::JobCancelled { job }) = event else { return };
    let (run, now) = (&truth.run, core.now.get());
    let id = run.id;
    let tools = core.tools.borrow();
    let attempt = run.job(*job).and_then(Job::current).map(|attempt| AttemptId { run: id, job: *job, attempt: attempt.no });
    let tool = attempt.and_then(|attempt| tools.0.get(&attempt));
    if let Event::JobSucceeded { .. } = event {
        let gate = run.job(*job).is_some_and(|job| job.gate.is_some());
        let really = tool.is_some_and(|tool| tool.succeeded(now));
        oracle.must(gate || really || settled, || format!("{job} of {id} succeeded and nothing did it"));
        return;
    }
    let runs = tool.is_some_and(|tool| tool.effects && tool.runs(now));
    oracle.must(!runs || truth.mistaken, || format!("I4: {job} of {id} was called over while its tool changes the world"));
    // An order that was killed on request has ended all the same.
    let of_orders = run.orders.is_some();
    let killed = tool.is_some_and(|tool| tool.effects && tool.killed.is_some_and(|asked| !(asked && of_orders)));
    oracle.must(!killed || settled, || format!("I4: {job} of {id} was called over and nobody knows what was done"));
}

/// What must be so after a decision.
fn after(core: &Core, oracle: &mut Oracle, run: &Run) {
    let id = run.id;
    if run.is_over() {
        return;
    }
    // I10: an open run waits for something that can come.
    let moves = |job: &Job| matches!(job.state, JobState::Queued | JobState::Running | JobState::Waiting | JobState::Unknown);
    let waits = run.lock == LockState::Wanted || run.jobs.iter().any(moves) || order_rules::any_ready(run) || sync_rules::any_waits(run);
    oracle.must(waits, || format!("I10: {id} is open and waits for nothing"));
    if status(run) == RunStatus::Unknown && run.syncs.is_none() {
        let store = core.store.borrow();
        let held = run.locks.iter().all(|key| store.lock(key, 0).record.holder.is_some_and(|holder| holder.run == id));
        oracle.must(held, || format!("I4: {id} is unknown and does not hold its locks"));
    }
}

/// A tool is about to be started by `worker`.
pub fn tool_starts(core: &Core, id: AttemptId, worker: &WorkerId, tool: &Tool) {
    core.say(|| format!("{worker} starts {id}, effects: {}, until {} ms", tool.effects, tool.ends_at));
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    let tools = core.tools.borrow();
    let now = core.now.get();
    oracle.must(!tools.0.contains_key(&id), || format!("I6: {id} was started twice"));
    let Some(truth) = oracle.truths.get(&id.run) else {
        return oracle.violated(format!("I6: {id} was started and its run does not exist"));
    };
    let run = truth.run.clone();
    let approved = truth.approved.clone();
    let attempt = run.job(id.job).and_then(|job| job.attempts.iter().find(|attempt| attempt.no == id.attempt));
    let theirs = attempt.is_some_and(|attempt| attempt.worker.as_ref() == Some(worker));
    oracle.must(theirs, || format!("I6: {worker} started {id} without its permit"));
    if !tool.effects {
        return;
    }
    word_used(oracle, id, now);
    let word = attempt.is_some_and(|attempt| attempt.effects_at.is_some());
    oracle.must(word, || format!("I6: {id} changes the world without the last word"));
    let twice = tools.0.iter().any(|(other, tool)| tool.effects && other.run == id.run && other.job == id.job);
    oracle.must(!twice, || format!("I4: {id} does again what another attempt did"));
    if run.orders.is_some() {
        // No plan, no commit, and no lock that two runs could share.
        return;
    }
    oracle.must(run.commit.as_ref() == Some(&tool.commit), || format!("I5: {id} applies another commit than the run's"));
    if run.syncs.is_some() {
        return sync_rules::starts(core, oracle, &run, id);
    }
    let plan = run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.clone());
    oracle.must(plan.as_ref() == Some(&tool.plan_sha256), || format!("I5: {id} applies another plan than the run's"));
    let gated = run.jobs.iter().any(|job| job.gate.is_some());
    oracle.must(!gated || approved == plan, || format!("I5: {id} applies {plan:?}, and {approved:?} was approved"));
    let elsewhere = |other: &&RunId| **other != id.run && !oracle.truths[*other].mistaken;
    let shares = |other: &RunId| oracle.truths[other].run.locks.iter().any(|key| run.locks.contains(key));
    let busy = |other: &RunId| {
        let unknown = status(&oracle.truths[other].run) == RunStatus::Unknown;
        unknown || tools.0.iter().any(|(id, tool)| id.run == *other && tool.effects && tool.runs(now))
    };
    let clash = oracle.truths.keys().filter(elsewhere).find(|other| shares(other) && busy(other)).copied();
    oracle.must(clash.is_none(), || format!("I1: {id} changes what {clash:?} changes"));
}

/// A worker acts on an answer (M5: not on one that is older than a permit lives).
pub fn answer_used(core: &Core, id: AttemptId) {
    word_used(&mut core.oracle.borrow_mut(), id, core.now.get());
}

/// An answer may come from a server that does not know yet that the attempt is over.
fn word_used(oracle: &mut Oracle, id: AttemptId, now: u64) {
    let late = oracle.over_at.get(&id).is_some_and(|at| now > at + STALE_FOR + PERMIT_LIFE_MS);
    oracle.must(!late, || format!("M5: {id} acts on an answer long after it was called over"));
}

/// Lock records were written.
pub fn locks_written(core: &Core, before: &[LockRecord], after: &[LockRecord]) {
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    let now = core.now.get();
    for (before, after) in before.iter().zip(after) {
        core.say(|| {
            format!(
                "{} is held by {:?}, before {:?}",
                after.key,
                after.holder.as_ref().map(|h| h.run),
                before.holder.as_ref().map(|h| h.run)
            )
        });
        if sync_rules::lock_written(core, oracle, before, after) {
            continue;
        }
        if let Some(holder) = &after.holder
            && let Some(truth) = oracle.truths.get(&holder.run).filter(|truth| !truth.run.is_over())
        {
            let store = core.store.borrow();
            let all = truth.run.locks.iter().all(|key| store.lock(key, 0).record.holder.is_some_and(|other| other.run == holder.run));
            let run = holder.run;
            oracle.must(all, || format!("I1: {run} holds a part of its locks"));
        }
        let loser = before.holder.as_ref().map(|holder: &LockHolder| holder.run);
        if loser.is_none() || loser == after.holder.as_ref().map(|holder| holder.run) {
            continue;
        }
        let Some(loser) = loser else { continue };
        let open = oracle.truths.get(&loser).is_some_and(|truth| !truth.run.is_over());
        oracle.must(!open, || format!("I1: {loser} lost its lock while it is open"));
        let tools = core.tools.borrow();
        let runs = tools.0.iter().any(|(id, tool)| id.run == loser && tool.effects && tool.runs(now));
        let mistaken = oracle.truths.get(&loser).is_some_and(|truth| truth.mistaken);
        oracle.must(!runs || mistaken, || format!("I16: {loser} gave its lock back while its tool runs"));
    }
}

/// Somebody is told "no" about a command.
pub fn refused(core: &Core, command: &str) {
    core.oracle.borrow_mut().refused.entry(command.to_owned()).or_insert(core.serial());
}

/// A message was acknowledged: nobody will say it again.
pub fn acknowledged(core: &Core, message: &InboxMessage) {
    let mut oracle = core.oracle.borrow_mut();
    let oracle = &mut *oracle;
    match message {
        InboxMessage::Trigger(trigger) => {
            let known = oracle.truths.contains_key(&trigger.run);
            oracle.must(known, || format!("I2: the trigger of {} was acknowledged and there is no run", trigger.run));
        }
        InboxMessage::Report(report) => {
            let Some(truth) = oracle.truths.get(&report.id.run) else { return };
            let Some(job) = truth.run.job(report.id.job) else { return };
            let current =
                job.current().filter(|attempt| attempt.no == report.id.attempt && attempt.worker.as_ref() == Some(&report.worker));
            let unheard = job.state == JobState::Running && current.is_some_and(|attempt| attempt.ended.is_none());
            let ended = matches!(report.what, ReportWhat::Ended(_));
            oracle.must(!(unheard && ended), || format!("I2: the result of {} was acknowledged and changed nothing", report.id));
        }
        InboxMessage::Command(_) => {}
    }
}
