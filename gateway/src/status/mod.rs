//! `GET /deploy/{id}/status`: the status object of the runner that Navvy replaced, every field always present. Deployments of
//! versions have ids of another form, and are told by `syncs`.

mod cache;
mod tails;

use crate::{
    answers::{Door, Refusal, report},
    app::{App, in_time},
    runs::{
        evidence::{self, EvidenceBody},
        run_id, waiting,
    },
    syncs,
};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use bus::Written;
use jiff::Timestamp;
use proto::{
    RunId,
    git::CommitId,
    ids::AttemptId,
    message::{JobAttempt, RunSpec},
    terraform::Tool,
    view::{ApprovalView, ResolutionView, RunStatus, RunView, WaitingFor},
};
use serde::Serialize;
use std::sync::Arc;
use tails::Part;
use utoipa::ToSchema;

pub(crate) use cache::TailCache;

/// The status object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusBody {
    #[schema(value_type = String, format = "uuid")]
    deployment_id: RunId,
    /// `running`, `awaiting_approval`, `success`, `failed`, `cancelled`, `unknown`.
    #[schema(value_type = String)]
    status: RunStatus,
    /// `initializing`, `cloning`, `init`, `plan`, `apply`, `destroy`, `completed`.
    phase: String,
    /// When the request was accepted.
    #[schema(value_type = String, format = "date-time")]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Timestamp>,
    /// What went wrong; empty if nothing did.
    error: String,
    /// Output of the clone, at most its last MiB.
    clone_log: String,
    /// Output of clone and init, each at most its last MiB.
    init_log: String,
    /// Output of the plan, at most its last MiB.
    plan_log: String,
    /// The plan's summary as JSON text; empty until there is one.
    plan_output: String,
    /// Output of apply or destroy, at most its last MiB.
    apply_log: String,
    /// The outputs as JSON text, sensitive values masked; empty until applied.
    apply_output: String,
    /// The phase in which it failed.
    failed_phase: Option<String>,
    /// What it waits for.
    #[schema(value_type = Option<Object>)]
    waiting_for: Option<WaitingFor>,
    /// The commit that the reference meant.
    #[schema(value_type = Option<String>)]
    commit: Option<CommitId>,
    /// How the approval stands.
    #[schema(value_type = Option<Object>)]
    approval: Option<ApprovalView>,
    /// Digest of the plan that waits or was applied: what an approval can be bound to.
    plan_sha256: Option<String>,
    /// What a person should do now; empty if nothing.
    next_action: String,
    /// What is known about an unknown outcome: `{seen, serial_before, state_lock, errored_state, check, last_lines}`.
    #[schema(value_type = Option<Object>)]
    evidence: Option<EvidenceBody>,
    /// How a person settled an unknown outcome: `{by, at, succeeded, reason}`.
    #[schema(value_type = Option<Object>)]
    resolution: Option<ResolutionView>,
    #[schema(value_type = Option<String>)]
    tool: Option<Tool>,
    /// The version that was asked for.
    tool_version: Option<String>,
    /// Who asked for it.
    by: String,
}

/// The four log fields.
#[derive(Debug, Default)]
struct Logs {
    clone: String,
    init: String,
    plan: String,
    apply: String,
}

/// The route.
pub(crate) async fn status(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    if syncs::is_deployment_id(&id) {
        return syncs::by_id(&app, &id).await;
    }
    let id = run_id(&id, Door::Deploy)?;
    let view = in_time(async {
        let mut view = app.find_run(id).await?.ok_or(Refusal::RunNotFound(Door::Deploy))?;
        waiting::fill(&app, std::slice::from_mut(&mut view)).await?;
        Ok(view)
    })
    .await?;
    // Reading a long log may take longer than looking a run up; a store that goes away meanwhile still ends it.
    let logs = tokio::time::timeout(app.limits.request_timeout, logs(&app, &view)).await.map_err(|_| Refusal::Unavailable)??;
    let evidence = evidence::of(&app, &view).await;
    Ok(Json(StatusBody { evidence, ..StatusBody::new(view, logs) }).into_response())
}

/// The logs of the latest attempt of each job, by phase.
async fn logs(app: &App, view: &RunView) -> Result<Logs, Refusal> {
    let mut jobs: Vec<_> = view.jobs.iter().collect();
    jobs.sort_by_key(|job| job.n);
    let mut logs = Logs::default();
    for job in jobs {
        let Some(attempt) = job.attempts.iter().filter(|attempt| attempt.started_at.is_some()).max_by_key(|attempt| attempt.n) else {
            continue;
        };
        let at = JobAttempt { job: job.n, attempt: attempt.n };
        let id = AttemptId { run: view.id, job: at.job, attempt: at.attempt };
        let written = Written { id, pool: view.pool.clone(), worker: attempt.worker.clone() };
        let shared = app.tails.read(&app.bus, written, attempt.ended_at.is_some()).await?;
        let tails = shared.lock().await;
        let part = |part| tails.text(part, view.id, at);
        logs.clone += &part(Part::Clone);
        logs.init += &part(Part::Clone);
        logs.init += &part(Part::Init);
        logs.plan += &part(Part::Plan);
        logs.apply += &part(Part::Apply);
    }
    Ok(logs)
}

impl StatusBody {
    fn new(view: RunView, logs: Logs) -> Self {
        let (error, next_action) = (report::error_text(&view), report::next_action(&view));
        let (tool, tool_version) = match view.spec {
            RunSpec::Terraform(spec) => (Some(spec.tool), spec.tool_version),
            RunSpec::Probe(_) | RunSpec::Orders(_) | RunSpec::Sync(_) => (None, None),
        };
        Self {
            deployment_id: view.id,
            status: view.status,
            phase: view.phase,
            started_at: view.accepted_at,
            ended_at: view.ended_at,
            error,
            clone_log: logs.clone,
            init_log: logs.init,
            plan_log: logs.plan,
            plan_output: view.plan.as_ref().and_then(|plan| serde_json::to_string(plan).ok()).unwrap_or_default(),
            apply_log: logs.apply,
            apply_output: view.outputs,
            failed_phase: view.failed_phase,
            waiting_for: view.waiting_for,
            commit: view.commit,
            approval: view.approval,
            plan_sha256: view.plan_sha256,
            next_action,
            evidence: None,
            resolution: view.resolution,
            tool,
            tool_version,
            by: view.by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn every_field_is_there_from_the_first_moment() {
        let told = serde_json::to_value(StatusBody::new(fixtures::view(), Logs::default())).unwrap();
        let expected = serde_json::json!({
            "deployment_id": fixtures::view().id,
            "status": "running",
            "phase": "initializing",
            "started_at": "2023-11-14T22:13:20Z",
            "ended_at": null,
            "error": "",
            "clone_log": "",
            "init_log": "",
            "plan_log": "",
            "plan_output": "",
            "apply_log": "",
            "apply_output": "",
            "failed_phase": null,
            "waiting_for": null,
            "commit": null,
            "approval": null,
            "plan_sha256": null,
            "next_action": "",
            "evidence": null,
            "resolution": null,
            "tool": null,
            "tool_version": null,
            "by": "admin",
        });
        assert_eq!(told, expected);
    }
}
