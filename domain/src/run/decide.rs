//! The transition function. A refusal leaves the run as it was; events have been applied to it already and must be
//! committed (if they cannot be, the caller forgets this run and reads its log again).

use super::{
    deadline,
    event::Event,
    evolve::found,
    input::{Input, Policy},
    newest,
    plan_jobs::{jobs_of, locks_of},
    refusal::Refusal,
    report,
    state::{AttemptEnd, GateState, JobState, LockState, Run},
    syncs,
    turn::Turn,
    view::status,
};
use crate::lock;
use crate::planted::planted;
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, WorkerId,
    lock::LockKey,
    message::{Failure, PERMIT_LIFE_MS, Trigger},
};

/// Makes a run of a trigger: the run, and the events of its first entry.
pub fn accept(trigger: &Trigger, now: Timestamp, policy: &Policy) -> (Run, Vec<Event>) {
    let jobs = jobs_of(&trigger.spec);
    let locks = locks_of(&trigger.spec);
    let mut run = found(trigger, &locks, &jobs);
    let mut events = vec![Event::Accepted { trigger: Box::new(trigger.clone()), locks, jobs }];
    let mut turn = Turn::new(&mut run, now, policy);
    turn.start_ready();
    events.extend(turn.finish());
    (run, events)
}

/// Decides what follows from an input.
pub fn decide(run: &mut Run, input: &Input, now: Timestamp, policy: &Policy) -> Result<Vec<Event>, Refusal> {
    let mut turn = Turn::new(run, now, policy);
    match input {
        Input::LocksGranted { keys } => locks_granted(&mut turn, keys)?,
        Input::LockLineFull { keys } => lock_line_full(&mut turn, keys)?,
        Input::Newer(newer) => newest::superseded(&mut turn, newer)?,
        Input::Begin { job, attempt, worker, nonce } => begin(&mut turn, *job, *attempt, worker, nonce)?,
        Input::StartEffects { job, attempt, worker, nonce, serial_before } => {
            start_effects(&mut turn, (*job, *attempt), worker, nonce, *serial_before)?;
        }
        Input::Report { job, attempt, worker, what } => report::reported(&mut turn, *job, *attempt, worker, what)?,
        Input::WorkerLost { job, attempt, seen } => report::worker_lost(&mut turn, *job, *attempt, seen)?,
        Input::Approve { by, plan_sha256 } => approve(&mut turn, by, plan_sha256.as_deref())?,
        Input::Reject { by } => reject(&mut turn, by)?,
        Input::Cancel { by, force } => cancel(&mut turn, by, *force)?,
        Input::Resolve { by, job, succeeded, reason } => resolve(&mut turn, *job, by, *succeeded, reason)?,
        Input::Dispatch { places } => dispatch(&mut turn, places)?,
        Input::Tick => deadline::tick(&mut turn)?,
    }
    Ok(turn.finish())
}

fn locks_granted(turn: &mut Turn<'_>, keys: &[LockKey]) -> Result<(), Refusal> {
    if turn.run.syncs.is_some() {
        return syncs::locked(turn, keys);
    }
    match turn.run.lock {
        LockState::Wanted if !turn.run.is_over() => {
            turn.emit(Event::LocksGranted);
            turn.start_ready();
            Ok(())
        }
        LockState::Wanted | LockState::NotNeeded | LockState::Held => Err(Refusal::NotWaitingForLocks),
    }
}

/// The run cannot even wait: it ends, and says so, instead of standing nowhere for ever.
fn lock_line_full(turn: &mut Turn<'_>, keys: &[LockKey]) -> Result<(), Refusal> {
    if turn.run.syncs.is_some() {
        return syncs::line_full(turn, keys, &line_full_failure(turn.run));
    }
    if turn.run.lock != LockState::Wanted || turn.run.is_over() {
        return Err(Refusal::NotWaitingForLocks);
    }
    let mut failure = Some(line_full_failure(turn.run));
    for no in (0..turn.run.jobs.len() as u32).map(JobNo) {
        let may_start = turn.run.job(no).is_some_and(|job| job.state == JobState::Blocked && job.unmet == 0);
        match failure.take_if(|_| may_start) {
            Some(failure) => turn.fail(no, failure),
            None => turn.cancel_job(no),
        }
    }
    Ok(())
}

fn line_full_failure(run: &Run) -> Failure {
    Failure {
        kind: "lock_line_full".to_owned(),
        phase: run.phase.clone(),
        message: format!("{} runs wait for a lock of this run already; it was not put behind them", lock::LONGEST_LINE),
        next_action: "`navvy locks` shows who holds what and who waits; cancel what nobody needs, then submit again".to_owned(),
    }
}

