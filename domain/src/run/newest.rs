//! The newest wins: when a newer run makes a sync needless that nobody has begun.

use super::{
    event::Event,
    refusal::Refusal,
    state::{AttemptEnd, Job, JobState, Run},
    syncs::{follows_branch, wanted_lock},
    turn::Turn,
};
use crate::planted::planted;
use jiff::Timestamp;
use proto::{AttemptNo, JobNo, RunId, SourceId, git::GitRef, sync::ServiceId};
use std::collections::BTreeSet;

/// A run that waits behind another one: what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    pub run: RunId,
    /// When it was accepted. Only who came later is newer: were each of two runs newer than the other in some way, each would
    /// leave its work to the other, and nobody would do it.
    pub accepted_at: Timestamp,
    pub source: SourceId,
    /// Services whose locks it stands in line for: what they come after has succeeded, so no failure of another service can
    /// keep it from syncing them. One that comes after something else may still be skipped, and what had been left to it would
    /// be done by nobody.
    pub services: BTreeSet<ServiceId>,
    pub git_ref: GitRef,
    /// See `proto::sync::Selection::generation`.
    pub generation: u64,
    pub force: bool,
}

impl Newer {
    /// What a run of syncs says of itself to those that wait before it; `None` before it knows what it is about.
    pub fn of(run: &Run) -> Option<Self> {
        let spec = run.sync_spec()?;
        let selection = run.syncs.as_ref()?.selection.as_ref()?;
        let may_be_skipped = |job: &Job| planted!(LeavesToWhoMaySkip) && job.state == JobState::Blocked && run.cancel.is_none();
        let is_next = |job: &&Job| wanted_lock(run, job).is_some() || may_be_skipped(job);
        let services = run.jobs.iter().filter(is_next).filter_map(|job| Some(job.service.as_ref()?.service.clone())).collect();
        Some(Self {
            run: run.id,
            accepted_at: run.accepted_at,
            source: spec.source.clone(),
            services,
            git_ref: spec.git_ref.clone(),
            generation: selection.generation,
            force: spec.force,
        })
    }
}

/// The newest wins: what a newer run stands in line to sync, and no worker has begun here, is left to it. A sync that others here
/// wait for is left only together with them, so that the order among services holds.
pub(super) fn superseded(turn: &mut Turn<'_>, newer: &Newer) -> Result<(), Refusal> {
    if turn.run.is_over() || turn.run.cancel.is_some() || newer.run == turn.run.id {
        return Err(Refusal::NothingDue);
    }
    let Some((spec, selection)) = turn.run.sync_spec().zip(turn.run.syncs.as_ref().and_then(|syncs| syncs.selection.as_ref())) else {
        return Err(Refusal::NothingDue);
    };
    let came_later = (newer.accepted_at, newer.run) > (turn.run.accepted_at, turn.run.id) || planted!(EarlierIsNewer);
    let same_branch = follows_branch(spec) && spec.source == newer.source && spec.git_ref == newer.git_ref;
    let older = !came_later || (same_branch && newer.generation < selection.generation);
    // What was forced would not be done by a run that compares.
    if older || (spec.force && !newer.force) {
        return Err(Refusal::NotNewer);
    }
    let mut any = false;
    while let Some(no) = next_superseded(turn.run, newer) {
        if let Some((JobState::Queued, attempt)) = turn.run.job(no).map(|job| (job.state, job.current().map(|attempt| attempt.no))) {
            let attempt = attempt.unwrap_or(AttemptNo::FIRST);
            turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::NotStarted, result: None });
        }
        turn.emit(Event::JobSuperseded { job: no, by: newer.run });
        any = true;
    }
    if any { Ok(()) } else { Err(Refusal::NothingDue) }
}

/// A sync that nobody has begun, that is the newer run's too, and that nobody here waits for any more.
fn next_superseded(run: &Run, newer: &Newer) -> Option<JobNo> {
    let waits = |job: &Job| match job.state {
        JobState::Blocked | JobState::Queued => true,
        JobState::Running => planted!(SupersedesRunning),
        JobState::Waiting
        | JobState::Unknown
        | JobState::Succeeded
        | JobState::Failed
        | JobState::TimedOut
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Superseded => false,
    };
    let fed_are_over =
        |job: &Job| planted!(SupersedesNeeded) || job.feeds.iter().all(|feed| run.job(*feed).is_none_or(|fed| fed.state.is_over()));
    let theirs = |job: &Job| job.service.as_ref().is_some_and(|service| newer.services.contains(&service.service));
    let last = run.jobs.iter().rposition(|job| waits(job) && theirs(job) && fed_are_over(job))?;
    Some(JobNo(last as u32))
}
