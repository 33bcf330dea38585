//! `POST /sync`: services of the first source, as its branch has them now.

use super::{
    Asked, Asking, Wanted, asked,
    request::{self, Fields},
    result::NotChosen,
    shard_of, start,
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    deploy::identity::{self, Identity, Repeatable},
    door::json,
    sources::Source,
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use proto::{
    RunId,
    sync::{ServiceId, SyncWanted},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Stands for every service in an answer.
const ALL: &str = "__all__";

/// A sync to start.
#[derive(Debug, ToSchema)]
#[schema(as = SyncRequest)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct SyncSchema {
    /// Each `project/service`.
    services: Option<Vec<String>>,
    /// Every managed service; wins over `services`.
    #[schema(default = false)]
    all: Option<bool>,
}

/// The answer to a sync.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncBody {
    /// `accepted`; `ignored` if nothing that was named is managed.
    status: &'static str,
    /// Those that are synced; `__all__` stands for all of them.
    services: Vec<String>,
    /// Those that are not, and why.
    skipped: Vec<NotChosen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    run_id: Option<RunId>,
}

/// `POST /sync`.
pub(crate) async fn sync(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    failpoint::failpoint!("gateway.received");
    let asked = asked(&app, request).await.map_err(in_known_words)?;
    let source = app.sources.first().ok_or(Refusal::NoSource)?;
    let fields = json::strict::<Fields>(&asked.body).map_err(|refusal| object_required(&asked, refusal))?;
    let (services, skipped) = match request::asking(&fields)? {
        Asking::All => (None, Vec::new()),
        Asking::These(names) => {
            let (managed, skipped) = parted(source, names);
            known(&app, source, &managed).await?;
            (Some(managed), skipped)
        }
    };
    let names = services.as_ref().map_or_else(|| vec![ALL.to_owned()], |names| names.iter().map(ToString::to_string).collect());
    if names.is_empty() {
        return Ok(Json(SyncBody { status: "ignored", services: names, skipped, run_id: None }).into_response());
    }
    let services = services.map_or(SyncWanted::All, |names| SyncWanted::Named { names });
    let by = asked.asker.name();
    let identity = identity_of(&app, source, &asked, &by)?;
    let wanted = Wanted {
        environment: source.environment.clone(),
        git_ref: source.git_ref.clone(),
        services,
        force: false,
        triggered_by: by.clone(),
        delivery: None,
        deployment_id: None,
        release: None,
    };
    let admitted = start(&app, source, &identity, &by, wanted).await?;
    tracing::info!(run = %admitted.run, by, services = names.join(","), "a sync was asked for");
    let body = SyncBody { status: "accepted", services: names, skipped, run_id: Some(admitted.run) };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if admitted.replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Whoever shows nothing is told what the service that Navvy replaces told them.
pub(super) fn in_known_words(refusal: Refusal) -> Refusal {
    if refusal == Refusal::NoKey { Refusal::Untrusted } else { refusal }
}

fn object_required(asked: &Asked, refusal: Refusal) -> Refusal {
    let other = serde_json::from_slice::<serde_json::Value>(&asked.body).is_ok_and(|value| !value.is_object());
    if other { Refusal::field("", "JSON object required") } else { refusal }
}

/// The services that are managed, and the others with the reason.
pub(super) fn parted(source: &Source, names: Vec<ServiceId>) -> (Vec<ServiceId>, Vec<NotChosen>) {
    let (managed, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| source.manages(name));
    let skipped = others.into_iter().map(|name| {
        let reason = match name.project() {
            "bootstrap" => "bootstrap services are deployed by hand: nothing else here could run without them".to_owned(),
            project => format!("the project `{project}` is not managed here: an operator adds it to the source's `projects`"),
        };
        NotChosen { what: name.to_string(), reason }
    });
    (managed, skipped.collect())
}

/// Names that nobody knows are refused, where it is known which there are.
async fn known(app: &App, source: &Source, names: &[ServiceId]) -> Result<(), Refusal> {
    let state = in_time(async { Ok(app.bus.services().source(&source.id).await?.value) }).await?;
    let Some(state) = state else { return Ok(()) };
    let unknown: Vec<String> = names.iter().filter(|name| !state.services.contains(name)).map(ToString::to_string).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let commit: String = state.commit.as_str().chars().take(8).collect();
    Err(Refusal::field("services", format!("there is no {} at commit {commit}: check the names", unknown.join(", "))))
}

fn identity_of(app: &App, source: &Source, asked: &Asked, by: &str) -> Result<Identity, Refusal> {
    let shard = shard_of(&source.environment, app.shards);
    Ok(match identity::key_of(&asked.headers)? {
        None => Identity::fresh(shard),
        Some(key) => Identity::repeatable(&Repeatable { caller: by, key: &key, body: &asked.body, secret: app.auth.secret() }, shard),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e9_what_is_not_managed_is_skipped_with_the_reason() {
        let source = crate::sources::tests::source(|_| {});
        let names = ["platform/postgres", "bootstrap/vault", "finance_report/app"].map(|name| name.parse().unwrap()).to_vec();
        let (managed, skipped) = parted(&source, names);
        assert_eq!(managed, ["platform/postgres".parse().unwrap()]);
        let told: Vec<_> = skipped.iter().map(|skipped| (skipped.what.as_str(), skipped.reason.contains("by hand"))).collect();
        assert_eq!(told, [("bootstrap/vault", true), ("finance_report/app", false)]);
    }
}
