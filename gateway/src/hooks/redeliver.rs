//! `POST /v1/deliveries/{id}/redeliver`: the same push once more, as a new run, because a person wants it. What was ignored is
//! judged anew by the settings as they are now.

use super::{
    accept::{self, store},
    anew::{Anew, anew},
    judge::again,
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
    let shard = syncs::shard_of(&source.environment, app.shards);
    let by = caller.name();
    let identity = match &repeat {
        None => Identity::fresh(shard),
        Some(key) => Identity::repeatable(&Repeatable { caller: by, key, body: id.as_bytes(), secret: app.auth.secret() }, shard),
    };
    let asked_with = repeat.is_some().then_some(identity.run);
    let record = match before(&app, source, (&id, record), (by, asked_with)).await? {
        Before::Answered { run, replayed } => return Ok(answer(run, id, replayed)),
        Before::Once(record) => *record,
    };
    let push = push_of(&record, source)?;
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
        was_ignored: None,
        asked_with: None,
        ..record
    };
    failpoint::failpoint!("gateway.redelivery.recording");
    store(&app, &again, &record).await?;
    app.gateway_metrics.delivery(source.id.as_str(), Verdict::Redelivered.as_str());
    tracing::info!(source = %source.id, of = id, delivery = again, by, run = %admitted.run, "a delivery is done once more");
    Ok(answer(admitted.run, again, admitted.replayed))
}

fn answer(run_id: RunId, delivery: String, replayed: bool) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(RedeliveredBody { status: "accepted", run_id, delivery })).into_response();
    if replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// What becomes of a delivery before it is done once more.
enum Before {
    /// It had been ignored, and has made its run now, or when this very request came first.
    Answered { run: RunId, replayed: bool },
    /// There is something that was done once.
    Once(Box<Delivery>),
}

async fn before(
    app: &App,
    source: &Source,
    (id, record): (&str, Delivery),
    (by, asked_with): (&str, Option<RunId>),
) -> Result<Before, Refusal> {
    if record.verdict == Verdict::Ignored {
        let facts = again(source, &record).map_err(|still| nothing_to_redo(&record, &still.to_string()))?;
        let body = BodyDigest(record.body_sha256.clone().unwrap_or_default());
        let identity = accept::identity(app, source, record.bound_id.as_deref(), &body);
        let done = anew(app, source, id, Anew { identity, facts, by, asked: Some((by, asked_with)) }).await?;
        return Ok(match (done.record.run, done.record.verdict) {
            // If not here, then by a twin at this moment.
            (Some(run), Verdict::Accepted) => Before::Answered { run, replayed: !done.made },
            // Another delivery of the same body had made the run: that it be done once more is what was asked for.
            (Some(_) | None, _) => Before::Once(Box::new(done.record)),
        });
    }
    match record.run {
        Some(run) if asked_with.is_some() && record.asked_with == asked_with => Ok(Before::Answered { run, replayed: true }),
        Some(_) | None => Ok(Before::Once(Box::new(record))),
    }
}

fn nothing_to_redo(record: &Delivery, message: &str) -> Refusal {
    Refusal::Command {
        not_found: false,
        code: "nothing_to_redo".to_owned(),
        message: message.to_owned(),
        status: record.verdict.as_str().to_owned(),
    }
}

/// The push that a record tells of. The forge's list of files is not kept: git compares.
fn push_of(record: &Delivery, source: &Source) -> Result<Push, Refusal> {
    let (Some(_), Some(after)) = (record.run, record.after.clone()) else {
        return Err(nothing_to_redo(record, "it was not believed, so nothing of it is kept: have the forge send it again"));
    };
    if record.reference.as_deref() != Some(super::shown(source.git_ref.as_str(), super::SHOWN).as_str()) {
        return Err(nothing_to_redo(record, "this delivery was about another branch than the one that is followed now"));
    }
    Ok(Push { before: record.before.clone(), after, forced: record.forced, files: Vec::new(), files_complete: false })
}
