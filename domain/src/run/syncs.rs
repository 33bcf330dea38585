//! Runs of syncs: what is known about them besides what every run has, and the jobs that a selection becomes. When a newer run
//! makes a waiting sync needless is in `newest`.
//!
//! Each sync has a lock of its own, taken when it may start and given back when it is over: services that have nothing to do
//! with one another wait for nothing of one another's. A job holds at most one lock and waits for none while it holds it,
//! so nobody can wait in a circle.

use super::{
    event::{Event, JobPlan},
    refusal::Refusal,
    state::{AttemptEnd, Job, JobKind, JobState, Run},
    turn::Turn,
};
use crate::planted::planted;
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, RunId,
    lock::LockKey,
    message::Failure,
    sync::{Release, Selected, Selection, ServiceId, ServiceSync, SyncResult, SyncSpec, SyncWanted},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of a run of syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syncs {
    /// What the run is about, once the repository has been looked at.
    pub selection: Option<Selection>,
    /// The release that was made.
    pub release: Option<Release>,
}

/// What only a sync has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceJob {
    pub service: ServiceId,
    pub lock: LockKey,
    /// Its lock is held, or was.
    pub locked: bool,
    /// How often it was put off.
    pub put_off: u32,
    /// It is put off until then.
    pub not_before: Option<Timestamp>,
    pub result: Option<SyncResult>,
    pub failure: Option<Failure>,
    pub superseded_by: Option<RunId>,
}

/// Whether what is asked for is wherever a branch is, and not one version of it.
pub(super) fn follows_branch(spec: &SyncSpec) -> bool {
    spec.git_ref.as_str().starts_with("refs/heads/")
}

/// The jobs that a selection becomes: the release first, then the services, each after those that it is to be synced after.
/// The job numbers go on after those that the run has.
pub(super) fn plan(run: &Run, selection: &Selection) -> Vec<JobPlan> {
    let Some(spec) = run.sync_spec() else { return Vec::new() };
    let mut jobs = Vec::new();
    let first = run.jobs.len() as u32;
    let of_push = matches!(spec.wanted, SyncWanted::Changed(_));
    // A push that touches no service is no release.
    let releases = spec.release.is_some() && !(of_push && selection.services.is_empty());
    if releases {
        jobs.push(JobPlan { name: "release".to_owned(), kind: JobKind::Release, needs: vec![JobNo(0)], service: None });
    }
    let before = if releases { JobNo(first) } else { JobNo(0) };
    let start = first + jobs.len() as u32;
    let numbers: BTreeMap<&ServiceId, JobNo> =
        (start..).zip(&selection.services).map(|(no, selected)| (&selected.service, JobNo(no))).collect();
    for selected in &selection.services {
        let own = numbers.get(&selected.service).copied();
        let mut needs: BTreeSet<JobNo> = selected.after.iter().filter_map(|after| numbers.get(after).copied()).collect();
        needs.retain(|need| Some(*need) != own);
        if needs.is_empty() {
            needs.insert(before);
        }
        let needs = needs.into_iter().collect();
        jobs.push(JobPlan { name: selected.service.to_string(), kind: JobKind::Sync, needs, service: Some(selected.service.clone()) });
    }
    jobs
}

/// Whether a selection names a service twice: two jobs would want one lock, and do the same at the same time.
pub(super) fn names_one_twice(selection: &Selection) -> bool {
    let mut seen = BTreeSet::new();
    !selection.services.iter().all(|selected| seen.insert(&selected.service))
}

/// Whether jobs wait for one another in a circle: such a plan would never end.
pub(super) fn has_circle(jobs: &[JobPlan], first: u32) -> bool {
    let mut unmet: Vec<usize> = jobs.iter().map(|job| job.needs.iter().filter(|need| need.0 >= first).count()).collect();
    let mut free: Vec<usize> = (0..jobs.len()).filter(|index| unmet[*index] == 0).collect();
    let mut done = 0;
    while let Some(index) = free.pop() {
        done += 1;
        let number = JobNo(first + index as u32);
        for (other, _) in jobs.iter().enumerate().filter(|(_, job)| job.needs.contains(&number)) {
            let left = unmet[other].saturating_sub(1);
            unmet[other] = left;
            if left == 0 {
                free.push(other);
            }
        }
    }
    done < jobs.len()
}

/// A new sync, as it is planned.
pub(super) fn service_job(spec: &SyncSpec, service: &ServiceId) -> ServiceJob {
    ServiceJob {
        service: service.clone(),
        lock: LockKey::service(&spec.environment, service),
        locked: false,
        put_off: 0,
        not_before: None,
        result: None,
        failure: None,
        superseded_by: None,
    }
}

/// The lock that a job wants now.
pub(super) fn wanted_lock<'r>(run: &Run, job: &'r Job) -> Option<&'r LockKey> {
    let service = job.service.as_ref()?;
    let wants = job.state == JobState::Blocked && job.unmet == 0 && !service.locked && run.cancel.is_none();
    wants.then_some(&service.lock)
}

/// Whether a job of a run of syncs moves, or can without another one of its run. What waits for one whose outcome is unknown
/// waits for a person.
pub(super) fn goes_on(job: &Job) -> bool {
    match job.state {
        JobState::Queued | JobState::Running | JobState::Waiting => true,
        JobState::Blocked => job.unmet == 0,
        JobState::Unknown
        | JobState::Succeeded
        | JobState::Failed
        | JobState::TimedOut
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Superseded => false,
    }
}

