//! What no single decision may do, whatever it was asked: seen from outside, from the run before and after and from the
//! events in between. What concerns the whole world is in `properties`.

use crate::{
    facts::Facts,
    words::{In, Told},
};
use domain::run::{Event, GateState, JobKind, JobState, LockState};

/// Rules that were broken, as bits: one for each invariant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Broken(u16);

/// The invariants of the design that a step of the model can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A job goes out before the run holds its locks.
    OneAtATime,
    /// What is over changes; what is unknown changes without a result or a person.
    WrittenOnce,
    /// An unclear outcome is called something else.
    UnknownStays,
    /// Something else is applied than was approved.
    AsApproved,
    /// A second permit, or a start without one.
    OnePermit,
    /// A straggler or a stranger is heard.
    NoStragglers,
    /// A success is believed that cannot be one.
    NoFalseSuccess,
    /// A job is tried for ever.
    Bounded,
    /// Something starts after a cancel.
    CancelHolds,
}

impl Broken {
    pub fn add(&mut self, rule: Rule, is_broken: bool) {
        self.0 |= u16::from(is_broken) << (rule as u16);
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, rule: Rule) -> bool {
        self.0 & (1 << (rule as u16)) != 0
    }
}

/// Which rules a decision breaks.
pub fn broken_by(before: &Facts, what: In, late: bool, events: &[Event], after: &Facts) -> Broken {
    let mut broken = Broken::default();
    broken.add(Rule::WrittenOnce, rewrites(before, what, events, after));
    broken.add(Rule::UnknownStays, hides_doubt(before, what, after));
    broken.add(Rule::NoStragglers, hears_straggler(before, what));
    broken.add(Rule::Bounded, after.jobs.iter().any(|job| job.starts > 2));
    broken.add(Rule::AsApproved, after.commit != before.commit && before.commit.is_some());
    broken.add(Rule::AsApproved, before.gate == Some(GateState::Approved) && after.plan != before.plan);
    broken.add(Rule::CancelHolds, after.cancelled && after.jobs.iter().any(|job| job.state == JobState::Queued));
    for event in events {
        event_breaks(&mut broken, before, (what, late), event, after);
    }
    broken
}

fn event_breaks(broken: &mut Broken, before: &Facts, (what, late): (In, bool), event: &Event, after: &Facts) {
    let cancelled = before.cancelled || matches!(what, In::Cancel { .. });
    match event {
        Event::JobQueued { .. } => {
            broken.add(Rule::OneAtATime, after.lock == LockState::Wanted);
            broken.add(Rule::CancelHolds, cancelled);
        }
        Event::Permitted { job, attempt, .. } => {
            let asked = before.jobs[job.0 as usize];
            broken.add(Rule::OnePermit, asked.worker.is_some());
            broken.add(Rule::NoStragglers, u32::from(asked.attempt) != attempt.0);
            broken.add(Rule::OneAtATime, before.lock != LockState::Held);
            broken.add(Rule::CancelHolds, cancelled);
        }
        Event::EffectsStarted { job, .. } => {
            let asked = before.jobs[job.0 as usize];
            let In::Start { worker, nonce, .. } = what else { return broken.add(Rule::OnePermit, true) };
            broken.add(Rule::OnePermit, asked.worker != Some(worker) || asked.nonce != Some(nonce) || asked.effects);
            broken.add(Rule::CancelHolds, cancelled);
        }
        Event::ApprovalGiven { .. } => {
            let In::Approve { plan } = what else { return broken.add(Rule::AsApproved, true) };
            broken.add(Rule::AsApproved, before.plan.is_none_or(|(waits, _)| waits != plan) || late);
            broken.add(Rule::WrittenOnce, before.gate != Some(GateState::Waiting));
        }
        Event::JobSucceeded { job } => {
            let done = after.jobs[job.0 as usize];
            let believable = match done.kind {
                JobKind::TerraformPlan => after.plan.is_some_and(|(_, commit)| Some(commit) == after.commit),
                JobKind::TerraformApply | JobKind::Shell => done.effects,
                JobKind::Approval | JobKind::Probe => true,
                // No run of the model is one of syncs.
                JobKind::Select | JobKind::Release | JobKind::Sync => false,
            };
            let said = matches!(what, In::Report { told: Told::Empty, .. });
            broken.add(Rule::NoFalseSuccess, !believable || said);
        }
        Event::Accepted { .. } | Event::LocksGranted | Event::ApprovalOpened { .. } | Event::ApprovalRefused { .. } => {}
        Event::ApprovalExpired { .. } | Event::PhaseEntered { .. } | Event::CommitPinned { .. } | Event::AttemptEnded { .. } => {}
        Event::JobFailed { .. } | Event::JobCancelled { .. } | Event::JobSkipped { .. } | Event::JobUnknown { .. } => {}
        Event::CancelRequested { .. } | Event::Resolved { .. } | Event::RunEnded { .. } => {}
        // No run of the model has orders.
        Event::JobTimedOut { .. } | Event::OrdersSkipped { .. } | Event::OrdersCancelled { .. } => {}
        Event::TimeLimitReached | Event::OrderTold { .. } => {}
        // None is one of syncs.
        Event::JobLocked { .. } | Event::SyncPlanned { .. } | Event::ReleaseMade { .. } => {}
        Event::ServiceSynced { .. } | Event::JobSuperseded { .. } | Event::JobPostponed { .. } => {}
    }
}

