//! What follows from what workers tell, and from their silence.

use super::{
    event::Event,
    postponed,
    refusal::Refusal,
    state::{Attempt, AttemptEnd, Job, JobKind, JobState},
    syncs,
    turn::Turn,
};
use crate::planted::planted;
use proto::{
    AttemptNo, JobNo, WorkerId,
    message::{AttemptOutcome, Evidence, Failure, JobResult, ReportWhat},
    orders::OrderEvent,
    sync::SyncAction,
};

/// Attempts that may come back unstarted before the job is given up: a fleet that always says "not now" must not spin.
const MAX_NOT_STARTED: usize = 20;

/// A worker tells something about an attempt.
pub(super) fn reported(turn: &mut Turn<'_>, no: JobNo, given: AttemptNo, worker: &WorkerId, what: &ReportWhat) -> Result<(), Refusal> {
    let job = turn.run.job(no).ok_or(Refusal::NoSuchJob)?;
    let current = live_attempt(job, given, worker)?;
    match what {
        ReportWhat::Phase { phase } => {
            if current.phase.as_deref() == Some(phase) {
                return Err(Refusal::AlreadySo);
            }
            turn.emit(Event::PhaseEntered { job: no, attempt: given, phase: phase.clone() });
        }
        ReportWhat::OrderEvents { events } => {
            let fits = |event: &&OrderEvent| serde_json::to_vec(event).is_ok_and(|json| json.len() <= OrderEvent::MAX_BYTES * 2);
            let events: Vec<OrderEvent> = events.iter().filter(fits).take(OrderEvent::MAX_PER_ORDER).cloned().collect();
            if job.kind != JobKind::Shell || events.is_empty() {
                return Err(Refusal::NothingDue);
            }
            turn.emit(Event::OrderTold { job: no, attempt: given, events });
        }
        ReportWhat::CommitResolved { commit } => match &turn.run.commit {
            Some(bound) if bound == commit => return Err(Refusal::AlreadySo),
            Some(_) if planted!(CommitRebound) => turn.emit(Event::CommitPinned { commit: commit.clone() }),
            Some(_) => return Err(Refusal::OtherCommit),
            None => turn.emit(Event::CommitPinned { commit: commit.clone() }),
        },
        ReportWhat::Ended(outcome) => ended(turn, no, given, outcome)?,
    }
    Ok(())
}

/// I7: only the current attempt of the worker that got the permit is heard, and only until it has ended. An unknown
/// outcome may still be told by the one who knows: a genuine late result.
fn live_attempt<'j>(job: &'j Job, given: AttemptNo, worker: &WorkerId) -> Result<&'j Attempt, Refusal> {
    let current = job.current().ok_or(Refusal::NotPermitted)?;
    if given > current.no {
        return Err(Refusal::NotPermitted);
    }
    if current.no != given && !planted!(StaleReport) {
        return Err(Refusal::StaleAttempt { given, current: current.no });
    }
    let permitted = current.worker.as_ref() == Some(worker) || planted!(AnybodyReports);
    match job.state {
        JobState::Running | JobState::Unknown if permitted => Ok(current),
        JobState::Succeeded | JobState::Failed | JobState::TimedOut | JobState::Cancelled if planted!(ReportAfterEnd) => Ok(current),
        JobState::TimedOut if planted!(BelievedAfterWatchdog) => Ok(current),
        JobState::Running | JobState::Unknown => Err(Refusal::NotYours),
        JobState::Queued | JobState::Blocked | JobState::Waiting => Err(Refusal::NotPermitted),
        JobState::Succeeded | JobState::Failed | JobState::TimedOut | JobState::Cancelled | JobState::Skipped | JobState::Superseded => {
            Err(Refusal::AttemptOver)
        }
    }
}

