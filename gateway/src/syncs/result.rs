//! How a run of syncs stands, in the words of the service that Navvy replaces. Pure.

use crate::answers::report;
use proto::{
    RunId,
    sync::{ServiceId, SyncAction},
    view::{JobView, RunStatus, RunView, SyncJobView},
};
use serde::Serialize;
use utoipa::ToSchema;

/// How a deployment stands, or ended. Output is not in it: that is in the run's log, masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SyncResultBody {
    /// `in_progress`, `completed` or `failed`.
    status: &'static str,
    /// The repository was read, and no service failed.
    success: bool,
    env: String,
    #[serde(rename = "ref")]
    reference: String,
    /// The commit that the reference meant; null until it is known.
    commit: Option<String>,
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    /// Null: a deployment by another door.
    deployment_id: Option<String>,
    /// Null: all.
    #[schema(value_type = Option<Vec<String>>)]
    requested_services: Option<Vec<ServiceId>>,
    succeeded: usize,
    failed: usize,
    skipped: usize,
    /// What went wrong with the whole of it; null if nothing did.
    error: Option<String>,
    /// One line for each service that failed.
    failure_summary: Vec<String>,
    results: Vec<ServiceResult>,
    /// What was not chosen, and why.
    not_chosen: Vec<NotChosen>,
}

/// How one service stands, or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ServiceResult {
    #[schema(value_type = String)]
    service: ServiceId,
    task: String,
    success: bool,
    /// It was not tried: something before it failed, or a newer run does it.
    skipped: bool,
    /// Such as `queued`, `running`, `succeeded`.
    status: String,
    /// `skipped` (nothing had changed), `updated`, `created`; null until it has succeeded.
    #[schema(value_type = Option<String>)]
    action: Option<SyncAction>,
    details: String,
    /// Why it was chosen.
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostic: Option<Diagnostic>,
}

/// Why a service failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Diagnostic {
    error_kind: String,
    summary: String,
    next_action: String,
}

/// A service, path or pattern that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NotChosen {
    pub(crate) what: String,
    pub(crate) reason: String,
}

impl SyncResultBody {
    /// Of a run of syncs. `asked`: what was deployed where, in the words it was asked for.
    pub(crate) fn of(
        view: &RunView,
        (env, reference): (&str, &str),
        deployment_id: Option<String>,
        requested: Option<Vec<ServiceId>>,
    ) -> Self {
        let results = services(view);
        let count = |is: fn(&ServiceResult) -> bool| results.iter().filter(|result| is(result)).count();
        let error = Some(report::error_text(view)).filter(|text| !text.is_empty());
        let summary = |result: &ServiceResult| Some(format!("{}: {}", result.service, result.diagnostic.as_ref()?.summary));
        Self {
            status: status(view.status),
            success: view.status == RunStatus::Success,
            env: env.to_owned(),
            reference: reference.to_owned(),
            commit: view.commit.as_ref().map(ToString::to_string),
            run_id: view.id,
            deployment_id,
            requested_services: requested,
            succeeded: count(|result| result.success),
            failed: count(|result| matches!(result.status.as_str(), "failed" | "timed_out" | "unknown")),
            skipped: count(|result| result.skipped),
            error,
            failure_summary: results.iter().filter_map(summary).collect(),
            not_chosen: not_chosen(view),
            results,
        }
    }

    /// Whether it ended well.
    pub(crate) fn success(&self) -> bool {
        self.success
    }
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Success => "completed",
        RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut => "failed",
        RunStatus::Running | RunStatus::AwaitingApproval | RunStatus::Unknown => "in_progress",
    }
}

/// The services of a run, in the order of its jobs.
pub(crate) fn services(view: &RunView) -> Vec<ServiceResult> {
    let of = |job: &JobView| job.sync.as_ref().map(|sync| ServiceResult::of(job, sync));
    view.jobs.iter().filter_map(of).collect()
}

