//! What must be done in the outside world, as a function of a run's state. Performing an effect twice is harmless: that is
//! what makes a crash at any line, a redelivery and a sweep the same thing.

use super::{
    event::Event,
    notes::{self, Note},
    state::{Job, JobKind, JobState, LockState, Run},
    syncs,
};
use crate::planted::planted;
use proto::{
    AttemptNo, JobNo, Seat,
    ids::AttemptId,
    lock::LockKey,
    message::{JobOrder, RunSpec, StopMode, StopSignal, Work},
    orders::ShellSpec,
};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Take the locks, or stand in line for them.
    WantLocks(Vec<LockKey>),
    /// Give the locks (and places in line) back and wake who is next.
    ReleaseLocks(Vec<LockKey>),
    /// Tell a pool that there is a job.
    PublishOrder(JobOrder),
    /// Tell a worker to stop an attempt; repeated until it has ended.
    Stop { seat: Seat, signal: StopSignal },
    /// The run is over: its secrets are no longer needed. They lie in so many pages; without orders there are none.
    DeleteSecrets { pages: u32 },
    /// Keep what a sync or a selection told, for whoever looks later.
    Note(Note),
}

/// Everything that is due now.
pub fn outstanding(run: &Run) -> Vec<Effect> {
    // Before any lock is given back: whoever takes it next is told how the service stands.
    let mut effects: Vec<Effect> = notes::all(run).into_iter().map(Effect::Note).collect();
    if run.is_over() {
        if run.syncs.is_some() {
            // Each by itself: nobody waits for two of them at once, and there may be more than one write can hold.
            effects.extend(run.jobs.iter().filter_map(|job| lock_due(run, job)));
        } else if !run.locks.is_empty() {
            effects.push(Effect::ReleaseLocks(run.locks.clone()));
        }
        if run.has_secrets {
            effects.push(Effect::DeleteSecrets { pages: run.orders_spec().map_or(0, |spec| spec.page_starts.len() as u32) });
        }
        return effects;
    }
    if run.unknown_jobs > 0 && planted!(UnknownReleasesLock) {
        effects.push(Effect::ReleaseLocks(run.locks.clone()));
    }
    match run.lock {
        LockState::Wanted if planted!(LocksNotRepeated) => {}
        LockState::Wanted => effects.push(Effect::WantLocks(run.locks.clone())),
        LockState::Held | LockState::NotNeeded => {}
    }
    effects.extend((0_u32..).zip(&run.jobs).filter_map(|(no, job)| due(run, JobNo(no), job)));
    effects.extend(run.jobs.iter().filter_map(|job| lock_due(run, job)));
    if planted!(OrdersNotRepeated) {
        effects.retain(|effect| !matches!(effect, Effect::PublishOrder(_)));
    }
    effects
}

/// The lock that a job wants now.
fn lock_wanted(run: &Run, job: &Job) -> Option<Effect> {
    syncs::wanted_lock(run, job).map(|key| Effect::WantLocks(vec![key.clone()]))
}

/// What is due about a job's own lock.
fn lock_due(run: &Run, job: &Job) -> Option<Effect> {
    if let Some(wanted) = lock_wanted(run, job) {
        return Some(wanted);
    }
    if planted!(SyncLockKept) && !run.is_over() {
        return None;
    }
    // Also one that was never held: it may stand in line.
    let done = job.state.is_over() || (job.state == JobState::Unknown && planted!(UnknownSyncReturnsLock));
    let service = job.service.as_ref().filter(|_| done)?;
    Some(Effect::ReleaseLocks(vec![service.lock.clone()]))
}

fn due(run: &Run, no: JobNo, job: &Job) -> Option<Effect> {
    let attempt = job.current()?;
    let id = AttemptId { run: run.id, job: no, attempt: attempt.no };
    match job.state {
        JobState::Queued => Some(Effect::PublishOrder(JobOrder {
            id,
            pool: run.pool_of(no).clone(),
            action: job.kind.action().to_owned(),
            traceparent: run.traceparent.clone(),
        })),
        JobState::Running => {
            let cancel = run.cancel.as_ref()?;
            let mode = if cancel.force { StopMode::Kill } else { StopMode::Interrupt };
            let seat = Seat { pool: run.pool_of(no).clone(), worker: attempt.worker.clone()? };
            Some(Effect::Stop { seat, signal: StopSignal { id, mode } })
        }
        JobState::Blocked | JobState::Waiting | JobState::Unknown => None,
        JobState::Succeeded | JobState::Failed | JobState::TimedOut | JobState::Cancelled | JobState::Skipped | JobState::Superseded => {
            None
        }
    }
}