fn ended(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, outcome: &AttemptOutcome) -> Result<(), Refusal> {
    let was_unknown = turn.run.job(no).is_some_and(|job| job.state == JobState::Unknown);
    let effects = has_started_effects(turn, no);
    match outcome {
        AttemptOutcome::Succeeded { result } => succeeded(turn, no, attempt, result),
        // Whoever may have changed something is not tried again.
        AttemptOutcome::Failed { failure } if postponed::is_pause(failure) && is_sync(turn, no) && !effects && !was_unknown => {
            postponed::paused(turn, no, attempt, failure);
        }
        AttemptOutcome::Failed { failure } => {
            turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Failed, result: None });
            turn.fail(no, failure.clone());
        }
        // Only a genuine result settles what is unknown; what its worker saw helps whoever has to find out.
        AttemptOutcome::Unclear { evidence } if was_unknown => {
            let known = turn.run.evidence.get(&no).cloned().unwrap_or_default();
            let evidence = with_more(known, evidence).ok_or(Refusal::AlreadySo)?;
            turn.emit(Event::JobUnknown { job: no, evidence });
        }
        AttemptOutcome::NotStarted { .. } if was_unknown => return Err(Refusal::AlreadySo),
        AttemptOutcome::Stopped { clean: false, .. } if was_unknown && !is_order(turn, no) => return Err(Refusal::AlreadySo),
        AttemptOutcome::Stopped { clean, timed_out } => {
            let clean = *clean || !effects || is_order(turn, no);
            stopped(turn, no, attempt, clean, *timed_out);
        }
        AttemptOutcome::Unclear { evidence } if effects && !(planted!(TriesUnclearAgain) && is_order(turn, no)) => {
            unclear(turn, no, attempt, AttemptEnd::Unclear, evidence.clone());
        }
        // Its worker cannot say, but we can: it never had the word to start.
        AttemptOutcome::Unclear { .. } => retry(turn, no, attempt, AttemptEnd::Lost, "the worker lost it before it changed anything"),
        // An attempt whose effects were released never says that nothing was started; if it does, it is not believed.
        AttemptOutcome::NotStarted { reason } if effects && !planted!(NotStartedBelieved) => {
            let seen = format!("the worker says it started nothing, but it had the word to start: {reason}");
            unclear(turn, no, attempt, AttemptEnd::Unclear, Evidence { seen, ..Evidence::default() });
        }
        AttemptOutcome::NotStarted { reason } => retry(turn, no, attempt, AttemptEnd::NotStarted, reason),
    }
    Ok(())
}

/// A success is believed only if it brings what the job is for, and if the attempt had the word to do it.
fn succeeded(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, result: &JobResult) {
    let effects = has_started_effects(turn, no);
    match misfit(turn, no, result).filter(|_| !planted!(AnySuccessBelieved)) {
        None => {
            // A plan whose commit was told only with it binds the run all the same.
            if let (JobResult::Plan(plan), None) = (result, &turn.run.commit) {
                turn.emit(Event::CommitPinned { commit: plan.artifact.commit.clone() });
            }
            match result {
                JobResult::Selection(selection) => return syncs::planned(turn, no, attempt, selection),
                JobResult::Release(release) => turn.emit(Event::ReleaseMade { release: release.clone() }),
                JobResult::Sync(result) => turn.emit(Event::ServiceSynced { job: no, result: result.clone() }),
                JobResult::Nothing | JobResult::Plan(_) | JobResult::Apply(_) | JobResult::Order(_) => {}
            }
            turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Succeeded, result: kept(result) });
            turn.succeed(no);
        }
        Some(why) if effects => {
            let seen = format!("the worker reports a success that does not fit: {why}");
            unclear(turn, no, attempt, AttemptEnd::Unclear, Evidence { seen, ..Evidence::default() });
        }
        Some(why) => {
            turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Failed, result: None });
            let failure = Failure {
                kind: "bad_report".to_owned(),
                phase: turn.run.phase.clone(),
                message: format!("the worker reports a success that does not fit: {why}"),
                next_action: "check that all workers run the same version as the scheduler".to_owned(),
            };
            turn.fail(no, failure);
        }
    }
}

/// What is kept of a result beside the event that tells it.
fn kept(result: &JobResult) -> Option<JobResult> {
    match result {
        JobResult::Selection(_) | JobResult::Release(_) | JobResult::Sync(_) => None,
        JobResult::Nothing | JobResult::Plan(_) | JobResult::Apply(_) | JobResult::Order(_) => Some(result.clone()),
    }
}

