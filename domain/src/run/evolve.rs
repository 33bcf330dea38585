//! How an event changes the state. The only place that does, live and when a log is read back.

use super::{
    deadline::job_timeout,
    event::{Event, JobPlan},
    orders::Order,
    state::{Attempt, AttemptEnd, Cancel, Gate, GateState, Job, JobKind, JobState, LockState, Resolution, Run},
    syncs::{self, Syncs},
    tally,
};
use crate::planted::planted;
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, RunId, WorkerId,
    lock::LockKey,
    message::{Failure, JobResult, RunSpec, Trigger},
    orders::OrderNode,
    sync::{Release, Selection},
};
use std::collections::BTreeMap;

/// The run as it is when it has just been accepted.
pub(super) fn found(trigger: &Trigger, locks: &[LockKey], plans: &[JobPlan]) -> Run {
    let mut jobs: Vec<Job> = match &trigger.spec {
        RunSpec::Orders(spec) => spec.graph.0.iter().map(order).collect(),
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => plans.iter().map(job).collect(),
    };
    connect(&mut jobs, 0);
    Run {
        orders: tally::of(&trigger.spec, &jobs),
        syncs: matches!(trigger.spec, RunSpec::Sync(_)).then(Syncs::default),
        id: trigger.run,
        by: trigger.by.clone(),
        accepted_at: trigger.accepted_at,
        spec: trigger.spec.clone(),
        pool: trigger.pool.clone(),
        has_secrets: trigger.has_secrets,
        request_digest: trigger.request_digest.clone(),
        traceparent: trigger.traceparent.clone(),
        locks: locks.to_vec(),
        lock: if locks.is_empty() { LockState::NotNeeded } else { LockState::Wanted },
        open_jobs: jobs.len() as u32,
        unknown_jobs: 0,
        waiting_gates: 0,
        jobs,
        commit: None,
        phase: "initializing".to_owned(),
        spent_ms: 0,
        cancel: None,
        failure: None,
        plan: None,
        applied: None,
        evidence: BTreeMap::new(),
        resolution: None,
        ended: None,
    }
}

/// Tells jobs which others need them: of those from `first` on.
fn connect(jobs: &mut [Job], first: usize) {
    for no in first..jobs.len() {
        for need in jobs[no].needs.clone() {
            if let Some(needed) = jobs.get_mut(need.0 as usize) {
                needed.feeds.push(JobNo(no as u32));
            }
        }
    }
}

/// The jobs that a selection becomes. What they need may be over already.
fn planned(run: &mut Run, selection: &Selection, plans: &[JobPlan]) {
    let Some(spec) = run.sync_spec().cloned() else { return };
    let first = run.jobs.len();
    for plan in plans {
        let mut job = job(plan);
        job.service = plan.service.as_ref().map(|service| Box::new(syncs::service_job(&spec, service)));
        let done = |need: &&JobNo| run.jobs.get(need.0 as usize).is_some_and(|needed| needed.state == JobState::Succeeded);
        job.unmet = job.unmet.saturating_sub(job.needs.iter().filter(done).count() as u32);
        run.locks.extend(job.service.as_ref().map(|service| service.lock.clone()));
        run.jobs.push(job);
    }
    connect(&mut run.jobs, first);
    run.open_jobs += plans.len() as u32;
    if let Some(syncs) = &mut run.syncs {
        syncs.selection = Some(selection.clone());
    }
}

fn released(run: &mut Run, release: &Release) {
    if let Some(syncs) = &mut run.syncs {
        syncs.release = Some(release.clone());
    }
}

fn superseded(run: &mut Run, job: JobNo, by: RunId) {
    set_state(run, job, JobState::Superseded);
    with_service(run, job, |service| service.superseded_by = Some(by));
}

fn postponed(run: &mut Run, job: JobNo, until: Timestamp) {
    set_state(run, job, JobState::Blocked);
    with_service(run, job, |service| {
        service.put_off += 1;
        service.not_before = Some(until);
    });
}

