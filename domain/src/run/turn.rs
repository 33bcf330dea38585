//! One decision in the making: events are applied as they are decided, so that what follows sees what came before, and
//! what follows from an event is decided here. Each step looks only at the jobs it touches.

use super::{
    deadline,
    event::Event,
    evolve,
    input::Policy,
    orders::Orders,
    state::{Ending, Job, JobKind, JobState, LockState, Run},
};
use crate::planted::planted;
use jiff::Timestamp;
use proto::{AttemptNo, JobNo, PoolName, message::Failure};
use std::collections::BTreeSet;

/// A decision in the making.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) run: &'a mut Run,
    pub(super) now: Timestamp,
    pub(super) policy: &'a Policy,
    events: Vec<Event>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(run: &'a mut Run, now: Timestamp, policy: &'a Policy) -> Self {
        Self { run, now, policy, events: Vec::new() }
    }

    /// Decides an event.
    pub(super) fn emit(&mut self, event: Event) {
        evolve(self.run, &event, self.now);
        self.events.push(event);
    }

    /// Everything that was decided, after the run's end has been decided where it is due.
    pub(super) fn finish(mut self) -> Vec<Event> {
        let open = self.run.open_jobs - if planted!(EndsWithUnknown) { self.run.unknown_jobs } else { 0 };
        if open == 0 && !self.run.is_over() {
            let ending = self.ending();
            self.emit(Event::RunEnded { ending });
        }
        self.events
    }

    fn ending(&self) -> Ending {
        if let Some(orders) = &self.run.orders {
            return ending_of_orders(orders);
        }
        // Once a run: all jobs are over, so looking at each is paid for by the run's life.
        let any = |state| self.run.jobs.iter().any(|job| job.state == state);
        if any(JobState::Failed) {
            Ending::Failed
        } else if any(JobState::Cancelled) || any(JobState::Skipped) {
            Ending::Cancelled
        } else {
            Ending::Success
        }
    }

    /// Starts every job that needs nothing any more.
    pub(super) fn start_ready(&mut self) {
        let ready: Vec<JobNo> = (0..self.run.jobs.len() as u32).map(JobNo).filter(|no| self.is_ready(*no)).collect();
        for job in ready {
            self.start(job);
        }
    }

    fn is_ready(&self, no: JobNo) -> bool {
        self.run.job(no).is_some_and(|job| job.state == JobState::Blocked && job.unmet == 0)
    }

    pub(super) fn start(&mut self, no: JobNo) {
        let Some(job) = self.run.job(no) else { return };
        match job.kind {
            JobKind::Approval => {
                let expires_at = self.now.checked_add(self.policy.approval_ttl).unwrap_or(Timestamp::MAX);
                self.emit(Event::ApprovalOpened { job: no, expires_at });
            }
            // An order waits for a place; see `Turn::dispatch`.
            JobKind::Shell => {}
            // I1: nothing of a run goes out before it holds its locks.
            // A sync has a lock of its own.
            JobKind::Sync if job.service.as_ref().is_none_or(|service| !service.locked) && !planted!(SyncsWithoutLock) => {}
            JobKind::TerraformPlan | JobKind::TerraformApply | JobKind::Probe | JobKind::Select | JobKind::Release | JobKind::Sync => {
                match self.run.lock {
                    LockState::NotNeeded | LockState::Held => {
                        let attempt = job.current().map_or(AttemptNo::FIRST, |attempt| attempt.no.next());
                        self.emit(Event::JobQueued { job: no, attempt });
                    }
                    LockState::Wanted if planted!(QueuedWithoutLocks) => self.emit(Event::JobQueued { job: no, attempt: AttemptNo::FIRST }),
                    LockState::Wanted => {}
                }
            }
        }
    }

    /// The job is to be tried again. An order keeps its place.
    pub(super) fn queue_again(&mut self, no: JobNo) {
        match self.run.job(no).map(|job| job.kind) {
            Some(JobKind::Shell) => self.queue(no),
            Some(
                JobKind::TerraformPlan
                | JobKind::TerraformApply
                | JobKind::Approval
                | JobKind::Probe
                | JobKind::Select
                | JobKind::Release
                | JobKind::Sync,
            )
            | None => self.start(no),
        }
    }

    fn queue(&mut self, no: JobNo) {
        let attempt = self.run.job(no).and_then(Job::current).map_or(AttemptNo::FIRST, |attempt| attempt.no.next());
        self.emit(Event::JobQueued { job: no, attempt });
    }

    /// Puts up to so many ready orders of a pool out, in their order. What the run may have out at a time is kept.
    pub(super) fn dispatch(&mut self, pool: &PoolName, places: u32) -> bool {
        let Some((orders, spec)) = self.run.orders.as_ref().zip(self.run.orders_spec()) else { return false };
        let free = if planted!(MoreThanMayBeOut) { u32::MAX } else { spec.max_parallel.saturating_sub(orders.out_count()) };
        let room = free.min(places);
        let chosen: Vec<JobNo> =
            orders.ready.get(pool).map(|ready| ready.iter().take(room as usize).copied().collect()).unwrap_or_default();
        for no in &chosen {
            self.queue(*no);
        }
        !chosen.is_empty()
    }

    pub(super) fn succeed(&mut self, no: JobNo) {
        self.emit(Event::JobSucceeded { job: no });
        let feeds = self.run.job(no).map(|job| job.feeds.clone()).unwrap_or_default();
        for feed in feeds {
            // I11: once a cancel is accepted, nothing new starts.
            if self.run.cancel.is_some() && !planted!(GoesOnAfterCancel) {
                self.cancel_job(feed);
            } else if self.is_ready(feed) {
                self.start(feed);
            }
        }
    }

    pub(super) fn fail(&mut self, no: JobNo, failure: Failure) {
        self.emit(Event::JobFailed { job: no, failure });
        self.close_feeds(no);
    }

    /// An order ran out of time.
    pub(super) fn time_out(&mut self, no: JobNo, failure: Failure) {
        self.emit(Event::JobTimedOut { job: no, failure });
        self.close_feeds(no);
    }

    /// Ends a job that runs nowhere; what needs it is skipped. Where the time of the whole run is over, that is why.
    pub(super) fn cancel_job(&mut self, no: JobNo) {
        let over = self.run.job(no).is_none_or(|job| job.state.is_over());
        if over {
            return;
        }
        if self.run.orders.as_ref().is_some_and(|orders| orders.timed_out) {
            return self.time_out(no, deadline::job_timeout(self.run));
        }
        self.emit(Event::JobCancelled { job: no });
        self.close_feeds(no);
    }

    /// What needs a job that did not succeed is skipped, and what needs that, but for optional orders. A work list, not
    /// recursion: a chain may be ten thousand jobs deep.
    fn close_feeds(&mut self, no: JobNo) {
        if self.run.orders.is_some() {
            return self.skip_orders(no);
        }
        let mut pending = self.run.job(no).map(|job| job.feeds.clone()).unwrap_or_default();
        while let Some(next) = pending.pop() {
            let Some(job) = self.run.job(next).filter(|job| job.state == JobState::Blocked) else { continue };
            pending.extend(job.feeds.iter().copied());
            self.emit(Event::JobSkipped { job: next });
        }
    }

    fn skip_orders(&mut self, no: JobNo) {
        if planted!(AsksTheFailedOne) && self.run.job(no).is_some_and(Job::is_optional) {
            return;
        }
        let mut pending = self.run.job(no).map(|job| job.feeds.clone()).unwrap_or_default();
        let mut skipped = BTreeSet::new();
        while let Some(next) = pending.pop() {
            let Some(job) = self.run.job(next).filter(|job| job.state == JobState::Blocked && !job.is_optional()) else { continue };
            if skipped.insert(next) && !planted!(ClosesOneLevel) {
                pending.extend(job.feeds.iter().copied());
            }
        }
        if !skipped.is_empty() {
            self.emit(Event::OrdersSkipped { orders: skipped.into_iter().collect() });
        }
    }
}

/// Orders that need not succeed have no say; a time-out weighs more than a failure. (The replaced engine let an optional
/// order's time-out decide; that is a deviation on purpose.)
fn ending_of_orders(orders: &Orders) -> Ending {
    if orders.timed_out || orders.missed.timed_out > 0 {
        Ending::TimedOut
    } else if orders.missed.failed > 0 {
        Ending::Failed
    } else if orders.counts.cancelled > 0 {
        Ending::Cancelled
    } else {
        Ending::Success
    }
}