/// The tag that is deployed: the release's, or the one that was asked for.
pub(super) fn tag_of(run: &Run) -> Option<String> {
    let made = run.syncs.as_ref().and_then(|syncs| syncs.release.as_ref()).map(|release| release.tag.clone());
    let asked = || Some(run.sync_spec()?.git_ref.as_str().strip_prefix("refs/tags/")?.to_owned());
    made.or_else(asked)
}

/// What a sync is to do.
pub(super) fn sync_of(run: &Run, job: &Job) -> Option<ServiceSync> {
    let (spec, syncs, service) = (run.sync_spec()?, run.syncs.as_ref()?, job.service.as_ref()?);
    let selected: &Selected = syncs.selection.as_ref()?.services.iter().find(|selected| selected.service == service.service)?;
    Some(ServiceSync {
        run: run.id,
        source: spec.source.clone(),
        git_url: spec.git_url.clone(),
        git_ref: spec.git_ref.clone(),
        commit: run.commit.clone()?,
        follows_branch: follows_branch(spec),
        named: matches!(spec.wanted, SyncWanted::Named { .. }),
        tag: tag_of(run),
        environment: spec.environment.clone(),
        service: selected.clone(),
        command: spec.command.clone(),
        timeout_s: spec.timeout_s,
        force: spec.force,
        triggered_by: spec.triggered_by.clone(),
    })
}

/// The repository has been looked at.
pub(super) fn planned(turn: &mut Turn<'_>, no: JobNo, attempt: AttemptNo, selection: &Selection) {
    if turn.run.commit.is_none() {
        turn.emit(Event::CommitPinned { commit: selection.commit.clone() });
    }
    let jobs = plan(turn.run, selection);
    if has_circle(&jobs, turn.run.jobs.len() as u32) {
        turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Failed, result: None });
        let failure = Failure {
            kind: "mapping".to_owned(),
            phase: turn.run.phase.clone(),
            message: "the services are to be synced after one another in a circle".to_owned(),
            next_action: "`navvy mapping check` names the circle; break it in navvy.yaml".to_owned(),
        };
        return turn.fail(no, failure);
    }
    turn.emit(Event::AttemptEnded { job: no, attempt, end: AttemptEnd::Succeeded, result: None });
    turn.emit(Event::SyncPlanned { selection: Box::new(selection.clone()), jobs });
    turn.succeed(no);
}

/// Locks of single jobs are held now.
pub(super) fn locked(turn: &mut Turn<'_>, keys: &[LockKey]) -> Result<(), Refusal> {
    let jobs: Vec<JobNo> = (0_u32..)
        .zip(&turn.run.jobs)
        .filter(|(_, job)| wanted_lock(turn.run, job).is_some_and(|key| keys.contains(key)))
        .map(|(no, _)| JobNo(no))
        .collect();
    if jobs.is_empty() {
        return Err(Refusal::NotWaitingForLocks);
    }
    for no in jobs {
        turn.emit(Event::JobLocked { job: no });
        turn.start(no);
    }
    Ok(())
}

/// A service whose line is full is not synced, and says so.
pub(super) fn line_full(turn: &mut Turn<'_>, keys: &[LockKey], failure: &Failure) -> Result<(), Refusal> {
    let stuck: Vec<JobNo> = (0_u32..)
        .zip(&turn.run.jobs)
        .filter(|(_, job)| wanted_lock(turn.run, job).is_some_and(|key| keys.contains(key)))
        .map(|(no, _)| JobNo(no))
        .collect();
    if stuck.is_empty() {
        return Err(Refusal::NotWaitingForLocks);
    }
    for no in stuck {
        turn.fail(no, failure.clone());
    }
    Ok(())
}

impl Run {
    /// The locks that the run holds by its log.
    pub fn locks_held(&self) -> Vec<LockKey> {
        match self.lock {
            super::state::LockState::Held => self.locks.clone(),
            super::state::LockState::Wanted | super::state::LockState::NotNeeded => {
                let held = |job: &&Job| !job.state.is_over() && job.service.as_ref().is_some_and(|service| service.locked);
                self.jobs.iter().filter(held).filter_map(|job| Some(job.service.as_ref()?.lock.clone())).collect()
            }
        }
    }

    /// Whether the run waits for this lock, or is about to.
    pub fn wants_lock(&self, key: &LockKey) -> bool {
        match self.lock {
            super::state::LockState::Wanted => self.locks.contains(key),
            super::state::LockState::Held | super::state::LockState::NotNeeded => {
                self.jobs.iter().any(|job| wanted_lock(self, job) == Some(key))
            }
        }
    }

    /// Whether the run has any further use for this lock.
    pub fn needs_lock(&self, key: &LockKey) -> bool {
        if self.is_over() {
            return false;
        }
        let of_jobs: Vec<&Job> = self.jobs.iter().filter(|job| job.service.as_ref().is_some_and(|service| service.lock == *key)).collect();
        if of_jobs.is_empty() { self.locks.contains(key) } else { of_jobs.iter().any(|job| !job.state.is_over() || planted!(SyncLockKept)) }
    }

    /// The locks that must be held while a job changes the world.
    pub fn locks_of(&self, no: JobNo) -> Vec<LockKey> {
        match self.job(no).and_then(|job| job.service.as_ref()) {
            Some(service) => vec![service.lock.clone()],
            None => self.locks.clone(),
        }
    }
}