/// What a run did not choose, and why.
pub(crate) fn not_chosen(view: &RunView) -> Vec<NotChosen> {
    let skipped = view.syncs.iter().flat_map(|syncs| &syncs.skipped);
    skipped.map(|skipped| NotChosen { what: skipped.what.clone(), reason: skipped.reason.clone() }).collect()
}

impl ServiceResult {
    fn of(job: &JobView, sync: &SyncJobView) -> Self {
        let failure = sync.failure.as_ref().or(job.failure.as_ref());
        Self {
            service: sync.service.clone(),
            task: sync.task.clone(),
            success: job.status == "succeeded",
            skipped: matches!(job.status.as_str(), "skipped" | "superseded" | "cancelled"),
            status: job.status.clone(),
            action: sync.action,
            details: match sync.superseded_by {
                Some(newer) => format!("left to the newer run {newer}"),
                None => sync.details.clone(),
            },
            reasons: sync.reasons.clone(),
            diagnostic: failure.map(|failure| Diagnostic {
                error_kind: failure.kind.clone(),
                summary: failure.message.clone(),
                next_action: failure.next_action.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proto::{message::Failure, sync::Skipped, view::SyncsView};
    use serde_json::json;

    fn job(n: u32, service: &str, status: &str) -> JobView {
        let name = service.split('/').next_back().unwrap_or_default();
        let sync = SyncJobView {
            service: service.parse().unwrap(),
            task: format!("{name}.sync"),
            reasons: vec!["its own folder changed".into()],
            action: (status == "succeeded").then_some(SyncAction::Updated),
            details: String::new(),
            failure: (status == "failed").then(|| Failure {
                kind: "vault_permission_denied".into(),
                phase: "sync".into(),
                message: "Vault refused".into(),
                next_action: "give the role the path".into(),
            }),
            superseded_by: None,
        };
        JobView { status: status.into(), sync: Some(sync), attempts: Vec::new(), ..fixtures::job(n, "sync", 1) }
    }

    #[test]
    fn a_run_is_told_in_the_known_words() {
        let mut view = fixtures::view();
        view.status = RunStatus::Failed;
        view.jobs = vec![
            fixtures::job(0, "select", 1),
            job(1, "platform/postgres", "succeeded"),
            job(2, "platform/redis", "failed"),
            job(3, "platform/portal", "skipped"),
        ];
        view.syncs = Some(SyncsView {
            skipped: vec![Skipped { what: "bootstrap/vault".into(), reason: "not managed".into() }],
            ..SyncsView::default()
        });
        let requested = Some(vec!["platform/redis".parse().unwrap()]);
        let told =
            serde_json::to_value(SyncResultBody::of(&view, ("staging", "v1.2.4"), Some("d070dfda47757e1e".into()), requested)).unwrap();
        assert_eq!(told["status"], json!("failed"));
        assert_eq!((&told["success"], &told["env"], &told["ref"]), (&json!(false), &json!("staging"), &json!("v1.2.4")));
        assert_eq!((&told["succeeded"], &told["failed"], &told["skipped"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!(told["failure_summary"], json!(["platform/redis: Vault refused"]));
        assert_eq!(
            told["results"][1],
            json!({
                "service": "platform/redis", "task": "redis.sync", "success": false, "skipped": false, "status": "failed", "action": null,
                "details": "", "reasons": ["its own folder changed"],
                "diagnostic": {"error_kind": "vault_permission_denied", "summary": "Vault refused", "next_action": "give the role the path"},
            })
        );
        assert_eq!(told["not_chosen"], json!([{"what": "bootstrap/vault", "reason": "not managed"}]));
        for (status, word) in [
            (RunStatus::Running, "in_progress"),
            (RunStatus::Success, "completed"),
            (RunStatus::Unknown, "in_progress"),
            (RunStatus::Cancelled, "failed"),
        ] {
            view.status = status;
            let told = SyncResultBody::of(&view, ("staging", "v1"), None, None);
            assert_eq!((told.status, told.success()), (word, status == RunStatus::Success));
        }
    }
}