fn with_service(run: &mut Run, job: JobNo, change: impl FnOnce(&mut syncs::ServiceJob)) {
    if let Some(service) = run.jobs.get_mut(job.0 as usize).and_then(|job| job.service.as_mut()) {
        change(service);
    }
}

fn job(plan: &JobPlan) -> Job {
    Job {
        name: plan.name.clone(),
        kind: plan.kind,
        needs: plan.needs.clone(),
        feeds: Vec::new(),
        unmet: plan.needs.len() as u32,
        state: JobState::Blocked,
        attempts: Vec::new(),
        gate: (plan.kind == JobKind::Approval).then_some(Gate {
            state: GateState::Closed,
            opened_at: None,
            expires_at: None,
            by: None,
            answered_at: None,
        }),
        order: None,
        service: None,
    }
}

fn order(node: &OrderNode) -> Job {
    let order = Order { pool: node.pool.clone(), optional: node.optional, timeout_s: node.timeout_s, failure: None };
    Job {
        name: node.name.clone(),
        kind: JobKind::Shell,
        needs: node.needs.clone(),
        feeds: Vec::new(),
        unmet: node.needs.len() as u32,
        state: JobState::Blocked,
        attempts: Vec::new(),
        gate: None,
        order: Some(Box::new(order)),
        service: None,
    }
}

/// Changes the state by one event. Events come from `decide` or from a log that it wrote, so what they name exists; one
/// that does not is ignored rather than a reason to crash on somebody's history.
pub fn evolve(run: &mut Run, event: &Event, at: Timestamp) {
    match event {
        // A second acceptance is never committed; see `accept`.
        Event::Accepted { .. } => {}
        Event::LocksGranted => run.lock = LockState::Held,
        Event::JobLocked { job } => with_service(run, *job, |service| service.locked = true),
        Event::SyncPlanned { selection, jobs } => planned(run, selection, jobs),
        Event::ReleaseMade { release } => released(run, release),
        Event::ServiceSynced { job, result } => with_service(run, *job, |service| service.result = Some(result.clone())),
        Event::JobSuperseded { job, by } => superseded(run, *job, *by),
        Event::JobPostponed { job, until, .. } => postponed(run, *job, *until),
        Event::JobQueued { job, attempt } => queued(run, *job, *attempt, at),
        Event::ApprovalOpened { job, expires_at } => opened(run, *job, *expires_at, at),
        Event::ApprovalGiven { job, by } => answered(run, *job, GateState::Approved, Some(by), at),
        Event::ApprovalRefused { job, by } => answered(run, *job, GateState::Rejected, Some(by), at),
        Event::ApprovalExpired { job } => answered(run, *job, GateState::Expired, None, at),
        Event::Permitted { job, attempt, worker, nonce } => permitted(run, (*job, *attempt), worker, nonce, at),
        Event::EffectsStarted { job, attempt, serial_before } => with_attempt(run, *job, *attempt, |attempt| {
            attempt.effects_at = Some(at);
            attempt.serial_before = *serial_before;
        }),
        Event::PhaseEntered { job, attempt, phase } => phase_entered(run, *job, *attempt, phase),
        Event::CommitPinned { commit } => run.commit = Some(commit.clone()),
        Event::AttemptEnded { job, attempt, end, result } => attempt_ended(run, *job, *attempt, (*end, result.as_ref()), at),
        Event::JobSucceeded { job } => set_state(run, *job, JobState::Succeeded),
        Event::JobFailed { job, failure } => missed(run, *job, JobState::Failed, failure),
        Event::JobTimedOut { job, failure } => missed(run, *job, JobState::TimedOut, failure),
        Event::JobCancelled { job } => set_state(run, *job, JobState::Cancelled),
        Event::JobSkipped { job } => set_state(run, *job, JobState::Skipped),
        Event::OrdersSkipped { orders } => all(run, orders, JobState::Skipped),
        Event::OrdersCancelled { orders } => {
            let over = run.orders.as_ref().is_some_and(|orders| orders.timed_out);
            all(run, orders, if over { JobState::TimedOut } else { JobState::Cancelled });
        }
        Event::TimeLimitReached => time_over(run, at),
        // Told to whoever reads the log.
        Event::OrderTold { .. } => {}
        Event::JobUnknown { job, evidence } => {
            set_state(run, *job, JobState::Unknown);
            run.evidence.insert(*job, evidence.clone());
        }
        Event::CancelRequested { by, force } => run.cancel = Some(Cancel { by: by.clone(), at, force: *force }),
        Event::Resolved { by, succeeded, reason, .. } => {
            run.resolution = Some(Resolution { by: by.clone(), at, succeeded: *succeeded, reason: reason.clone() });
        }
        Event::RunEnded { ending } => {
            run.ended = Some((at, *ending));
            "completed".clone_into(&mut run.phase);
        }
    }
}

