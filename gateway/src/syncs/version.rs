//! A version at `POST /deploy`: which run it is, and how it is told.
//!
//! A deployment's id follows from environment, reference and services, so that its clients find it again. Which run it is at
//! present stands in the store, in a record that is changed by whoever read it last: of gateways that are asked at once, one
//! starts a run, and the others answer with it.
//!
//! - In flight: a repeat is told so, and starts nothing, also where it says `force`: it may be sent again once that is over.
//! - Ended well within the last ten minutes: a repeat is told the result. Not of a branch, which moves, and not with `force`.
//! - Ended otherwise: a repeat starts a new run at once.
//!
//! The record is written before its run is stored. What if this process dies in between? Then the record names a run that is not
//! there; the next repeat finds that out, and stores that same run.

use super::{
    Asked, Version, Wanted,
    result::{NotChosen, SyncResultBody},
    shard_of, start,
    sync::parted,
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    deploy::identity::Identity,
    sources::Source,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bus::BusError;
use jiff::Timestamp;
use proto::{
    RunId,
    sync::{ServiceId, SyncWanted},
    view::{RunStatus, RunView},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use utoipa::ToSchema;

/// How long the result of a deployment is told instead of deploying once more.
const FRESH_SECONDS: i64 = 600;
/// How often the record is read again after another gateway has changed it.
const TRIES: u32 = 8;
/// How often a run that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How much of a request's time is kept for its answer.
const MARGIN: Duration = Duration::from_secs(5);

/// A version to deploy.
#[derive(Debug, ToSchema)]
#[schema(as = VersionRequest)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct VersionSchema {
    #[schema(default = "staging")]
    env: Option<String>,
    /// Such as `v1.2.4`. Either this or `ref`.
    tag: Option<String>,
    /// A full or short commit id, a branch, or a full reference name.
    #[schema(rename = "ref")]
    reference: Option<String>,
    /// Each `project/service`; default: all.
    services: Option<Vec<String>>,
    /// For the record.
    #[schema(default = "unknown")]
    triggered_by: Option<String>,
    /// Deploy even what has not changed.
    #[schema(default = false)]
    force: Option<bool>,
    /// Answer when it is over, or when the request has taken too long.
    #[schema(default = false)]
    wait: Option<bool>,
}

/// The answer to a version that is being deployed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionBody {
    /// `accepted`; `in_progress` if it had been asked for before; `ignored` if nothing that was named is managed.
    status: &'static str,
    /// Absent: nothing is deployed. So are `run_id` and `status_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    run_id: Option<RunId>,
    env: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    triggered_by: String,
    /// Null: all.
    #[schema(value_type = Option<Vec<String>>)]
    requested_services: Option<Vec<ServiceId>>,
    /// Those that are not managed, and why.
    skipped: Vec<NotChosen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_url: Option<String>,
    wait: bool,
    /// It was in flight already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// A result, and whether it is told instead of deploying once more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CachedBody {
    #[serde(flatten)]
    result: SyncResultBody,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
}

/// Which run a deployment is at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) run: RunId,
    pub(crate) env: String,
    pub(crate) reference: String,
    #[serde(default)]
    pub(crate) services: Option<Vec<ServiceId>>,
    pub(crate) by: String,
    pub(crate) at: Timestamp,
}

/// What became of a wish to deploy.
enum Now {
    Started(RunId),
    InFlight(RunId),
    Cached(Box<RunView>),
}