/// What an attempt is to do, and how long it may take in milliseconds: the content of its permit.
pub fn work_of(run: &Run, no: JobNo, attempt: AttemptNo) -> Option<(Work, u64)> {
    let job = run.job(no).filter(|job| job.current().is_some_and(|current| current.no == attempt))?;
    let work = match (job.kind, &run.spec) {
        (JobKind::TerraformPlan, RunSpec::Terraform(spec)) => Work::TerraformPlan { spec: spec.clone(), commit: run.commit.clone() },
        (JobKind::TerraformApply, RunSpec::Terraform(spec)) => {
            Work::TerraformApply { spec: spec.clone(), plan: run.plan.as_ref()?.artifact.clone() }
        }
        (JobKind::Probe, RunSpec::Probe(spec)) => Work::Probe { spec: spec.clone() },
        (JobKind::Shell, RunSpec::Orders(spec)) => {
            let timeout_s = job.order.as_ref()?.timeout_s;
            let spec =
                ShellSpec { run: run.id, no, name: job.name.clone(), trace_id: spec.trace_id.clone(), flow_id: spec.flow_id(), timeout_s };
            return Some((Work::Shell { spec }, u64::from(timeout_s) * 1000));
        }
        (JobKind::Select, RunSpec::Sync(spec)) => {
            return Some((Work::Select { spec: spec.clone(), commit: run.commit.clone(), last_good: None, since: None }, SELECT_MS));
        }
        (JobKind::Release, RunSpec::Sync(spec)) => {
            return Some((Work::Release { spec: spec.clone(), commit: run.commit.clone()?, run: run.id }, SELECT_MS));
        }
        (JobKind::Sync, RunSpec::Sync(spec)) => {
            let sync = Box::new(syncs::sync_of(run, job)?);
            return Some((Work::Sync { sync, last: None }, u64::from(spec.timeout_s) * 1000));
        }
        (JobKind::Approval, RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Orders(_) | RunSpec::Sync(_))
        | (JobKind::Probe, RunSpec::Terraform(_) | RunSpec::Orders(_) | RunSpec::Sync(_))
        | (JobKind::TerraformPlan | JobKind::TerraformApply, RunSpec::Probe(_) | RunSpec::Orders(_) | RunSpec::Sync(_))
        | (JobKind::Shell, RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_))
        | (JobKind::Select | JobKind::Release | JobKind::Sync, RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Orders(_)) => {
            return None;
        }
    };
    Some((work, budget_ms(run)))
}

/// How long looking at a repository, or tagging it, may take, in milliseconds: as a clone may (300 s), and the work after it.
const SELECT_MS: u64 = 600_000;

/// What is left of the run's time limit. Never 0: an attempt with nothing left is interrupted at once and says so.
fn budget_ms(run: &Run) -> u64 {
    let minutes = match &run.spec {
        RunSpec::Terraform(spec) => spec.timeout_minutes,
        RunSpec::Probe(_) => 1,
        // Each order has its own.
        RunSpec::Orders(_) | RunSpec::Sync(_) => 0,
    };
    (u64::from(minutes) * 60_000).saturating_sub(run.spent_ms).max(1)
}

/// What a decision just made asks for: the part of [`outstanding`] that its events touch, so that an event of a run of
/// ten thousand jobs costs what an event of a run of ten does.
pub fn due_after(run: &Run, events: &[Event]) -> Vec<Effect> {
    if run.is_over() || events.iter().any(|event| matches!(event, Event::Accepted { .. })) {
        return outstanding(run);
    }
    // A cancel touches every running job, and so does the end of a run's time.
    if events.iter().any(|event| matches!(event, Event::CancelRequested { .. } | Event::TimeLimitReached)) {
        return outstanding(run);
    }
    let queued = |event: &Event| if let Event::JobQueued { job, .. } = event { Some(*job) } else { None };
    let mut effects: Vec<Effect> = events.iter().filter_map(queued).filter_map(|no| due(run, no, run.job(no)?)).collect();
    if run.syncs.is_some() {
        effects.extend(events.iter().flat_map(|event| due_of_syncs(run, event)));
    }
    effects
}

/// What a run of syncs is to do besides, after an event: each touches the job it names, and a success those that need it.
fn due_of_syncs(run: &Run, event: &Event) -> Vec<Effect> {
    let over = match event {
        // The jobs need the selection, which succeeds in the same decision.
        Event::SyncPlanned { .. } => return notes::of_source(run).map(Effect::Note).into_iter().collect(),
        Event::JobSucceeded { job } => {
            let fed = run.job(*job).map(|job| job.feeds.as_slice()).unwrap_or_default();
            let wanted = fed.iter().filter_map(|feed| lock_wanted(run, run.job(*feed)?));
            return due_of_over(run, *job).chain(wanted).collect();
        }
        Event::JobFailed { job, .. } | Event::JobCancelled { job } | Event::JobSkipped { job } | Event::JobSuperseded { job, .. } => *job,
        Event::Accepted { .. }
        | Event::LocksGranted
        | Event::JobLocked { .. }
        | Event::ReleaseMade { .. }
        | Event::ServiceSynced { .. }
        // The sweep looks when its time has come.
        | Event::JobPostponed { .. }
        | Event::JobQueued { .. }
        | Event::ApprovalOpened { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::Permitted { .. }
        | Event::EffectsStarted { .. }
        | Event::PhaseEntered { .. }
        | Event::CommitPinned { .. }
        | Event::AttemptEnded { .. }
        | Event::JobTimedOut { .. }
        | Event::OrdersSkipped { .. }
        | Event::OrdersCancelled { .. }
        | Event::TimeLimitReached
        | Event::OrderTold { .. }
        | Event::JobUnknown { .. }
        | Event::CancelRequested { .. }
        | Event::Resolved { .. }
        | Event::RunEnded { .. } => return Vec::new(),
    };
    due_of_over(run, over).collect()
}

/// Of a job that is over: first what it told, then its lock.
fn due_of_over(run: &Run, no: JobNo) -> impl Iterator<Item = Effect> {
    let job = run.job(no);
    let note = job.and_then(|job| notes::of_service(run, job)).map(Effect::Note);
    note.into_iter().chain(job.and_then(|job| lock_due(run, job)))
}
