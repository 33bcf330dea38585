//! A run as everybody may see it.

use super::deadline::job_timeout;
use super::orders::Orders;
use super::postponed;
use super::state::{Attempt, AttemptEnd, Ending, Gate, GateState, Job, JobKind, JobState, LockState, Run};
use super::syncs::{self, ServiceJob, Syncs};
use proto::{
    JobNo,
    message::{Failure, RunSpec},
    orders::OrderCounts,
    view::{
        ApprovalView, AttemptView, CancelView, JobView, JobsPage, ResolutionView, RunStatus, RunView, SyncJobView, SyncsView, WaitingFor,
    },
};

/// Where a run stands. Derived from its jobs, never stored.
pub fn status(run: &Run) -> RunStatus {
    match run.ended {
        Some((_, Ending::Success)) => RunStatus::Success,
        Some((_, Ending::Failed)) => RunStatus::Failed,
        Some((_, Ending::Cancelled)) => RunStatus::Cancelled,
        Some((_, Ending::TimedOut)) => RunStatus::TimedOut,
        // Other orders go on, and so does the run; each has a time limit.
        None if run.orders.is_some() && run.unknown_jobs < run.open_jobs => RunStatus::Running,
        None if run.syncs.is_some() && run.jobs.iter().any(syncs::goes_on) => RunStatus::Running,
        None if run.unknown_jobs > 0 => RunStatus::Unknown,
        None if run.waiting_gates > 0 => RunStatus::AwaitingApproval,
        None => RunStatus::Running,
    }
}

/// The whole picture. `seq` is the sequence of the decision it shows.
pub fn view(run: &Run, seq: u64) -> RunView {
    let status = status(run);
    let failure = run.failure.clone().filter(|_| matches!(status, RunStatus::Failed | RunStatus::TimedOut));
    RunView {
        id: run.id,
        seq,
        status,
        phase: phase(run, status),
        failed_phase: failure.as_ref().map(|failure| failure.phase.clone()),
        failure,
        waiting_for: waiting_for(run, status),
        spec: match &run.spec {
            RunSpec::Orders(spec) => RunSpec::Orders(spec.without_graph()),
            RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => run.spec.clone(),
        },
        pool: run.pool.clone(),
        by: run.by.clone(),
        request_digest: run.request_digest.clone(),
        commit: run.commit.clone(),
        accepted_at: run.accepted_at,
        ended_at: run.ended.map(|(at, _)| at),
        locks: run.locks.clone(),
        approval: run.jobs.iter().find_map(|job| job.gate.as_ref()).and_then(approval),
        cancel: run.cancel.as_ref().map(|cancel| CancelView { by: cancel.by.clone(), at: cancel.at, force: cancel.force }),
        plan: run.plan.as_ref().map(|plan| plan.summary.clone()),
        plan_sha256: run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.clone()),
        outputs: run.applied.as_ref().map(|applied| applied.outputs.clone()).unwrap_or_default(),
        evidence: Some(status)
            .filter(|status| *status == RunStatus::Unknown)
            .and_then(|_| run.evidence.get(&run.first_unknown()?).cloned()),
        resolution: run.resolution.as_ref().map(|resolution| ResolutionView {
            by: resolution.by.clone(),
            at: resolution.at,
            succeeded: resolution.succeeded,
            reason: resolution.reason.clone(),
        }),
        jobs: match &run.orders {
            Some(_) => Vec::new(),
            None => (0_u32..).zip(&run.jobs).map(|(no, job)| job_view(run, JobNo(no), job)).collect(),
        },
        orders: run.orders.as_ref().map(counts),
        syncs: run.syncs.as_ref().map(syncs_view),
        traceparent: run.traceparent.clone(),
    }
}

/// Some of the orders of a run, as everybody may see them; `None` for any other run. `seq` as in [`view`].
pub fn jobs_page(run: &Run, page: u32, seq: u64) -> Option<JobsPage> {
    run.orders.as_ref()?;
    let first = page * JobsPage::SIZE;
    let jobs = (first..).zip(run.jobs.iter().skip(first as usize)).take(JobsPage::SIZE as usize);
    Some(JobsPage { run: run.id, page, seq, jobs: jobs.map(|(no, job)| job_view(run, JobNo(no), job)).collect() })
}

fn counts(orders: &Orders) -> OrderCounts {
    let ready = orders.ready_count();
    OrderCounts { ready, blocked: orders.counts.blocked.saturating_sub(ready), ..orders.counts }
}

fn phase(run: &Run, status: RunStatus) -> String {
    match status {
        // The replaced runner's words: waiting for an approval is the phase `plan`.
        RunStatus::AwaitingApproval => "plan".to_owned(),
        RunStatus::Running | RunStatus::Unknown | RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut => {
            run.phase.clone()
        }
    }
}

