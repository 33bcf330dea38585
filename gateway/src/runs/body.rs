//! A run as JSON. The scheduler's view, without what only gateways need.

use super::evidence::EvidenceBody;
use jiff::Timestamp;
use proto::{
    PoolName, RunId,
    git::CommitId,
    lock::LockKey,
    message::{Failure, RunSpec},
    orders::{OrderCounts, OrdersSpec},
    terraform::PlanSummary,
    view::{ApprovalView, CancelView, JobView, ResolutionView, RunStatus, RunView, SyncsView, WaitingFor},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunBody {
    #[schema(value_type = String, format = "uuid")]
    id: RunId,
    /// `running`, `awaiting_approval`, `success`, `failed`, `timed_out`, `cancelled`, `unknown`.
    #[schema(value_type = String)]
    status: RunStatus,
    phase: String,
    failed_phase: Option<String>,
    /// `{kind, phase, message, next_action}`.
    #[schema(value_type = Option<Object>)]
    failure: Option<Failure>,
    /// `{for: scheduler | lock | worker | approval | resolution, …}`; a lock with `keys`, `held_by`, `position`.
    #[schema(value_type = Option<Object>)]
    waiting_for: Option<WaitingFor>,
    /// `{action: terraform | probe | orders, …}`: what was asked for, without secrets.
    #[schema(value_type = Object)]
    spec: RunSpec,
    #[schema(value_type = String)]
    pool: PoolName,
    /// Who asked.
    by: String,
    #[schema(value_type = Option<String>)]
    commit: Option<CommitId>,
    #[schema(value_type = String, format = "date-time")]
    accepted_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Timestamp>,
    /// The locks it needs.
    #[schema(value_type = Vec<String>)]
    locks: Vec<LockKey>,
    /// `{state, by, at, opened_at, expires_at}`.
    #[schema(value_type = Option<Object>)]
    approval: Option<ApprovalView>,
    /// `{by, at, force}`.
    #[schema(value_type = Option<Object>)]
    cancel: Option<CancelView>,
    /// Counts and changed resources; in a list the counts only.
    #[schema(value_type = Option<Object>)]
    plan: Option<PlanSummary>,
    plan_sha256: Option<String>,
    /// JSON text of the outputs, sensitive values masked; empty until applied, and in a list.
    outputs: String,
    /// What is known about an unknown outcome: `{seen, serial_before, state_lock, errored_state, check, last_lines}`;
    /// `last_lines` are the last 200 of the attempt's log, in a list none.
    #[schema(value_type = Option<Object>)]
    evidence: Option<EvidenceBody>,
    /// How a person settled an unknown outcome.
    #[schema(value_type = Option<Object>)]
    resolution: Option<ResolutionView>,
    /// How the orders of a run of orders stand: `{total, blocked, ready, queued, running, unknown, succeeded, failed,
    /// timed_out, cancelled}`. Its jobs are read with `GET /v1/runs/{id}/jobs`.
    #[schema(value_type = Option<Object>)]
    orders: Option<OrderCounts>,
    /// What a run of syncs turned out to be about: `{compared, changed_files, skipped: [{what, reason}], notes, release}`.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    syncs: Option<SyncsView>,
    traceparent: Option<String>,
    /// Not in a list.
    #[schema(value_type = Option<Vec<Object>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<JobView>>,
}

/// Sealed addresses say nothing to anybody but gateways.
fn shown(spec: RunSpec) -> RunSpec {
    match spec {
        RunSpec::Orders(spec) => RunSpec::Orders(OrdersSpec { callbacks: Vec::new(), ..spec }),
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => spec,
    }
}

/// A page of the list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunsBody {
    /// Newest first.
    pub(crate) runs: Vec<RunBody>,
    /// Goes into `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// The jobs of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobsBody {
    /// `{n, name, action, status, needs, attempts: [{n, worker, queued_at, started_at, ended_at, status, effects, phase}],
    /// pool?, optional?, failure?, sync?}`; `n` counts from 0.
    #[schema(value_type = Vec<Object>)]
    pub(crate) jobs: Vec<JobView>,
    /// Goes into `from` for the next part; null on the last one.
    pub(crate) next_from: Option<u32>,
}

impl RunBody {
    /// A run, whole.
    pub(crate) fn whole(view: RunView) -> Self {
        Self {
            id: view.id,
            status: view.status,
            phase: view.phase,
            failed_phase: view.failed_phase,
            failure: view.failure,
            waiting_for: view.waiting_for,
            spec: shown(view.spec),
            pool: view.pool,
            by: view.by,
            commit: view.commit,
            accepted_at: view.accepted_at,
            ended_at: view.ended_at,
            locks: view.locks,
            approval: view.approval,
            cancel: view.cancel,
            plan: view.plan,
            plan_sha256: view.plan_sha256,
            outputs: view.outputs,
            evidence: view.evidence.map(EvidenceBody::bare),
            resolution: view.resolution,
            orders: view.orders,
            syncs: view.syncs,
            traceparent: view.traceparent,
            jobs: Some(view.jobs),
        }
    }

    /// The same, with what was found out about its unknown outcome.
    pub(super) fn with_evidence(self, evidence: Option<EvidenceBody>) -> Self {
        Self { evidence, ..self }
    }

    /// A run in a list: two hundred plans in full would be too much for one answer.
    pub(crate) fn listed(mut view: RunView) -> Self {
        if let Some(plan) = &mut view.plan {
            let left_out = u32::try_from(std::mem::take(&mut plan.resources).len()).unwrap_or(u32::MAX);
            plan.resources_omitted = plan.resources_omitted.saturating_add(left_out);
        }
        view.outputs.clear();
        Self { jobs: None, ..Self::whole(view) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use std::collections::BTreeSet;

    fn keys(value: &serde_json::Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn everything_of_the_view_is_shown_but_what_gateways_need() {
        let mut expected = keys(&serde_json::to_value(fixtures::view()).unwrap());
        for own in ["seq", "request_digest"] {
            assert!(expected.remove(own), "{own}");
        }
        assert_eq!(keys(&serde_json::to_value(RunBody::whole(fixtures::view())).unwrap()), expected);
        expected.remove("jobs");
        assert_eq!(keys(&serde_json::to_value(RunBody::listed(fixtures::view())).unwrap()), expected);
    }
}
