//! What a person may want of a run: approve, reject, cancel, resolve.
//!
//! The gateway decides nothing: it stores the command and waits a moment for the scheduler's answer. A command that was
//! stored will be decided, whether anybody still waits or not.

use crate::{
    answers::{Door, Refusal, report},
    app::{App, in_time},
    auth::{Access, Principal, Scope, Who, authorize},
    door::body,
    runs::run_id,
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use proto::{
    JobNo, RunId,
    message::{Command, CommandAnswer, CommandVerb, InboxMessage},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How long the scheduler's answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);
/// Longest reason, in characters.
const REASON_CHARACTERS: usize = 1000;
/// Hexadecimal digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// The answer to a command.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageBody {
    message: String,
}

/// What may come with an approval.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveRequest {
    /// Approve only if this is still the plan that waits (`plan_sha256` of the status object).
    #[serde(default)]
    plan_sha256: Option<String>,
}

/// What may come with a cancel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelRequest {
    /// Kill what an earlier cancel could not stop. Its state may be lost. Needs the scope `admin`.
    #[serde(default)]
    force: bool,
}

/// Nothing comes with a reject.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoRequest {}

/// How an unknown outcome is settled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveRequest {
    /// `succeeded` or `failed`.
    #[serde(rename = "as")]
    outcome: String,
    /// What was found, for the record.
    reason: String,
    /// The number of the job that was looked at; null: the first one whose outcome is unknown. Name it where there may be several:
    /// one that has been settled meanwhile is then refused, and no other is settled in its place.
    #[serde(default)]
    job: Option<u32>,
}

macro_rules! verb {
    ($(#[$doc:meta])* $name:ident, $door:expr, $verb:ident) => {
        $(#[$doc])*
        pub(crate) async fn $name(State(app): State<Arc<App>>, Who(caller): Who, Path(id): Path<String>, request: Request) -> Result<Response, Refusal> {
            let run = run_id(&id, $door)?;
            let verb = $verb(&app, &caller, request).await?;
            send(&app, &caller, run, verb, $door).await
        }
    };
}

verb!(
    /// `POST /deploy/{id}/approve`.
    approve_deployment, Door::Deploy, read_approve
);
verb!(
    /// `POST /deploy/{id}/reject`.
    reject_deployment, Door::Deploy, read_reject
);
verb!(
    /// `POST /deploy/{id}/cancel`.
    cancel_deployment, Door::Deploy, read_cancel
);
verb!(
    /// `POST /v1/runs/{id}/approve`.
    approve, Door::V1, read_approve
);
verb!(
    /// `POST /v1/runs/{id}/reject`.
    reject, Door::V1, read_reject
);
verb!(
    /// `POST /v1/runs/{id}/cancel`.
    cancel, Door::V1, read_cancel
);
verb!(
    /// `POST /v1/runs/{id}/resolve`.
    resolve, Door::V1, read_resolve
);

async fn read_approve(app: &App, _caller: &Principal, request: Request) -> Result<CommandVerb, Refusal> {
    let ApproveRequest { plan_sha256 } = body::optional_json(app, request).await?;
    let digest = |text: &str| text.len() == DIGEST_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plan_sha256.as_deref().is_some_and(|text| !digest(text)) {
        return Err(Refusal::field("plan_sha256", format!("must be {DIGEST_DIGITS} hexadecimal digits")));
    }
    Ok(CommandVerb::Approve { plan_sha256: plan_sha256.map(|digest| digest.to_ascii_lowercase()) })
}

async fn read_reject(app: &App, _caller: &Principal, request: Request) -> Result<CommandVerb, Refusal> {
    let NoRequest {} = body::optional_json(app, request).await?;
    Ok(CommandVerb::Reject)
}

async fn read_cancel(app: &App, caller: &Principal, request: Request) -> Result<CommandVerb, Refusal> {
    let CancelRequest { force } = body::optional_json(app, request).await?;
    if force {
        authorize(Some(caller), Access::Needs(Scope::Admin), app.loopback)?;
    }
    Ok(CommandVerb::Cancel { force })
}

async fn read_resolve(app: &App, _caller: &Principal, request: Request) -> Result<CommandVerb, Refusal> {
    let (ResolveRequest { outcome, reason, job }, _) = body::json(app, request).await?;
    let succeeded = match outcome.as_str() {
        "succeeded" => true,
        "failed" => false,
        _ => return Err(Refusal::field("as", "must be `succeeded` or `failed`")),
    };
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS || reason.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Refusal::field("reason", format!("must be a text of at most {REASON_CHARACTERS} characters")));
    }
    Ok(CommandVerb::Resolve { job: job.map(JobNo), succeeded, reason })
}

/// Stores the command and brings the scheduler's answer, if it comes in time.
async fn send(app: &App, caller: &Principal, run: RunId, verb: CommandVerb, door: Door) -> Result<Response, Refusal> {
    let (done, name) = words(&verb);
    let replies = in_time(async {
        // A command for a run that nobody knows would wait for it in the inbox.
        app.find_run(run).await?.ok_or(Refusal::RunNotFound(door))?;
        let replies = app.bus.inbox().reply_box().await?;
        let reply_to = Some(replies.subject.clone());
        let command = Command { run, by: caller.name().to_owned(), at: Timestamp::now(), verb, reply_to };
        let message_id = format!("command.{}", uuid::Uuid::new_v4());
        let traceparent = service::telemetry::current_traceparent();
        app.bus.inbox().publish(run, &InboxMessage::Command(command), &message_id, traceparent.as_deref()).await?;
        failpoint::failpoint!("gateway.command.stored");
        Ok(replies)
    })
    .await?;
    tracing::info!(%run, command = name, "stored");
    match replies.wait(ANSWER_PATIENCE).await {
        Some(CommandAnswer::Done | CommandAnswer::AlreadySo) => Ok(Json(MessageBody { message: done.to_owned() }).into_response()),
        Some(CommandAnswer::Refused { code, .. }) if code == "not_found" => Err(Refusal::RunNotFound(door)),
        Some(CommandAnswer::Refused { code, message, status }) => Err(Refusal::Command { not_found: false, code, message, status }),
        None => Ok((StatusCode::ACCEPTED, Json(MessageBody { message: report::unconfirmed(name) })).into_response()),
    }
}

/// What is said when it is done, and what it is called.
fn words(verb: &CommandVerb) -> (&'static str, &'static str) {
    match verb {
        CommandVerb::Approve { .. } => (report::APPROVED, "approval"),
        CommandVerb::Reject => (report::REJECTED, "rejection"),
        CommandVerb::Cancel { .. } => (report::CANCEL_ASKED, "cancellation"),
        CommandVerb::Resolve { .. } => (report::RESOLVED, "resolution"),
    }
}
