//! What must hold of runs of orders, judged from outside, from the graph as it was submitted and from how each order stands.
//! What `domain` counts on its way is counted afresh in [`crate::order_counts`].
//!
//! O1 an order goes out when what it needs is over, and has succeeded if it must succeed itself; O2 a failure closes in the
//! same decision everything that must succeed and hangs on it; O3 an optional order is ready when what it needs is over,
//! however it ended; O4 never more out than the run may have; O5 commands that may have begun are never begun again (judged
//! with I4 and I6); O6 an order that is over stays as it is, and the watchdog comes when its time has come; O7 after a cancel,
//! or the end of the run's time, nothing starts; O8 the end of a run follows from its orders; O9 what is counted is so (both in [`crate::order_counts`]).

use crate::{core::Core, oracle::Oracle, order_counts, sometimes::Case, tool::End};
use domain::run::{Attempt, Entry, Event, Job, JobState, Run, evolve, fold};
use jiff::{SignedDuration, Timestamp};
use proto::{JobNo, PoolName, ids::AttemptId, orders::OrderNode};
use std::collections::{BTreeMap, BTreeSet};

/// How long after its time an order that is not heard of is ended.
const WATCHDOG_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Longer than two sweeps, in ms.
const LONG: u64 = 120_000;

/// A cell of the decision table (docs/reference/orders.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wait,
    Ready,
    Close,
}

pub(crate) fn node(run: &Run, no: JobNo) -> Option<&OrderNode> {
    run.orders_spec().and_then(|spec| spec.graph.0.get(no.0 as usize))
}

fn state(run: &Run, no: JobNo) -> Option<JobState> {
    run.job(no).map(|job| job.state)
}

/// What the table says of an order that has not gone out.
fn verdict(run: &Run, no: JobNo) -> Verdict {
    let Some(node) = node(run, no) else { return Verdict::Wait };
    let needs = || node.needs.iter().filter_map(|need| state(run, *need));
    if !node.optional && needs().any(|state| state.is_over() && state != JobState::Succeeded) {
        Verdict::Close
    } else if needs().all(JobState::is_over) {
        Verdict::Ready
    } else {
        Verdict::Wait
    }
}

pub(crate) fn all_in(run: &Run, wanted: impl Fn(JobState) -> bool) -> impl Iterator<Item = JobNo> {
    (0_u32..).zip(&run.jobs).filter(move |(_, job)| wanted(job.state)).map(|(no, _)| JobNo(no))
}

pub(crate) fn is_out(state: JobState) -> bool {
    matches!(state, JobState::Queued | JobState::Running | JobState::Unknown)
}

fn is_stopping(run: &Run) -> bool {
    run.cancel.is_some() || run.orders.as_ref().is_some_and(|orders| orders.timed_out)
}

fn due_by_watchdog(job: &Job) -> Option<Timestamp> {
    let limit = SignedDuration::from_secs(i64::from(job.order.as_ref()?.timeout_s));
    job.current()?.permitted_at?.checked_add(limit).ok()?.checked_add(WATCHDOG_SLACK).ok()
}

/// Whether an order waits for a place.
pub(crate) fn any_ready(run: &Run) -> bool {
    run.orders.is_some()
        && !is_stopping(run)
        && all_in(run, |state| state == JobState::Blocked).any(|no| verdict(run, no) == Verdict::Ready)
}

/// Whether something that an order needs is over and did not succeed.
pub(crate) fn has_failed_need(run: &Run, no: JobNo) -> bool {
    let failed = |need: &JobNo| state(run, *need).is_some_and(|state| state.is_over() && state != JobState::Succeeded);
    node(run, no).is_some_and(|node| node.needs.iter().any(failed))
}

/// Whether a lost order is ended by the watchdog soon.
pub(crate) fn watchdog_is_due_within(run: &Run, now: Timestamp, within: SignedDuration) -> bool {
    let lost = run.jobs.iter().filter(|job| job.state == JobState::Unknown);
    lost.filter_map(due_by_watchdog).any(|due| due.duration_since(now) <= within)
}

/// Whether the watchdog ended this order.
pub(crate) fn was_ended_by_watchdog(run: &Run, no: JobNo) -> bool {
    let failure = run.job(no).and_then(|job| job.order.as_ref()).and_then(|order| order.failure.as_ref());
    failure.is_some_and(|failure| failure.kind == "watchdog")
}