/// I3: what is over stays; what is unknown is settled by a genuine result of its own worker or by a person, and nothing
/// else is; a run does not end in doubt.
fn rewrites(before: &Facts, what: In, events: &[Event], after: &Facts) -> bool {
    let job_rewritten = before.jobs.iter().zip(&after.jobs).any(|(was, is)| was.state.is_over() && is.state != was.state);
    let ends = events.iter().filter(|event| matches!(event, Event::RunEnded { .. })).count();
    let by_person = matches!(what, In::Resolve { .. });
    let result = matches!(what, In::Report { told: Told::Applied | Told::Failed | Told::Stopped { clean: true }, .. });
    let late = matches!(what, In::Report { id, .. } if before.jobs[usize::from(id.job)].state.is_over());
    let settled = before.unknown && !after.unknown;
    late || before.is_over()
        || job_rewritten
        || ends > 1
        || (settled && !by_person && !result)
        || (by_person && !before.unknown)
        || (after.is_over() && after.jobs.iter().any(|job| !job.state.is_over()))
}

/// I4: an attempt that had the word to start, and of which nobody can say what it did, is unknown.
fn hides_doubt(before: &Facts, what: In, after: &Facts) -> bool {
    let (id, doubtful) = match what {
        In::Lost { id } => (id, true),
        In::Report { id, told, .. } => {
            (id, matches!(told, Told::Unclear | Told::NotStarted | Told::Stopped { clean: false } | Told::Empty))
        }
        In::Accept | In::Again | In::Granted | In::Begin { .. } | In::Start { .. } | In::Approve { .. } | In::Reject => return false,
        In::Cancel { .. } | In::Resolve { .. } | In::Tick => return false,
    };
    let job = before.jobs[usize::from(id.job)];
    doubtful && job.effects && job.attempt == id.attempt && after.jobs[usize::from(id.job)].state != JobState::Unknown
}

/// I7: only the newest attempt of the worker that has its permit is heard.
fn hears_straggler(before: &Facts, what: In) -> bool {
    match what {
        In::Report { id, worker, .. } => {
            let job = before.jobs[usize::from(id.job)];
            job.attempt != id.attempt || job.worker != Some(worker)
        }
        In::Begin { id, .. } | In::Start { id, .. } | In::Lost { id } => before.jobs[usize::from(id.job)].attempt != id.attempt,
        In::Accept | In::Again | In::Granted | In::Approve { .. } | In::Reject => false,
        In::Cancel { .. } | In::Resolve { .. } | In::Tick => false,
    }
}
