//! What is kept of a run of syncs for whoever looks later: how each service stands, and what its source says. Derived from
//! the run's log; writing it twice, or late, changes nothing.

use super::{
    state::{Job, JobState, Run},
    syncs::tag_of,
};
use crate::planted::planted;
use jiff::Timestamp;
use proto::{
    RunId, SourceId,
    git::{CommitId, GitRef},
    message::Failure,
    sync::{Environment, MappingInForce, PAUSED, ReleaseKind, ServiceId, ServiceState, SourceState, SyncResult, SyncSpec, SyncWanted},
};

/// Something to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    Service(Box<ServiceNote>),
    Source(Box<SourceState>),
}

impl Note {
    /// The service it is about; `None`: the source. A run tells of each once.
    pub fn service(&self) -> Option<ServiceId> {
        match self {
            Self::Service(note) => Some(note.service.clone()),
            Self::Source(_) => None,
        }
    }
}

/// How the sync of a service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNote {
    pub run: RunId,
    pub at: Timestamp,
    pub source: SourceId,
    pub environment: Environment,
    pub service: ServiceId,
    pub outcome: ServiceOutcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceOutcome {
    Synced {
        commit: CommitId,
        git_ref: GitRef,
        tag: Option<String>,
        /// Absent where a person said so: what exactly was deployed nobody knows.
        result: Option<SyncResult>,
    },
    Failed {
        failure: Failure,
        /// Its side effects had begun: what is deployed now is not what was.
        begun: bool,
    },
}

/// Everything that a run has told.
pub(super) fn all(run: &Run) -> Vec<Note> {
    if run.syncs.is_none() {
        return Vec::new();
    }
    run.jobs.iter().filter_map(|job| of_service(run, job)).chain(of_source(run)).collect()
}

/// What the selection told of the source. Only where it shows the source's branch: an old tag says nothing about today.
pub(super) fn of_source(run: &Run) -> Option<Note> {
    let (spec, selection) = (run.sync_spec()?, run.syncs.as_ref()?.selection.as_ref()?);
    if !looks_at_all(spec) {
        return None;
    }
    let at = run.jobs.first()?.current()?.ended?.0;
    let mapping = match &selection.mapping {
        MappingInForce::BuiltIn => None,
        MappingInForce::OfCommit { text } | MappingInForce::LastGood { text, .. } => Some(text.clone()),
    };
    Some(Note::Source(Box::new(SourceState {
        source: spec.source.clone(),
        run: run.id,
        at,
        commit: selection.until.clone().unwrap_or_else(|| selection.commit.clone()),
        services: selection.known.clone(),
        mapping,
    })))
}

/// Whether a run shows the branch that its source follows, and all of it: a push, or everything. What was named is only a part,
/// and a version may be of any branch.
fn looks_at_all(spec: &SyncSpec) -> bool {
    match &spec.wanted {
        SyncWanted::Changed(_) => true,
        SyncWanted::Named { .. } => false,
        SyncWanted::All => {
            let of_branch = spec.git_ref.as_str().starts_with("refs/heads/");
            let staged = spec.release.as_ref().is_none_or(|order| order.kind == ReleaseKind::Staging);
            of_branch && staged && spec.deployment_id.is_none()
        }
    }
}

/// What the end of a sync told of its service. A sync that nobody began told nothing.
pub(super) fn of_service(run: &Run, job: &Job) -> Option<Note> {
    let (spec, service) = (run.sync_spec()?, job.service.as_ref()?);
    let attempt = job.current().filter(|attempt| attempt.permitted_at.is_some())?;
    let (at, _) = attempt.ended?;
    let begun = attempt.effects_at.is_some();
    let outcome = match job.state {
        JobState::Succeeded => ServiceOutcome::Synced {
            commit: run.commit.clone()?,
            git_ref: spec.git_ref.clone(),
            tag: tag_of(run),
            result: service.result.clone(),
        },
        // One that was not tried says nothing about its service.
        JobState::Failed => ServiceOutcome::Failed { failure: service.failure.clone().filter(|failure| failure.kind != PAUSED)?, begun },
        // Stopped half-way: the next one must not take the service for what it was before.
        JobState::Cancelled if begun => ServiceOutcome::Failed { failure: stopped(run), begun },
        JobState::Blocked
        | JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Unknown
        | JobState::TimedOut
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Superseded => return None,
    };
    Some(Note::Service(Box::new(ServiceNote {
        run: run.id,
        at,
        source: spec.source.clone(),
        environment: spec.environment.clone(),
        service: service.service.clone(),
        outcome,
    })))
}

fn stopped(run: &Run) -> Failure {
    Failure {
        kind: "cancelled".to_owned(),
        phase: "sync".to_owned(),
        message: "its run was cancelled, and it was stopped half-way".to_owned(),
        next_action: format!("sync it again; {} says what it had done", run.id),
    }
}

/// Tellings that are remembered. A run repeats its own for as long as it is open: so many others of one service do not come in
/// the meantime.
const MOST_TOLD: usize = 32;

/// How a service stands after a note; `None`: it was told before.
///
/// A run tells for the first time while it holds the service's lock, so the order of first tellings is the order of the syncs.
/// Clocks have no say in it: those of two schedulers differ.
pub fn noted_service(before: Option<&ServiceState>, note: &ServiceNote) -> Option<ServiceState> {
    let mut told = before.map(|before| before.told.clone()).unwrap_or_default();
    if told.contains(&note.run) && !(planted!(NoteGoesBack) && before.is_some_and(|before| before.run != note.run)) {
        return None;
    }
    told.push(note.run);
    told.drain(..told.len().saturating_sub(MOST_TOLD));
    let new = ServiceState {
        service: note.service.clone(),
        environment: note.environment.clone(),
        source: note.source.clone(),
        commit: None,
        git_ref: None,
        tag: None,
        action: None,
        hash: None,
        synced_at: None,
        run: note.run,
        at: note.at,
        told,
        failures: 0,
        error_kind: None,
        error: None,
    };
    Some(match &note.outcome {
        ServiceOutcome::Synced { result: Some(result), .. } if result.untouched => {
            let before = before.cloned().unwrap_or_else(|| new.clone());
            ServiceState { run: note.run, at: note.at, told: new.told, ..before }
        }
        ServiceOutcome::Synced { commit, git_ref, tag, result } => ServiceState {
            commit: Some(commit.clone()),
            git_ref: Some(git_ref.clone()),
            tag: tag.clone(),
            action: result.as_ref().map(|result| result.action),
            hash: result.as_ref().and_then(|result| result.hash.clone()),
            synced_at: Some(note.at),
            ..new
        },
        ServiceOutcome::Failed { failure, begun } => {
            let before = before.cloned().unwrap_or_else(|| new.clone());
            ServiceState {
                run: note.run,
                at: note.at,
                told: new.told,
                source: note.source.clone(),
                hash: before.hash.filter(|_| !begun),
                failures: before.failures.saturating_add(1),
                error_kind: Some(failure.kind.clone()),
                error: Some(failure.message.clone()),
                ..before
            }
        }
    })
}

/// What is known of a source after a selection; `None`: something later was told. A mapping that was once good is kept.
pub fn noted_source(before: Option<&SourceState>, note: &SourceState) -> Option<SourceState> {
    // Which of two told at the same moment is the later does not matter, as long as it is always the same one.
    if before.is_some_and(|before| before.run == note.run || (before.at, before.run) > (note.at, note.run)) {
        return None;
    }
    Some(note.clone())
}
