//! `POST /v1/deliveries/{id}/redeliver`: the same push once more, as a new run, because a person wants it.

use super::{
    accept::store,
    pages::find,
    record::{BodyDigest, Delivery, Verdict, key},
};
use crate::{
    answers::Refusal,
    app::App,
    auth::Who,
    deploy::identity::{self, Identity, Repeatable},
    door::body,
    sources::Source,
    syncs::{self, Wanted},
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use proto::{
    RunId,
    sync::{Push, ReleaseKind, ReleaseOrder, SyncWanted},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedeliveredBody {
    /// `accepted`.
    status: &'static str,
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    /// The record of it: `GET /v1/deliveries/{delivery}`.
    delivery: String,
}

/// The route.
pub(crate) async fn redeliver(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let repeat = identity::key_of(request.headers())?;
    // Nothing is asked but the address; a body that comes along all the same is bounded.
    body::read(&app, request).await?;
    let record = find(&app, &id).await?;
    let source = app.sources.get(record.source.as_str()).ok_or(Refusal::NoSource)?;
    let push = push_of(&record, source)?;
    let shard = syncs::shard_of(&source.environment, app.shards);
    let by = caller.name();
    let identity = match &repeat {
        None => Identity::fresh(shard),
        Some(key) => Identity::repeatable(&Repeatable { caller: by, key, body: id.as_bytes(), secret: app.auth.secret() }, shard),
    };
    let body = BodyDigest(record.body_sha256.clone().unwrap_or_default());
    let again = key(&source.id, &format!("redelivery {}", identity.run), &body);
    let wanted = Wanted {
        environment: source.environment.clone(),
        git_ref: source.git_ref.clone(),
        services: SyncWanted::Changed(push),
        force: false,
        triggered_by: record.sender.clone().unwrap_or_else(|| "unknown".to_owned()),
        delivery: Some(again.clone()),
        deployment_id: None,
        release: source.auto_stage.then_some(ReleaseOrder { kind: ReleaseKind::Staging, from: None, strict: false }),
    };
    let admitted = syncs::start(&app, source, &identity, by, wanted).await?;
    let record = Delivery {
        verdict: Verdict::Redelivered,
        received_at: jiff::Timestamp::now(),
        run: Some(admitted.run),
        by: Some(by.to_owned()),
        of: Some(id.clone()),
        from: None,
        id_reused: false,
        ..record
    };
    failpoint::failpoint!("gateway.redelivery.recording");
    store(&app, &again, &record).await?;
    app.gateway_metrics.delivery(source.id.as_str(), Verdict::Redelivered.as_str());
    tracing::info!(source = %source.id, of = id, delivery = again, by, run = %admitted.run, "a delivery is done once more");
    let answer = RedeliveredBody { status: "accepted", run_id: admitted.run, delivery: again };
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if admitted.replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The push that a record tells of. The forge's list of files is not kept: git compares.
fn push_of(record: &Delivery, source: &Source) -> Result<Push, Refusal> {
    let nothing = |message: &str| {
        Err(Refusal::Command {
            not_found: false,
            code: "nothing_to_redo".to_owned(),
            message: message.to_owned(),
            status: record.verdict.as_str().to_owned(),
        })
    };
    let (Some(_), Some(after)) = (record.run, record.after.clone()) else {
        return nothing(
            "nothing was to be done about this delivery, so there is nothing to do once more: POST /sync starts a sync of any service",
        );
    };
    if record.reference.as_deref() != Some(super::shown(source.git_ref.as_str(), super::SHOWN).as_str()) {
        return nothing("this delivery was about another branch than the one that is followed now");
    }
    Ok(Push { before: record.before.clone(), after, forced: record.forced, files: Vec::new(), files_complete: false })
}