/// I10: an unfinished run can say what it waits for. A job that runs waits for nothing.
fn waiting_for(run: &Run, status: RunStatus) -> Option<WaitingFor> {
    match status {
        RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut => return None,
        RunStatus::Unknown => return Some(WaitingFor::Resolution),
        RunStatus::AwaitingApproval => {
            let expires_at = run.jobs.iter().find_map(|job| job.gate.as_ref()?.expires_at)?;
            return Some(WaitingFor::Approval { expires_at });
        }
        RunStatus::Running => {}
    }
    if run.lock == LockState::Wanted {
        return Some(WaitingFor::Lock { keys: run.locks.clone(), held_by: None, position: None });
    }
    if let Some(orders) = &run.orders {
        let counts = &orders.counts;
        let pool = orders.out.iter().find(|(_, out)| **out > 0).map(|(pool, _)| pool.clone());
        return (counts.queued > 0 && counts.running == 0)
            .then(|| WaitingFor::Worker { pool: pool.unwrap_or_else(|| run.pool.clone()), position: None });
    }
    let any = |state| run.jobs.iter().any(|job| job.state == state);
    let keys: Vec<_> = run.jobs.iter().filter_map(|job| syncs::wanted_lock(run, job).cloned()).collect();
    if !keys.is_empty() && !any(JobState::Queued) && !any(JobState::Running) {
        return Some(WaitingFor::Lock { keys, held_by: None, position: None });
    }
    if let Some(until) = postponed::next(run)
        && !any(JobState::Queued)
        && !any(JobState::Running)
    {
        return Some(WaitingFor::Remote { until });
    }
    (any(JobState::Queued) && !any(JobState::Running)).then(|| WaitingFor::Worker { pool: run.pool.clone(), position: None })
}

fn approval(gate: &Gate) -> Option<ApprovalView> {
    let state = match gate.state {
        GateState::Closed => return None,
        GateState::Waiting => "waiting",
        GateState::Approved => "approved",
        GateState::Rejected => "rejected",
        GateState::Expired => "expired",
    };
    Some(ApprovalView {
        state: state.to_owned(),
        by: gate.by.clone(),
        at: gate.answered_at,
        opened_at: gate.opened_at,
        expires_at: gate.expires_at,
    })
}

fn job_view(run: &Run, n: JobNo, job: &Job) -> JobView {
    let status = match job.state {
        JobState::Blocked if job.kind == JobKind::Shell && job.unmet == 0 => "ready",
        JobState::Blocked => "blocked",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Waiting => "waiting",
        JobState::Unknown => "unknown",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::TimedOut => "timed_out",
        JobState::Cancelled => "cancelled",
        // The replaced engine's word; `failure` says why.
        JobState::Skipped if job.order.is_some() => "failed",
        JobState::Skipped => "skipped",
        JobState::Superseded => "superseded",
    };
    JobView {
        n,
        name: job.name.clone(),
        action: job.kind.action().to_owned(),
        status: status.to_owned(),
        needs: job.needs.clone(),
        attempts: job.attempts.iter().map(attempt_view).collect(),
        pool: job.order.as_ref().map(|order| order.pool.clone()),
        optional: job.is_optional(),
        failure: job.order.as_ref().and_then(|order| order.failure.clone()).or_else(|| failure_of_many(run, job)),
        sync: job.service.as_ref().map(|service| sync_view(run, service)),
    }
}

fn sync_view(run: &Run, service: &ServiceJob) -> SyncJobView {
    let selection = run.syncs.as_ref().and_then(|syncs| syncs.selection.as_ref());
    let selected = selection.and_then(|selection| selection.services.iter().find(|selected| selected.service == service.service));
    SyncJobView {
        service: service.service.clone(),
        task: selected.map(|selected| selected.task.clone()).unwrap_or_default(),
        reasons: selected.map(|selected| selected.reasons.clone()).unwrap_or_default(),
        action: service.result.as_ref().map(|result| result.action),
        details: service.result.as_ref().map(|result| result.details.clone()).unwrap_or_default(),
        failure: service.failure.clone(),
        superseded_by: service.superseded_by,
    }
}

fn syncs_view(syncs: &Syncs) -> SyncsView {
    let selection = syncs.selection.as_ref();
    SyncsView {
        compared: selection.map(|selection| selection.compared.clone()),
        changed_files: selection.map_or(0, |selection| selection.changed_files),
        skipped: selection.map(|selection| selection.skipped.clone()).unwrap_or_default(),
        notes: selection.map(|selection| selection.notes.clone()).unwrap_or_default(),
        release: syncs.release.clone(),
    }
}

/// Why an order ended that ended together with many others; said once in the log, not for each.
fn failure_of_many(run: &Run, job: &Job) -> Option<Failure> {
    job.order.as_ref()?;
    match job.state {
        JobState::Skipped => Some(Failure {
            kind: "dependency_failed".to_owned(),
            phase: "orders".to_owned(),
            message: "an order that it needs did not succeed".to_owned(),
            next_action: "look at the orders it needs".to_owned(),
        }),
        JobState::TimedOut => Some(job_timeout(run)),
        JobState::Blocked
        | JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Unknown
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Superseded
        | JobState::Cancelled => None,
    }
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    let status = match attempt.ended {
        Some((_, AttemptEnd::Succeeded)) => "succeeded",
        Some((_, AttemptEnd::Failed)) => "failed",
        Some((_, AttemptEnd::NotStarted)) => "not_started",
        Some((_, AttemptEnd::Stopped)) => "stopped",
        Some((_, AttemptEnd::Lost)) => "lost",
        Some((_, AttemptEnd::Unclear)) => "unclear",
        None if attempt.permitted_at.is_some() => "running",
        None => "queued",
    };
    AttemptView {
        n: attempt.no,
        worker: attempt.worker.clone(),
        queued_at: attempt.queued_at,
        started_at: attempt.permitted_at,
        ended_at: attempt.ended.map(|(at, _)| at),
        status: status.to_owned(),
        effects: attempt.effects_at.is_some(),
        phase: attempt.phase.clone(),
    }
}
