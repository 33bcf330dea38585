//! Syncs that are put off. What one deploys to is to be left alone for a while, and its worker says so before it has touched
//! anything: it waits here, without a worker, and is tried again by itself. Whether a remote is to be left alone is the
//! worker's to say; how often it is asked again, and when that ends, is decided here.

use super::{
    event::Event,
    state::{AttemptEnd, Job, JobState, Run},
    turn::Turn,
};
use crate::planted::planted;
use jiff::{SignedDuration, Timestamp};
use proto::{AttemptNo, JobNo, message::Failure, sync::PAUSED};

/// The first wait. Each one after it is twice as long.
const FIRST: SignedDuration = SignedDuration::from_mins(1);
/// So often a sync is put off: 1, 2, 4 and 8 minutes. It keeps its lock meanwhile, and whoever waits for that and comes later
/// takes its place; nobody else waits for longer than this.
const MOST: u32 = 4;

/// Whether a failure says that a sync was not tried because it is too soon.
pub(super) fn is_pause(failure: &Failure) -> bool {
    failure.kind == PAUSED
}

/// Until when a job that is put off waits.
pub(super) fn until(job: &Job) -> Option<Timestamp> {
    job.service.as_ref().filter(|_| job.state == JobState::Blocked)?.not_before
}

/// When the next of the run's jobs that are put off is tried again.
pub(super) fn next(run: &Run) -> Option<Timestamp> {
    run.jobs.iter().filter_map(until).min()
}

/// An attempt has not tried anything. The job is put off, or, when that was done often enough, fails and says what to do.
pub(super) fn paused(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, failure: &Failure) {
    let times = turn.run.job(no).and_then(|job| job.service.as_ref()).map_or(MOST, |service| service.put_off);
    if turn.run.cancel.is_some() {
        turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::NotStarted, result: None });
        return turn.cancel_job(no);
    }
    if times >= MOST && !planted!(PutOffForEver) {
        turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Failed, result: None });
        let waited: SignedDuration = (0..MOST).map(wait).sum();
        let message = format!("{}; it was put off {MOST} times, {} minutes in all", failure.message, waited.as_mins());
        return turn.fail(no, Failure { message, ..failure.clone() });
    }
    turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::NotStarted, result: None });
    let until = turn.now.checked_add(wait(times)).unwrap_or(Timestamp::MAX);
    turn.emit(Event::JobPostponed { job: no, until, why: failure.message.clone() });
}

fn wait(times: u32) -> SignedDuration {
    FIRST * (1 << times.min(MOST))
}

/// Tries again what was put off until now.
pub(super) fn resume(turn: &mut Turn<'_>) -> bool {
    if planted!(PutOffForgotten) {
        return false;
    }
    let now = turn.now;
    let due = |job: &Job| until(job).is_some_and(|until| until <= now);
    let jobs: Vec<JobNo> = (0_u32..).zip(&turn.run.jobs).filter(|(_, job)| due(job)).map(|(no, _)| JobNo(no)).collect();
    for no in &jobs {
        turn.start(*no);
    }
    !jobs.is_empty()
}