fn permitted(run: &mut Run, (job, attempt): (JobNo, AttemptNo), worker: &WorkerId, nonce: &str, at: Timestamp) {
    set_state(run, job, JobState::Running);
    with_attempt(run, job, attempt, |attempt| {
        attempt.worker = Some(worker.clone());
        attempt.nonce = Some(nonce.to_owned());
        attempt.permitted_at = Some(at);
    });
}

fn phase_entered(run: &mut Run, job: JobNo, attempt: AttemptNo, phase: &str) {
    // Of many jobs, each has a phase of its own, and the run none.
    if !run.is_of_many() {
        phase.clone_into(&mut run.phase);
    }
    with_attempt(run, job, attempt, |attempt| attempt.phase = Some(phase.to_owned()));
}

fn opened(run: &mut Run, job: JobNo, expires_at: Timestamp, at: Timestamp) {
    set_state(run, job, JobState::Waiting);
    with_gate(run, job, |gate| {
        gate.state = GateState::Waiting;
        gate.opened_at = Some(at);
        gate.expires_at = Some(expires_at);
    });
}

fn all(run: &mut Run, orders: &[JobNo], to: JobState) {
    for no in orders {
        set_state(run, *no, to);
    }
}

fn time_over(run: &mut Run, at: Timestamp) {
    if let Some(orders) = &mut run.orders {
        orders.timed_out = true;
    }
    if planted!(TimeLimitStopsNobody) {
        return;
    }
    // Whoever cancelled before stays named.
    run.cancel.get_or_insert_with(|| Cancel { by: "job_timeout".to_owned(), at, force: false });
    let failure = job_timeout(run);
    run.failure.get_or_insert(failure);
}

fn queued(run: &mut Run, job: JobNo, attempt: AttemptNo, at: Timestamp) {
    let phase = match run.job(job).map(|job| job.kind) {
        Some(JobKind::TerraformApply) => apply_phase(&run.spec),
        Some(JobKind::TerraformPlan | JobKind::Approval | JobKind::Probe) | None => "initializing",
        Some(JobKind::Shell) => "orders",
        Some(JobKind::Select) => "select",
        Some(JobKind::Release) => "release",
        Some(JobKind::Sync) => "sync",
    };
    phase.clone_into(&mut run.phase);
    set_state(run, job, JobState::Queued);
    with_service(run, job, |service| service.not_before = None);
    if let Some(job) = run.jobs.get_mut(job.0 as usize) {
        job.attempts.push(Attempt {
            no: attempt,
            queued_at: at,
            worker: None,
            nonce: None,
            permitted_at: None,
            effects_at: None,
            serial_before: None,
            phase: None,
            ended: None,
        });
    }
}

/// The phase word of the applying job.
pub(super) fn apply_phase(spec: &RunSpec) -> &'static str {
    match spec {
        RunSpec::Terraform(spec) if spec.destroy => "destroy",
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Orders(_) | RunSpec::Sync(_) => "apply",
    }
}

fn answered(run: &mut Run, job: JobNo, state: GateState, by: Option<&String>, at: Timestamp) {
    with_gate(run, job, |gate| {
        gate.state = state;
        gate.by = by.cloned();
        gate.answered_at = Some(at);
    });
}

