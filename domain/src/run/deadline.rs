//! What is due because time has passed: approvals that expire, syncs that were put off, jobs that no worker takes, orders and runs of orders whose
//! time is over. Looked at by the sweep; every deadline stands in the run's log, so a restart forgets none.

use super::{
    decide::{is_expired, last_gate},
    event::Event,
    postponed,
    refusal::Refusal,
    state::{Attempt, AttemptEnd, GateState, Job, JobKind, JobState, Run},
    turn::Turn,
};
use crate::planted::planted;
use jiff::{SignedDuration, Timestamp};
use proto::{AttemptNo, JobNo, message::Failure};

/// Decides what is due now.
pub(super) fn tick(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    if turn.run.is_over() {
        return Err(Refusal::NothingDue);
    }
    let mut due = approval(turn);
    due |= postponed::resume(turn);
    if let Some(deadline) = turn.policy.queue_deadline {
        due |= queues(turn, deadline);
    }
    if turn.run.orders.is_some() {
        due |= watch(turn);
        due |= whole_run(turn);
    }
    if due { Ok(()) } else { Err(Refusal::NothingDue) }
}

fn approval(turn: &mut Turn<'_>) -> bool {
    let Some((no, GateState::Waiting)) = last_gate(turn.run) else { return false };
    if !is_expired(turn.run, no, turn.now) || planted!(NeverExpires) {
        return false;
    }
    turn.emit(Event::ApprovalExpired { job: no });
    turn.cancel_job(no);
    true
}

fn jobs_where(run: &Run, chosen: impl Fn(&Job) -> bool) -> Vec<JobNo> {
    (0_u32..).zip(&run.jobs).filter(|(_, job)| chosen(job)).map(|(no, _)| JobNo(no)).collect()
}

fn queues(turn: &mut Turn<'_>, deadline: SignedDuration) -> bool {
    let now = turn.now;
    let late = jobs_where(turn.run, |job| {
        job.state == JobState::Queued && job.current().is_some_and(|a| now.duration_since(a.queued_at) > deadline)
    });
    for no in &late {
        unstarted(turn, *no);
        let failure = Failure {
            kind: "queue_deadline".to_owned(),
            phase: turn.run.phase.clone(),
            message: format!("no worker of the pool `{}` took the job in time", turn.run.pool_of(*no)),
            next_action: "start a worker for this pool, then submit again".to_owned(),
        };
        match turn.run.job(*no).map(|job| job.kind) {
            Some(JobKind::Shell) => turn.time_out(*no, failure),
            Some(
                JobKind::TerraformPlan
                | JobKind::TerraformApply
                | JobKind::Approval
                | JobKind::Probe
                | JobKind::Select
                | JobKind::Release
                | JobKind::Sync,
            )
            | None => turn.fail(*no, failure),
        }
    }
    !late.is_empty()
}

fn unstarted(turn: &mut Turn<'_>, no: JobNo) {
    let attempt = turn.run.job(no).and_then(Job::current).map_or(AttemptNo::FIRST, |attempt| attempt.no);
    turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::NotStarted, result: None });
}

/// The watchdog: an order that was begun and of which nothing is heard by the time it must have ended has timed out,
/// whatever its worker tells later. Also one that was lost: it was not known whether it would come back.
fn watch(turn: &mut Turn<'_>) -> bool {
    let (now, slack) = (turn.now, turn.policy.watchdog_slack);
    let late = jobs_where(turn.run, |job| {
        let unheard = matches!(job.state, JobState::Running | JobState::Unknown);
        let looked_at = unheard && !(planted!(WatchdogSkipsLost) && job.state == JobState::Unknown);
        looked_at && heard_by(job, slack).is_some_and(|deadline| now > deadline)
    });
    for no in &late {
        if let Some(attempt) = turn.run.job(*no).and_then(Job::current).filter(|attempt| attempt.ended.is_none()).map(|a| a.no) {
            turn.emit(Event::AttemptEnded { job: *no, attempt, end: AttemptEnd::Lost, result: None });
        }
        let failure = Failure {
            kind: "watchdog".to_owned(),
            phase: "orders".to_owned(),
            message: "Worker unresponsive, timed out by watchdog".to_owned(),
            next_action: "look at the worker that had it: what it started may still run there".to_owned(),
        };
        turn.time_out(*no, failure);
    }
    !late.is_empty()
}

fn heard_by(job: &Job, slack: SignedDuration) -> Option<Timestamp> {
    let limit = SignedDuration::from_secs(i64::from(job.order.as_ref()?.timeout_s));
    let began = job.current().and_then(|attempt: &Attempt| attempt.permitted_at)?;
    began.checked_add(limit).ok()?.checked_add(slack).ok()
}

/// Whether the time of the whole run, counted from its acceptance, is over; noted or not.
pub(super) fn is_over(turn: &Turn<'_>) -> bool {
    let limit = turn.run.orders_spec().map(|spec| SignedDuration::from_secs(i64::from(spec.job_timeout_s)));
    limit.is_some_and(|limit| turn.now.duration_since(turn.run.accepted_at) >= limit)
}

/// Notes that the time of the whole run is over, once.
pub(super) fn whole_run(turn: &mut Turn<'_>) -> bool {
    let noted = turn.run.orders.as_ref().is_some_and(|orders| orders.timed_out);
    if noted || turn.run.is_over() || !is_over(turn) {
        return false;
    }
    turn.emit(Event::TimeLimitReached);
    close_orders(turn);
    true
}

/// Ends every order that has not begun. What runs is stopped by its worker, and settled by its report or the watchdog.
pub(super) fn close_orders(turn: &mut Turn<'_>) {
    let blocked = jobs_where(turn.run, |job| job.state == JobState::Blocked);
    if !blocked.is_empty() && !planted!(GoesOnAfterCancel) {
        turn.emit(Event::OrdersCancelled { orders: blocked });
    }
    if planted!(CancelKeepsQueued) {
        return;
    }
    if planted!(TimeLimitKeepsQueued) && turn.run.orders.as_ref().is_some_and(|orders| orders.timed_out) {
        return;
    }
    for no in jobs_where(turn.run, |job| job.state == JobState::Queued) {
        unstarted(turn, no);
        turn.cancel_job(no);
    }
}

/// Why an order ended with its run's time.
pub(super) fn job_timeout(run: &Run) -> Failure {
    let limit = run.orders_spec().map_or(0, |spec| spec.job_timeout_s);
    Failure {
        kind: "job_timeout".to_owned(),
        phase: "orders".to_owned(),
        message: format!("the time of the whole run ({limit} s) was over"),
        next_action: "raise `job_timeout`, or find out what is slow".to_owned(),
    }
}