/// There are places for orders. Whoever gives them knows the run only as it was: what it cannot use is not an error.
fn dispatch(turn: &mut Turn<'_>, places: &[(PoolName, u32)]) -> Result<(), Refusal> {
    // I11: once a cancel is accepted, nothing new starts.
    if turn.run.is_over() || turn.run.cancel.is_some() {
        return Err(Refusal::NothingDue);
    }
    // Nobody waits for the next look at what is due: after the time of the run nothing new starts.
    if deadline::whole_run(turn) {
        return Ok(());
    }
    let mut any = false;
    for (pool, count) in places {
        any |= turn.dispatch(pool, *count);
    }
    if any { Ok(()) } else { Err(Refusal::NothingDue) }
}

/// I6: a permit is granted at most once per attempt. The same worker with the same nonce may ask again (its answer was
/// lost): that is the same grant, and the caller repeats the answer.
fn begin(turn: &mut Turn<'_>, no: JobNo, given: AttemptNo, worker: &WorkerId, nonce: &str) -> Result<(), Refusal> {
    let job = turn.run.job(no).ok_or(Refusal::NoSuchJob)?;
    let current = job.current().ok_or(Refusal::NotQueued)?;
    if current.no != given && !planted!(StaleBegin) {
        return Err(Refusal::StaleAttempt { given, current: current.no });
    }
    match job.state {
        JobState::Queued => {}
        JobState::Running if planted!(PermitAgain) => {}
        JobState::Running if current.worker.as_ref() == Some(worker) && current.nonce.as_deref() == Some(nonce) => {
            return Err(Refusal::AlreadySo);
        }
        JobState::Running => return Err(Refusal::AlreadyPermitted),
        JobState::Unknown
        | JobState::Succeeded
        | JobState::Failed
        | JobState::TimedOut
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Superseded => {
            return Err(Refusal::AttemptOver);
        }
        JobState::Blocked | JobState::Waiting => return Err(Refusal::NotQueued),
    }
    if turn.run.cancel.is_some() || deadline::is_over(turn) {
        return Err(Refusal::Cancelling);
    }
    if turn.run.lock == LockState::Wanted && !planted!(QueuedWithoutLocks) {
        return Err(Refusal::LocksNotHeld);
    }
    turn.emit(Event::Permitted { job: no, attempt: given, worker: worker.clone(), nonce: nonce.to_owned() });
    Ok(())
}

/// The last word before the tool changes the world. Until here a lost worker costs a retry; from here on, certainty.
fn start_effects(
    turn: &mut Turn<'_>,
    (no, given): (JobNo, AttemptNo),
    worker: &WorkerId,
    nonce: &str,
    serial_before: Option<u64>,
) -> Result<(), Refusal> {
    let job = turn.run.job(no).ok_or(Refusal::NoSuchJob)?;
    let current = job.current().ok_or(Refusal::NotQueued)?;
    if current.no != given {
        return Err(Refusal::StaleAttempt { given, current: current.no });
    }
    if job.state != JobState::Running {
        return Err(Refusal::AttemptOver);
    }
    let permitted = current.worker.as_ref() == Some(worker) && current.nonce.as_deref() == Some(nonce);
    if !permitted && !planted!(AnybodyStarts) {
        return Err(Refusal::NotYours);
    }
    if !job.kind.has_effects() {
        return Err(Refusal::NoEffects);
    }
    if (turn.run.cancel.is_some() && !planted!(StartsAfterCancel)) || deadline::is_over(turn) {
        return Err(Refusal::Cancelling);
    }
    if !holds_locks(turn.run, no) && !planted!(QueuedWithoutLocks) {
        return Err(Refusal::LocksNotHeld);
    }
    if current.effects_at.is_some() {
        return Err(Refusal::AlreadySo);
    }
    turn.emit(Event::EffectsStarted { job: no, attempt: given, serial_before });
    Ok(())
}

/// Whether the run holds every lock that the job needs. What changes the world needs one; orders name none.
fn holds_locks(run: &Run, no: JobNo) -> bool {
    if let Some(service) = run.job(no).and_then(|job| job.service.as_ref()) {
        return service.locked || planted!(SyncsWithoutLock);
    }
    match run.lock {
        LockState::Held => true,
        LockState::Wanted => false,
        LockState::NotNeeded => run.orders.is_some(),
    }
}

/// The gate that was asked last; terraform runs have one.
pub(super) fn last_gate(run: &Run) -> Option<(JobNo, GateState)> {
    let gate = |(no, job): (usize, &super::state::Job)| job.gate.as_ref().map(|gate| (JobNo(no as u32), gate.state));
    run.jobs.iter().enumerate().rev().find_map(gate)
}

fn approve(turn: &mut Turn<'_>, by: &str, plan_sha256: Option<&str>) -> Result<(), Refusal> {
    let wrong = Refusal::WrongState(status(turn.run));
    let (no, state) = last_gate(turn.run).ok_or(wrong.clone())?;
    match state {
        GateState::Approved => return Err(Refusal::AlreadySo),
        GateState::Expired => return Err(Refusal::ApprovalExpired),
        GateState::Rejected if planted!(ApprovesRefused) => {}
        GateState::Closed | GateState::Rejected => return Err(wrong),
        GateState::Waiting => {}
    }
    if turn.run.job(no).is_none_or(|job| job.state != JobState::Waiting) && !planted!(ApprovesRefused) {
        return Err(wrong);
    }
    if is_expired(turn.run, no, turn.now) && !planted!(ApprovesLate) {
        return Err(Refusal::ApprovalExpired);
    }
    // I5: what is approved is this plan and no other.
    let waiting = turn.run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.as_str());
    if plan_sha256.is_some_and(|asked| waiting != Some(asked)) && !planted!(ApprovesAnyPlan) {
        return Err(Refusal::PlanChanged);
    }
    turn.emit(Event::ApprovalGiven { job: no, by: by.to_owned() });
    turn.succeed(no);
    Ok(())
}

