//! A run as everybody may see it.

use super::state::{Attempt, AttemptEnd, Ending, Gate, GateState, Job, JobState, LockState, Run};
use proto::{
    JobNo,
    view::{ApprovalView, AttemptView, CancelView, JobView, ResolutionView, RunStatus, RunView, WaitingFor},
};

/// Where a run stands. Derived from its jobs, never stored.
pub fn status(run: &Run) -> RunStatus {
    match run.ended {
        Some((_, Ending::Success)) => RunStatus::Success,
        Some((_, Ending::Failed)) => RunStatus::Failed,
        Some((_, Ending::Cancelled)) => RunStatus::Cancelled,
        None if run.unknown_jobs > 0 => RunStatus::Unknown,
        None if run.waiting_gates > 0 => RunStatus::AwaitingApproval,
        None => RunStatus::Running,
    }
}

/// The whole picture. `seq` is the sequence of the decision it shows.
pub fn view(run: &Run, seq: u64) -> RunView {
    let status = status(run);
    let failure = run.failure.clone().filter(|_| status == RunStatus::Failed);
    RunView {
        id: run.id,
        seq,
        status,
        phase: phase(run, status),
        failed_phase: failure.as_ref().map(|failure| failure.phase.clone()),
        failure,
        waiting_for: waiting_for(run, status),
        spec: run.spec.clone(),
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
        evidence: run.evidence.clone().filter(|_| status == RunStatus::Unknown),
        resolution: run.resolution.as_ref().map(|resolution| ResolutionView {
            by: resolution.by.clone(),
            at: resolution.at,
            succeeded: resolution.succeeded,
            reason: resolution.reason.clone(),
        }),
        jobs: (0_u32..).zip(&run.jobs).map(|(no, job)| job_view(JobNo(no), job)).collect(),
        traceparent: run.traceparent.clone(),
    }
}

fn phase(run: &Run, status: RunStatus) -> String {
    match status {
        // The replaced runner's words: waiting for an approval is the phase `plan`.
        RunStatus::AwaitingApproval => "plan".to_owned(),
        RunStatus::Running | RunStatus::Unknown | RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled => run.phase.clone(),
    }
}

/// I10: an unfinished run can say what it waits for. A job that runs waits for nothing.
fn waiting_for(run: &Run, status: RunStatus) -> Option<WaitingFor> {
    match status {
        RunStatus::Success | RunStatus::Failed | RunStatus::Cancelled => return None,
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
    let any = |state| run.jobs.iter().any(|job| job.state == state);
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

fn job_view(n: JobNo, job: &Job) -> JobView {
    let status = match job.state {
        JobState::Blocked => "blocked",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Waiting => "waiting",
        JobState::Unknown => "unknown",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Skipped => "skipped",
    };
    JobView {
        n,
        name: job.name.clone(),
        action: job.kind.action().to_owned(),
        status: status.to_owned(),
        needs: job.needs.clone(),
        attempts: job.attempts.iter().map(attempt_view).collect(),
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