/// The first decision about a run.
pub(crate) fn founded(core: &Core, oracle: &mut Oracle, entry: &Entry) {
    let Some((accepted, rest)) = entry.events.split_first() else { return };
    let Some(mut run) = fold([&Entry::new(String::new(), entry.at, vec![accepted.clone()])]) else { return };
    for event in rest {
        before(core, oracle, (&run, core.now.get()), event, entry);
        evolve(&mut run, event, entry.at);
    }
    after(core, oracle, &run);
}

/// What must be so before an event of a decision. `changed_at`: when the run last changed (ms).
pub(crate) fn before(core: &Core, oracle: &mut Oracle, (run, changed_at): (&Run, u64), event: &Event, entry: &Entry) {
    if run.orders.is_none() {
        return;
    }
    let id = run.id;
    let stopping = is_stopping(run);
    match event {
        Event::JobQueued { job, .. } => queued(oracle, run, *job),
        Event::Permitted { job, .. } | Event::EffectsStarted { job, .. } => {
            oracle.must(!stopping, || format!("O7: order {job} of {id} began after the run was stopped"));
        }
        Event::AttemptEnded { job, .. } | Event::JobSucceeded { job } | Event::JobFailed { job, .. } | Event::JobUnknown { job, .. } => {
            stays(oracle, run, *job);
        }
        Event::JobCancelled { job } | Event::JobSkipped { job } => {
            stays(oracle, run, *job);
            oracle.must(stopping, || format!("O7: order {job} of {id} was cancelled, and the run is not"));
        }
        Event::JobTimedOut { job, failure } => {
            stays(oracle, run, *job);
            timed_out(core, oracle, (run, *job), &failure.kind, entry);
        }
        Event::OrdersSkipped { orders } => {
            for no in orders {
                let blocked = state(run, *no) == Some(JobState::Blocked);
                let must = node(run, *no).is_some_and(|node| !node.optional);
                oracle.must(blocked && must, || format!("O2: order {no} of {id} was closed and is optional, or had gone out"));
            }
        }
        Event::OrdersCancelled { orders } => {
            oracle.must(stopping, || format!("O7: orders of {id} were cancelled, and the run is not"));
            let blocked = orders.iter().all(|no| state(run, *no) == Some(JobState::Blocked));
            oracle.must(blocked, || format!("O6: orders of {id} were cancelled that had gone out"));
        }
        Event::TimeLimitReached => {
            let limit = run.orders_spec().map_or(0, |spec| i64::from(spec.job_timeout_s));
            let due = entry.at.duration_since(run.accepted_at) >= SignedDuration::from_secs(limit);
            oracle.must(due, || format!("O7: the time of {id} was called over before it was"));
            oracle.must(!waited_for_nobody(core, oracle, (run, changed_at), entry), || {
                format!("I10: {id} waited for a place until its time was over, and all were free")
            });
        }
        Event::JobLocked { .. }
        | Event::SyncPlanned { .. }
        | Event::ReleaseMade { .. }
        | Event::ServiceSynced { .. }
        | Event::JobPostponed { .. }
        | Event::JobSuperseded { .. } => oracle.violated(format!("O6: {id} is a run of orders, and was decided on as one of syncs")),
        Event::Accepted { .. }
        | Event::LocksGranted
        | Event::ApprovalOpened { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::PhaseEntered { .. }
        | Event::CommitPinned { .. }
        | Event::OrderTold { .. }
        | Event::CancelRequested { .. }
        | Event::Resolved { .. }
        | Event::RunEnded { .. } => {}
    }
}

/// Whether an order waits for a place although nothing has gone wrong and no order of any run was out for a while. The
/// time limit of a run would hide that nobody gives it a place.
fn waited_for_nobody(core: &Core, oracle: &Oracle, (run, changed_at): (&Run, u64), entry: &Entry) -> bool {
    let long_ago = |at: u64| core.now.get() > at + LONG;
    let is_idle = |run: &Run, changed_at| long_ago(changed_at) && !run.jobs.iter().any(|job| is_out(job.state));
    let others = || oracle.truths.values().all(|truth| truth.run.orders.is_none() || is_idle(&truth.run, truth.changed_at));
    // What else ends in the same decision was out until now.
    let alone = matches!(entry.events.first(), Some(Event::TimeLimitReached));
    core.closing.get() && long_ago(core.closing_since.get()) && alone && any_ready(run) && is_idle(run, changed_at) && others()
}

fn queued(oracle: &mut Oracle, run: &Run, no: JobNo) {
    let id = run.id;
    oracle.must(!is_stopping(run), || format!("O7: order {no} of {id} was queued after the run was stopped"));
    let Some(job) = run.job(no) else { return oracle.violated(format!("O1: {id} has no order {no}")) };
    if !job.attempts.is_empty() {
        // Tried again; that its commands had not begun is asked by I4.
        return oracle.must(job.state == JobState::Running, || format!("O5: order {no} of {id} was queued again as it is {:?}", job.state));
    }
    let ready = job.state == JobState::Blocked && verdict(run, no) == Verdict::Ready;
    oracle.must(ready, || format!("O1: order {no} of {id} went out before what it needs was over as it must be"));
    let most = run.orders_spec().map_or(0, |spec| spec.max_parallel as usize);
    oracle.must(all_in(run, is_out).count() < most, || format!("O4: {id} has more than {most} orders out"));
}

fn stays(oracle: &mut Oracle, run: &Run, no: JobNo) {
    let over = state(run, no).is_none_or(JobState::is_over);
    oracle.must(!over, || format!("O6: order {no} of {} was over, and was decided on again", run.id));
}

fn timed_out(core: &Core, oracle: &mut Oracle, (run, no): (&Run, JobNo), kind: &str, entry: &Entry) {
    let id = run.id;
    let Some(job) = run.job(no) else { return };
    let so = match kind {
        "watchdog" => {
            let unheard = matches!(job.state, JobState::Running | JobState::Unknown);
            unheard && due_by_watchdog(job).is_some_and(|due| entry.at > due)
        }
        "job_timeout" => run.orders.as_ref().is_some_and(|orders| orders.timed_out),
        "timeout" => {
            let attempt = job.current().map(|attempt: &Attempt| AttemptId { run: id, job: no, attempt: attempt.no });
            let tools = core.tools.borrow();
            attempt.and_then(|attempt| tools.0.get(&attempt)).is_some_and(|tool| tool.end == End::TimedOut && tool.killed.is_none())
        }
        _ => false,
    };
    oracle.must(so, || format!("O6: order {no} of {id} was called timed out ({kind}), and is not"));
}

/// What must be so after a decision.
pub(crate) fn after(core: &Core, oracle: &mut Oracle, run: &Run) {
    let Some((orders, spec)) = run.orders.as_ref().zip(run.orders_spec()) else { return };
    let id = run.id;
    let stopping = is_stopping(run);
    let mut ready: BTreeMap<PoolName, BTreeSet<JobNo>> = BTreeMap::new();
    for (no, node) in (0_u32..).map(JobNo).zip(&spec.graph.0) {
        match state(run, no) {
            Some(JobState::Blocked) => {
                oracle.must(!stopping, || format!("O7: order {no} of {id} waits, and the run is stopped"));
                let verdict = verdict(run, no);
                oracle.must(verdict != Verdict::Close, || format!("O2: order {no} of {id} waits for what did not succeed"));
                if verdict == Verdict::Ready {
                    ready.entry(node.pool.clone()).or_default().insert(no);
                }
            }
            Some(JobState::Queued) => oracle.must(!stopping, || format!("O7: order {no} of {id} is out, and the run is stopped")),
            Some(JobState::Skipped) => {
                oracle.must(has_failed_need(run, no), || format!("O2: order {no} of {id} was closed for nothing"));
            }
            Some(
                JobState::Running
                | JobState::Waiting
                | JobState::Unknown
                | JobState::Succeeded
                | JobState::Failed
                | JobState::TimedOut
                | JobState::Superseded
                | JobState::Cancelled,
            )
            | None => {}
        }
    }
    if ready != orders.ready {
        oracle.violated(format!("O3: {:?} of {id} are called ready, and {ready:?} are", orders.ready));
    }
    let out = all_in(run, is_out).count();
    if out == spec.max_parallel as usize && !ready.is_empty() {
        core.met(Case::MostOut);
    }
    oracle.must(out <= spec.max_parallel as usize, || format!("O4: {id} has {out} orders out"));
    order_counts::counted(oracle, run);
    order_counts::ended(oracle, run);
}