fn attempt_ended(run: &mut Run, job: JobNo, attempt: AttemptNo, (end, result): (AttemptEnd, Option<&JobResult>), at: Timestamp) {
    let mut spent = 0;
    with_attempt(run, job, attempt, |attempt| {
        if let (Some(began), None) = (attempt.permitted_at, attempt.ended) {
            spent = at.duration_since(began).as_millis().max(0) as u64;
        }
        attempt.ended = Some((at, end));
    });
    run.spent_ms = run.spent_ms.saturating_add(spent);
    match result {
        Some(JobResult::Plan(plan)) => run.plan = Some((**plan).clone()),
        Some(JobResult::Apply(applied)) => run.applied = Some(applied.clone()),
        // Those of syncs are told by events of their own.
        Some(JobResult::Nothing | JobResult::Order(_) | JobResult::Selection(_) | JobResult::Sync(_) | JobResult::Release(_)) | None => {}
    }
}

/// A job did not succeed, and why. The first failure is the run's: the others follow from it or stand beside it in the
/// jobs. One of an order that need not succeed is nobody's but its own.
fn missed(run: &mut Run, no: JobNo, to: JobState, failure: &Failure) {
    set_state(run, no, to);
    let Some(job) = run.jobs.get_mut(no.0 as usize) else { return };
    if let Some(order) = &mut job.order {
        order.failure = Some(failure.clone());
    }
    if let Some(service) = &mut job.service {
        service.failure = Some(failure.clone());
    }
    if !job.is_optional() {
        run.failure.get_or_insert_with(|| failure.clone());
    }
}

/// Moves a job, and keeps the counts and the feeds' `unmet` right.
fn set_state(run: &mut Run, no: JobNo, to: JobState) {
    let Some(job) = run.jobs.get_mut(no.0 as usize) else { return };
    let from = std::mem::replace(&mut job.state, to);
    if !from.is_over() && to.is_over() {
        run.open_jobs = run.open_jobs.saturating_sub(1);
    }
    run.unknown_jobs = counted(run.unknown_jobs, from == JobState::Unknown, to == JobState::Unknown);
    run.waiting_gates = counted(run.waiting_gates, from == JobState::Waiting, to == JobState::Waiting);
    if let Some(orders) = &mut run.orders {
        tally::moved(orders, no, &run.jobs[no.0 as usize], from);
    }
    let succeeded = to == JobState::Succeeded;
    if (succeeded && from != JobState::Succeeded) || (!from.is_over() && to.is_over()) {
        met(run, no, succeeded);
    }
}

/// A job is over: one thing less that the jobs fed by it wait for. Those that must succeed wait for a success, optional
/// orders for any end.
fn met(run: &mut Run, no: JobNo, succeeded: bool) {
    for feed in run.jobs[no.0 as usize].feeds.clone() {
        let Some(fed) = run.jobs.get_mut(feed.0 as usize) else { continue };
        if succeeded || (fed.is_optional() && !planted!(OptionalWaitsForSuccess)) {
            fed.unmet = fed.unmet.saturating_sub(1);
            if let Some(orders) = &mut run.orders {
                tally::maybe_ready(orders, feed, fed);
            }
        }
    }
}

fn counted(count: u32, was: bool, is: bool) -> u32 {
    match (was, is) {
        (false, true) => count + 1,
        (true, false) => count.saturating_sub(1),
        (true, true) | (false, false) => count,
    }
}

fn with_attempt(run: &mut Run, job: JobNo, attempt: AttemptNo, change: impl FnOnce(&mut Attempt)) {
    let attempts = run.jobs.get_mut(job.0 as usize).map(|job| &mut job.attempts);
    if let Some(attempt) = attempts.and_then(|attempts| attempts.iter_mut().rev().find(|a| a.no == attempt)) {
        change(attempt);
    }
}

fn with_gate(run: &mut Run, job: JobNo, change: impl FnOnce(&mut Gate)) {
    if let Some(gate) = run.jobs.get_mut(job.0 as usize).and_then(|job| job.gate.as_mut()) {
        change(gate);
    }
}
