//! Releases: `POST /v1/releases` starts the run that makes one, `GET /v1/releases` lists them.
//!
//! What may be asked is decided in [`request`]. Which version it becomes, and that there is never a second one of it, is decided
//! where the tag is made: by the run's own job, in the repository.

mod list;
mod request;

pub(crate) use list::{ReleasesBody, list};
pub(crate) use request::ReleaseRequest;

use crate::{
    answers::Refusal,
    app::App,
    auth::Who,
    deploy::identity::{self, Identity, Repeatable},
    door::body,
    sources::Source,
    syncs,
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use proto::{
    RunId,
    git::GitRef,
    sync::{Environment, ReleaseKind},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The answer to an accepted release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseAccepted {
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    /// `staging`, `production`, `hotfix`, `rollback`.
    #[schema(value_type = String)]
    kind: ReleaseKind,
    /// Where it is deployed.
    #[schema(value_type = String)]
    environment: Environment,
    /// What is released: the branch, the tag it is made from, or the mend.
    #[serde(rename = "ref")]
    #[schema(value_type = String)]
    git_ref: GitRef,
    /// Path of the run, which tells the tag once it is made.
    status_url: String,
}

/// `POST /v1/releases`.
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    failpoint::failpoint!("gateway.received");
    let key = identity::key_of(&headers)?;
    let (raw, bytes) = body::json::<ReleaseRequest>(&app, request).await?;
    let source = source(&app, raw.source.as_deref())?;
    let wanted = raw.decide(source, caller.name()).map_err(Refusal::BadInput)?;
    let kind = wanted.release.as_ref().map_or(ReleaseKind::Staging, |order| order.kind);
    let shard = syncs::shard_of(&wanted.environment, app.shards);
    let identity = match &key {
        None => Identity::fresh(shard),
        Some(key) => {
            let request = Repeatable { caller: caller.name(), key, body: &bytes, secret: app.auth.secret() };
            Identity::repeatable(&request, shard)
        }
    };
    let (environment, git_ref) = (wanted.environment.clone(), wanted.git_ref.clone());
    let admitted = syncs::start(&app, source, &identity, caller.name(), wanted).await?;
    let status_url = format!("/v1/runs/{}", admitted.run);
    let answer = ReleaseAccepted { run_id: admitted.run, kind, environment, git_ref, status_url };
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if admitted.replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The source that is named, or the only one that need not be.
fn source<'a>(app: &'a App, id: Option<&str>) -> Result<&'a Source, Refusal> {
    match id {
        None => app.sources.first().ok_or(Refusal::NoSource),
        Some(id) => app.sources.get(id).ok_or_else(|| {
            let known: Vec<&str> = app.sources.iter().map(|source| source.id.as_str()).collect();
            let known = if known.is_empty() { "none is followed here".to_owned() } else { format!("there is {}", known.join(", ")) };
            Refusal::field("source", format!("no such source: {known}"))
        }),
    }
}
