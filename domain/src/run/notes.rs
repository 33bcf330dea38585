//! What is kept of a run of syncs for whoever looks later: how each service stands, and what its source says. Derived from
//! the run's log; writing it twice, or late, changes nothing.

use super::state::{Attempt, Job, JobState, Run};
use jiff::Timestamp;
use proto::{
    RunId, SourceId,
    git::{CommitId, GitRef},
    message::Failure,
    sync::{Environment, MappingInForce, ServiceId, ServiceState, SourceState, SyncResult},
};

/// Something to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    Service(Box<ServiceNote>),
    Source(Box<SourceState>),
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
    Synced { commit: CommitId, git_ref: GitRef, tag: Option<String>, result: SyncResult },
    Failed(Failure),
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
    if !spec.git_ref.as_str().starts_with("refs/heads/") {
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
        commit: selection.commit.clone(),
        services: selection.known.clone(),
        mapping,
    })))
}

/// What the end of a sync told of its service. A sync that nobody began told nothing.
pub(super) fn of_service(run: &Run, job: &Job) -> Option<Note> {
    let (spec, service) = (run.sync_spec()?, job.service.as_ref()?);
    let (at, _) = job.current().filter(began)?.ended?;
    let outcome = match job.state {
        JobState::Succeeded => ServiceOutcome::Synced {
            commit: run.commit.clone()?,
            git_ref: spec.git_ref.clone(),
            tag: run.syncs.as_ref().and_then(|syncs| syncs.release.as_ref()).map(|release| release.tag.clone()),
            result: service.result.clone()?,
        },
        JobState::Failed => ServiceOutcome::Failed(service.failure.clone()?),
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

fn began(attempt: &&Attempt) -> bool {
    attempt.permitted_at.is_some()
}

/// How a service stands after a note; `None`: it says nothing new, because it was told before or something later was.
pub fn noted_service(before: Option<&ServiceState>, note: &ServiceNote) -> Option<ServiceState> {
    if before.is_some_and(|before| before.run == note.run || before.at > note.at) {
        return None;
    }
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
        failures: 0,
        error_kind: None,
        error: None,
    };
    Some(match &note.outcome {
        ServiceOutcome::Synced { commit, git_ref, tag, result } => ServiceState {
            commit: Some(commit.clone()),
            git_ref: Some(git_ref.clone()),
            tag: tag.clone(),
            action: Some(result.action),
            hash: result.hash.clone(),
            synced_at: Some(note.at),
            ..new
        },
        ServiceOutcome::Failed(failure) => {
            let before = before.cloned().unwrap_or_else(|| new.clone());
            ServiceState {
                run: note.run,
                at: note.at,
                source: note.source.clone(),
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
    if before.is_some_and(|before| before.run == note.run || before.at > note.at) {
        return None;
    }
    Some(note.clone())
}