/// Deploys a version, and answers.
pub(crate) async fn deploy(app: &App, asked: &Asked, version: Version) -> Result<Response, Refusal> {
    let source = app.sources.first().ok_or(Refusal::NoSource)?;
    let id = version.deployment_id();
    let (managed, skipped) = match version.services.clone() {
        None => (None, Vec::new()),
        Some(names) => {
            let (managed, skipped) = parted(source, names);
            (Some(managed), skipped)
        }
    };
    if managed.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Json(without_a_deployment(version, skipped)).into_response());
    }
    let services = managed.map_or(SyncWanted::All, |names| SyncWanted::Named { names });
    let now = begin(app, source, &version, &id, services, &asked.asker.name()).await?;
    let (run, duplicate) = match now {
        Now::Cached(view) => return Ok(told(&version, id, &view, true)),
        Now::Started(run) => (run, false),
        Now::InFlight(run) => (run, true),
    };
    tracing::info!(%run, deployment = id, env = %version.environment, reference = version.reference, by = asked.asker.name(), duplicate, "a version is deployed");
    if version.wait
        && let Some(view) = ended(app, run).await?
    {
        return Ok(told(&version, id, &view, false));
    }
    let body = VersionBody {
        status: if duplicate { "in_progress" } else { "accepted" },
        status_url: Some(format!("/deploy/{id}/status")),
        deployment_id: Some(id),
        run_id: Some(run),
        duplicate,
        ..without_a_deployment(version, skipped)
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// The answer where every service that is named is skipped: no run, and so no deployment that could be asked for.
/// The answer to one that is deployed is this one with its deployment.
fn without_a_deployment(version: Version, skipped: Vec<NotChosen>) -> VersionBody {
    VersionBody {
        status: "ignored",
        deployment_id: None,
        run_id: None,
        env: version.environment.to_string(),
        reference: version.reference,
        tag: version.tag,
        triggered_by: version.triggered_by,
        requested_services: version.services,
        skipped,
        status_url: None,
        wait: version.wait,
        duplicate: false,
    }
}

fn told(version: &Version, id: String, view: &RunView, cached: bool) -> Response {
    let of = (version.environment.as_str(), version.reference.as_str());
    let result = SyncResultBody::of(view, of, Some(id), version.services.clone());
    let status = if result.success() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    (status, Json(CachedBody { result, cached })).into_response()
}

/// Finds the run of a deployment, or starts one.
async fn begin(app: &App, source: &Source, version: &Version, id: &str, services: SyncWanted, by: &str) -> Result<Now, Refusal> {
    let of = place(version.environment.as_str(), &version.reference);
    let deployments = app.bus.deployments();
    for _ in 0..TRIES {
        let held = in_time(async { Ok(deployments.get::<Deployment>(id, &of).await?) }).await?;
        if let Some(record) = &held.value {
            match in_time(async { Ok(app.find_run(record.run).await?) }).await? {
                None => {
                    admit(app, source, version, id, services, (record.run, by)).await?;
                    return Ok(Now::Started(record.run));
                }
                Some(view) if !view.status.is_terminal() => return Ok(Now::InFlight(record.run)),
                Some(view) if is_fresh(&view, version, Timestamp::now()) => return Ok(Now::Cached(Box::new(view))),
                Some(_) => {}
            }
        }
        let run = RunId::fresh(shard_of(&version.environment, app.shards));
        let record = Deployment {
            id: id.to_owned(),
            run,
            env: version.environment.to_string(),
            reference: version.reference.clone(),
            services: version.services.clone(),
            by: by.to_owned(),
            at: Timestamp::now(),
        };
        let changed = in_time(async {
            match deployments.change(id, &of, &record, held.revision).await {
                Ok(()) => Ok(true),
                // Another gateway was faster: what it has begun is read.
                Err(BusError::Conflict { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            }
        });
        if changed.await? {
            failpoint::failpoint!("gateway.deployment.recorded");
            admit(app, source, version, id, services, (run, by)).await?;
            return Ok(Now::Started(run));
        }
    }
    Err(Refusal::Unavailable)
}

/// Stores the run of a record. Twins store the same one, and the INBOX keeps one trigger of it.
async fn admit(
    app: &App,
    source: &Source,
    version: &Version,
    id: &str,
    services: SyncWanted,
    (run, by): (RunId, &str),
) -> Result<(), Refusal> {
    let identity = Identity::of_run(run, &format!("deployment {id}"), app.auth.secret());
    let wanted = Wanted {
        environment: version.environment.clone(),
        git_ref: version.git_ref.clone(),
        services,
        force: version.force,
        triggered_by: version.triggered_by.clone(),
        delivery: None,
        deployment_id: Some(id.to_owned()),
        release: None,
    };
    start(app, source, &identity, by, wanted).await.map(|_| ())
}

/// Whether a run's end stands for that of a repeat.
fn is_fresh(view: &RunView, version: &Version, now: Timestamp) -> bool {
    let lately = view.ended_at.is_some_and(|ended| now.as_second() - ended.as_second() < FRESH_SECONDS);
    view.status == RunStatus::Success && lately && version.stays() && !version.force
}

/// The run once it is over; `None`: not in time.
async fn ended(app: &App, run: RunId) -> Result<Option<RunView>, Refusal> {
    let patience = app.limits.request_timeout.saturating_sub(MARGIN);
    let over = async {
        loop {
            let view = in_time(async { Ok(app.find_run(run).await?) }).await?;
            if let Some(view) = view.filter(|view| view.status.is_terminal()) {
                return Ok(view);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(patience, over).await.ok().transpose()
}

/// A name for what is deployed where.
pub(super) fn place(env: &str, reference: &str) -> String {
    hex::encode(&Sha256::digest(format!("{env}:{reference}"))[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, syncs::request::Fields};
    use serde_json::json;

    #[test]
    fn a_result_is_told_again_for_ten_minutes_and_only_a_good_one_of_what_stays() {
        let version = |body: serde_json::Value| Version::read(&serde_json::from_value::<Fields>(body).unwrap(), false).unwrap();
        let mut view = fixtures::view();
        (view.status, view.ended_at) = (RunStatus::Success, Some(fixtures::at(0)));
        let tag = version(json!({"tag": "v1"}));
        assert!(is_fresh(&view, &tag, fixtures::at(599)));
        assert!(!is_fresh(&view, &tag, fixtures::at(600)));
        assert!(!is_fresh(&view, &version(json!({"env": "staging", "ref": "main"})), fixtures::at(1)), "a branch moves");
        assert!(!is_fresh(&view, &version(json!({"tag": "v1", "force": true})), fixtures::at(1)));
        view.status = RunStatus::Failed;
        assert!(!is_fresh(&view, &tag, fixtures::at(1)), "what failed may be tried again at once");
    }
}