fn reject(turn: &mut Turn<'_>, by: &str) -> Result<(), Refusal> {
    let wrong = Refusal::WrongState(status(turn.run));
    let (no, state) = last_gate(turn.run).ok_or(wrong.clone())?;
    match state {
        GateState::Rejected => Err(Refusal::AlreadySo),
        GateState::Expired => Err(Refusal::ApprovalExpired),
        GateState::Closed | GateState::Approved => Err(wrong),
        GateState::Waiting if turn.run.job(no).is_none_or(|job| job.state != JobState::Waiting) => Err(wrong),
        GateState::Waiting => {
            turn.emit(Event::ApprovalRefused { job: no, by: by.to_owned() });
            turn.cancel_job(no);
            Ok(())
        }
    }
}

fn cancel(turn: &mut Turn<'_>, by: &str, force: bool) -> Result<(), Refusal> {
    if turn.run.is_over() {
        return Err(Refusal::WrongState(status(turn.run)));
    }
    match &turn.run.cancel {
        // More than asked for already: nothing new.
        Some(before) if before.force || !force => return Err(Refusal::AlreadySo),
        // An unknown outcome cannot be cancelled: nothing runs that could be stopped.
        Some(_) | None if turn.run.unknown_jobs == turn.run.open_jobs => return Err(Refusal::WrongState(status(turn.run))),
        Some(_) | None => {}
    }
    // The tool gets its chance to save its state first, whoever is in a hurry: force is always a second word.
    let force = force && turn.run.cancel.is_some();
    turn.emit(Event::CancelRequested { by: by.to_owned(), force });
    if turn.run.orders.is_some() {
        deadline::close_orders(turn);
        return Ok(());
    }
    for no in (0..turn.run.jobs.len() as u32).map(JobNo) {
        let Some(job) = turn.run.job(no) else { continue };
        match job.state {
            JobState::Queued if planted!(CancelKeepsQueued) => {}
            JobState::Queued => {
                let attempt = job.current().map_or(AttemptNo::FIRST, |attempt| attempt.no);
                turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::NotStarted, result: None });
                turn.cancel_job(no);
            }
            JobState::Blocked if planted!(GoesOnAfterCancel) => {}
            JobState::Blocked | JobState::Waiting => turn.cancel_job(no),
            // Stopped by its worker, settled by a report or a person.
            JobState::Running | JobState::Unknown => {}
            JobState::Succeeded
            | JobState::Failed
            | JobState::TimedOut
            | JobState::Cancelled
            | JobState::Skipped
            | JobState::Superseded => {}
        }
    }
    Ok(())
}

fn resolve(turn: &mut Turn<'_>, asked: Option<JobNo>, by: &str, succeeded: bool, reason: &str) -> Result<(), Refusal> {
    let settleable = |state| state == JobState::Unknown || (planted!(ResolvesAnything) && state == JobState::Running);
    let asked_for = |no: &JobNo| asked.is_none_or(|asked| asked == *no);
    let mut jobs = (0_u32..).map(JobNo).zip(&turn.run.jobs);
    let Some((no, _)) = jobs.find(|(no, job)| settleable(job.state) && asked_for(no)) else {
        return Err(Refusal::WrongState(status(turn.run)));
    };
    // A worker that was lost may hold an answer that it has not acted on yet: who looks now may see nothing run, and it
    // starts later.
    let ended = turn.run.job(no).and_then(|job| job.current()).and_then(|attempt| attempt.ended);
    if let Some((at, AttemptEnd::Lost)) = ended
        && turn.now.duration_since(at).as_millis() < i128::from(PERMIT_LIFE_MS)
    {
        return Err(Refusal::TooSoon);
    }
    turn.emit(Event::Resolved { job: no, by: by.to_owned(), succeeded, reason: reason.to_owned() });
    if succeeded {
        turn.succeed(no);
    } else {
        let phase = turn.run.phase.clone();
        let message = format!("settled as failed by {by}: {reason}");
        turn.fail(no, Failure { kind: "resolved".to_owned(), phase, message, next_action: String::new() });
    }
    Ok(())
}

pub(super) fn is_expired(run: &Run, no: JobNo, now: Timestamp) -> bool {
    let expires_at = run.job(no).and_then(|job| job.gate.as_ref()).and_then(|gate| gate.expires_at);
    expires_at.is_some_and(|expires_at| now >= expires_at)
}