fn misfit(turn: &Turn<'_>, no: JobNo, result: &JobResult) -> Option<&'static str> {
    let kind = turn.run.job(no)?.kind;
    match (kind, result) {
        (JobKind::TerraformPlan, JobResult::Plan(plan)) => {
            let other = turn.run.commit.as_ref().is_some_and(|bound| *bound != plan.artifact.commit);
            other.then_some("it planned another commit than the run's")
        }
        (JobKind::TerraformApply, JobResult::Apply(_)) => {
            (!has_started_effects(turn, no)).then_some("it never had the word to start its side effects")
        }
        (JobKind::Probe, JobResult::Nothing) => None,
        (JobKind::Shell, JobResult::Order(_)) => (!has_started_effects(turn, no)).then_some("it never had the word to start its commands"),
        (JobKind::Select, JobResult::Selection(selection)) => {
            let other = turn.run.commit.as_ref().is_some_and(|bound| *bound != selection.commit);
            if syncs::names_one_twice(selection) {
                return Some("it names a service twice");
            }
            other.then_some("it looked at another commit than the run's")
        }
        (JobKind::Release, JobResult::Release(release)) => {
            (turn.run.commit.as_ref() != Some(&release.commit)).then_some("it released another commit than the run's")
        }
        (JobKind::Sync, JobResult::Sync(result)) => {
            // One that leaves everything as it is needs no word.
            let changed = result.action != SyncAction::Skipped;
            (changed && !has_started_effects(turn, no)).then_some("it never had the word to start its side effects")
        }
        (
            JobKind::TerraformPlan
            | JobKind::TerraformApply
            | JobKind::Probe
            | JobKind::Approval
            | JobKind::Shell
            | JobKind::Select
            | JobKind::Release
            | JobKind::Sync,
            JobResult::Nothing
            | JobResult::Plan(_)
            | JobResult::Apply(_)
            | JobResult::Order(_)
            | JobResult::Selection(_)
            | JobResult::Release(_)
            | JobResult::Sync(_),
        ) => Some("such a job brings no such result"),
    }
}

/// An order that was killed has ended all the same: no lock hangs on what it left half-done, and who gave a time limit
/// wanted it to end there.
fn is_order(turn: &Turn<'_>, no: JobNo) -> bool {
    turn.run.job(no).is_some_and(|job| job.kind == JobKind::Shell)
}

fn is_sync(turn: &Turn<'_>, no: JobNo) -> bool {
    turn.run.job(no).is_some_and(|job| job.kind == JobKind::Sync)
}

fn has_started_effects(turn: &Turn<'_>, no: JobNo) -> bool {
    turn.run.job(no).and_then(Job::current).is_some_and(|attempt| attempt.effects_at.is_some())
}

fn stopped(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, clean: bool, timed_out: bool) {
    if !clean && !planted!(KilledIsClean) {
        let seen = if timed_out { "killed at the time limit during its side effects" } else { "killed during its side effects" };
        unclear(turn, no, attempt, AttemptEnd::Unclear, Evidence { seen: seen.to_owned(), ..Evidence::default() });
        return;
    }
    turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Stopped, result: None });
    let phase = turn.run.phase.clone();
    if timed_out && is_order(turn, no) {
        let limit = turn.run.job(no).and_then(|job| job.order.as_ref()).map_or(0, |order| order.timeout_s);
        let failure = Failure {
            kind: "timeout".to_owned(),
            phase,
            message: format!("Command timed out after {limit}s"),
            next_action: "raise the order's `timeout`, or find out what is slow".to_owned(),
        };
        turn.time_out(no, failure);
    } else if timed_out {
        let failure = Failure {
            kind: "timeout".to_owned(),
            phase,
            message: "the time limit of the run was reached; the tool was interrupted and has stopped".to_owned(),
            next_action: "raise `timeout`, or find out what is slow".to_owned(),
        };
        turn.fail(no, failure);
    } else if turn.run.cancel.is_some() {
        turn.cancel_job(no);
    } else {
        let message = "the worker was told to stop and interrupted the tool, which has stopped".to_owned();
        turn.fail(no, Failure { kind: "stopped".to_owned(), phase, message, next_action: "submit again".to_owned() });
    }
}

/// Longest account of what was seen, in bytes; what comes after it is not added.
const MAX_SEEN: usize = 4096;

