//! What the model looks at of a run, read off once when the run is first seen.

use crate::{
    sample,
    words::{Due, WorkerIx},
};
use domain::run::{self, AttemptEnd, Effect, Ending, GateState, Job, JobKind, JobState, LockState, Run};

/// A run as the model sees it.
#[derive(Debug)]
pub struct Facts {
    pub ending: Option<Ending>,
    pub unknown: bool,
    pub lock: LockState,
    pub jobs: Vec<JobFacts>,
    /// The plan that is there, and its commit.
    pub plan: Option<(u8, u8)>,
    pub commit: Option<u8>,
    pub gate: Option<GateState>,
    pub cancelled: bool,
    /// It once was unknown.
    pub was_unknown: bool,
    /// A person said how it ended.
    pub resolved: bool,
    /// Everything that is due.
    pub outstanding: Vec<Due>,
}

/// A job as the model sees it: its newest attempt.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts {
    pub kind: JobKind,
    pub state: JobState,
    /// 0 before the first.
    pub attempt: u8,
    pub worker: Option<WorkerIx>,
    pub nonce: Option<u8>,
    pub effects: bool,
    /// Attempts that were begun.
    pub starts: usize,
}

impl Facts {
    pub fn of(run: &Run) -> Self {
        Self {
            ending: run.ended.map(|(_, ending)| ending),
            unknown: run.unknown_jobs > 0,
            lock: run.lock,
            jobs: run.jobs.iter().map(job).collect(),
            plan: run.plan.as_ref().map(|p| (sample::number(&p.artifact.plan_sha256), sample::number(p.artifact.commit.as_str()))),
            commit: run.commit.as_ref().map(|commit| sample::number(commit.as_str())),
            gate: run.jobs.iter().find_map(|job| job.gate.as_ref()).map(|gate| gate.state),
            cancelled: run.cancel.is_some(),
            was_unknown: !run.evidence.is_empty(),
            resolved: run.resolution.is_some(),
            outstanding: due(run::outstanding(run)),
        }
    }

    pub fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// The job that is unknown.
    pub fn unknown_job(&self) -> Option<u8> {
        self.jobs.iter().position(|job| job.state == JobState::Unknown).map(|job| job as u8)
    }

    pub fn is_waiting_for_a_person(&self) -> bool {
        self.jobs.iter().any(|job| job.state == JobState::Waiting)
    }
}

fn job(job: &Job) -> JobFacts {
    let current = job.current();
    let unbegun = |end| matches!(end, Some((_, AttemptEnd::NotStarted)));
    JobFacts {
        kind: job.kind,
        state: job.state,
        attempt: current.map_or(0, |attempt| attempt.no.0 as u8),
        worker: current.and_then(|attempt| attempt.worker.as_ref()).map(|worker| sample::number(worker.as_str())),
        nonce: current.and_then(|attempt| attempt.nonce.as_deref()).map(sample::number),
        effects: current.is_some_and(|attempt| attempt.effects_at.is_some()),
        starts: job.attempts.iter().filter(|attempt| !unbegun(attempt.ended)).count(),
    }
}

/// Effects in the model's words. Secrets are not modelled: runs here have none.
pub fn due(effects: Vec<Effect>) -> Vec<Due> {
    let word = |effect| match effect {
        Effect::WantLocks(_) => Some(Due::Want),
        Effect::ReleaseLocks(_) => Some(Due::Release),
        Effect::PublishOrder(order) => Some(Due::Publish(sample::id(order.id))),
        Effect::Stop { seat, signal } => Some(Due::Stop {
            id: sample::id(signal.id),
            worker: sample::number(seat.worker.as_str()),
            force: signal.mode == proto::message::StopMode::Kill,
        }),
        Effect::DeleteSecrets { .. } => None,
        // Of runs of syncs only.
        Effect::Note(_) => None,
    };
    effects.into_iter().filter_map(word).collect()
}