/// What is known, with what is told now; `None` when that is nothing new.
fn with_more(mut known: Evidence, told: &Evidence) -> Option<Evidence> {
    let before = known.clone();
    if !known.seen.contains(&told.seen) && known.seen.len() + told.seen.len() < MAX_SEEN {
        known.seen = format!("{}; {}", known.seen, told.seen);
    }
    known.serial_before = known.serial_before.or(told.serial_before);
    known.state_lock = known.state_lock.or_else(|| told.state_lock.clone());
    known.errored_state = known.errored_state.or_else(|| told.errored_state.clone());
    let asked = told.check.iter().filter(|check| !before.check.contains(check));
    known.check.extend(asked.take(MAX_CHECKS.saturating_sub(before.check.len())).cloned());
    (known != before).then_some(known)
}

/// Most things a person is asked to check.
const MAX_CHECKS: usize = 20;

/// `end` says whether its worker told it ([`AttemptEnd::Unclear`]) or was lost.
fn unclear(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, end: AttemptEnd, mut evidence: Evidence) {
    // Told with the word to start, because this may be all that was ever told.
    let noted = turn.run.job(no).and_then(Job::current).and_then(|current| current.serial_before);
    evidence.serial_before = evidence.serial_before.or(noted);
    turn.emit(Event::AttemptEnded { job: no, attempt, end, result: None });
    if planted!(UnclearIsFailed) {
        return turn.fail(no, Failure { kind: String::new(), phase: String::new(), message: evidence.seen, next_action: String::new() });
    }
    turn.emit(Event::JobUnknown { job: no, evidence });
}

/// The worker of an attempt is gone.
pub(super) fn worker_lost(turn: &mut Turn<'_>, no: JobNo, given: AttemptNo, seen: &str) -> Result<(), Refusal> {
    let job = turn.run.job(no).ok_or(Refusal::NoSuchJob)?;
    let current = job.current().ok_or(Refusal::NotQueued)?;
    if current.no != given {
        return Err(Refusal::StaleAttempt { given, current: current.no });
    }
    if job.state != JobState::Running {
        return Err(Refusal::AttemptOver);
    }
    if has_started_effects(turn, no) && !planted!(LostEffectsRetried) {
        // I4: not failed, not retried, its lock stays held.
        let check = match turn.run.job(no).map(|job| job.kind) {
            Some(JobKind::Shell) => CHECK_ORDER,
            Some(JobKind::Sync) => CHECK_SYNC,
            Some(
                JobKind::TerraformPlan | JobKind::TerraformApply | JobKind::Approval | JobKind::Probe | JobKind::Select | JobKind::Release,
            )
            | None => CHECK_APPLY,
        };
        let check = check.iter().map(|text| (*text).to_owned()).collect();
        let evidence = Evidence { seen: seen.to_owned(), check, ..Evidence::default() };
        unclear(turn, no, given, AttemptEnd::Lost, evidence);
    } else {
        retry(turn, no, given, AttemptEnd::Lost, seen);
    }
    Ok(())
}

const CHECK_APPLY: &[&str] = &[
    "whether the tool still runs on that worker's machine",
    "the state's serial and what the last apply changed",
    "whether terraform's own state lock is held; never force it while the tool may still run",
];

const CHECK_SYNC: &[&str] =
    &["whether its command still runs on that worker's machine", "what is deployed where the service runs, and whether it is healthy"];

const CHECK_ORDER: &[&str] = &["whether its commands still run on that worker's machine", "what they had changed by then"];

/// An attempt that changed nothing has ended: the job is tried again, within limits.
fn retry(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, end: AttemptEnd, reason: &str) {
    turn.emit(Event::AttemptEnded { job: no, attempt, end, result: None });
    if turn.run.cancel.is_some() {
        turn.cancel_job(no);
        return;
    }
    let attempts = turn.run.job(no).map(|job| job.attempts.as_slice()).unwrap_or_default();
    let unstarted = attempts.iter().filter(|a| matches!(a.ended, Some((_, AttemptEnd::NotStarted)))).count();
    let started = attempts.len() - unstarted;
    let exhausted = started >= turn.policy.max_starts as usize || unstarted >= MAX_NOT_STARTED;
    if exhausted && !planted!(NoRetryLimit) {
        let failure = Failure {
            kind: "worker_lost".to_owned(),
            phase: turn.run.phase.clone(),
            message: format!("given up after {} attempts; the last one: {reason}", attempts.len()),
            next_action: "look at the workers' logs; submit again when they are well".to_owned(),
        };
        turn.fail(no, failure);
    } else {
        turn.queue_again(no);
    }
}
