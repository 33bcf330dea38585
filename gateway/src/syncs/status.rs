//! How a deployment of a version stands: `GET /deploy/{id}/status` and `POST /deploy/status`.

use super::{
    asked,
    request::{self, Fields, Version, is_deployment_id},
    result::SyncResultBody,
    sync::in_known_words,
    version::{Deployment, place},
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    door::json,
};
use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use proto::sync::deployment_id;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Which deployment is asked for.
#[derive(Debug, ToSchema)]
#[schema(as = DeploymentStatusRequest)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct StatusSchema {
    #[schema(default = "staging")]
    env: Option<String>,
    #[schema(rename = "ref")]
    reference: Option<String>,
    tag: Option<String>,
    services: Option<Vec<String>>,
    /// Told apart from others of the same version, where there are any.
    deployment_id: Option<String>,
}

/// The answer where no deployment, or more than one, is meant.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct NotFoundBody {
    /// `not_found` or `error`.
    status: &'static str,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_deployment_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidate_deployment_ids: Vec<String>,
}

/// Which deployment a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    This(Deployment),
    None,
    /// Another id than that of what it names.
    Other {
        expected: String,
    },
    Several(Vec<String>),
}

/// `GET /deploy/{id}/status` of a deployment of a version.
pub(crate) async fn by_id(app: &App, id: &str) -> Result<Response, Refusal> {
    match in_time(async { Ok(app.bus.deployments().find::<Deployment>(id).await?) }).await? {
        Some(deployment) => stands(app, deployment).await,
        None => Ok(not_found(NotFoundBody { status: "not_found", error: "Deployment not found".into(), ..NotFoundBody::default() })),
    }
}

/// `POST /deploy/status`.
pub(crate) async fn status(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let asked = asked(&app, request).await.map_err(in_known_words)?;
    let fields = json::strict::<Fields>(&asked.body)?;
    let version = Version::read(&fields, false)?;
    let id = request::text(&fields, "deployment_id")?;
    if id.is_some_and(|id| !is_deployment_id(id)) {
        return Err(Refusal::field("deployment_id", "must be 16 hexadecimal digits"));
    }
    let of = place(version.environment.as_str(), &version.reference);
    let candidates = in_time(async { Ok(app.bus.deployments().list::<Deployment>(&of).await?) }).await?;
    match meant(candidates, &version, id) {
        Meant::This(deployment) => stands(&app, deployment).await,
        Meant::None => Ok(not_found(NotFoundBody { status: "not_found", error: "Deployment not found".into(), ..NotFoundBody::default() })),
        Meant::Other { expected } => Ok(conflict(NotFoundBody {
            status: "error",
            error: "deployment_id does not match env/ref/services".into(),
            expected_deployment_id: Some(expected),
            ..NotFoundBody::default()
        })),
        Meant::Several(ids) => Ok(conflict(NotFoundBody {
            status: "error",
            error: "Ambiguous deployment; deployment_id and services are required".into(),
            candidate_deployment_ids: ids,
            ..NotFoundBody::default()
        })),
    }
}

/// `candidates`: the deployments of the same environment and reference.
fn meant(mut candidates: Vec<Deployment>, version: &Version, id: Option<&str>) -> Meant {
    let wanted = match (id, &version.services) {
        (Some(id), None) => {
            // Which services it was of need not be said where the id says it.
            if !candidates.is_empty() && candidates.iter().all(|candidate| candidate.id != id) {
                return Meant::Other { expected: deployment_id(&version.environment, &version.reference, None) };
            }
            id.to_owned()
        }
        (id, Some(services)) => {
            let expected = deployment_id(&version.environment, &version.reference, Some(services));
            if id.is_some_and(|id| id != expected) {
                return Meant::Other { expected };
            }
            expected
        }
        (None, None) => match candidates.len() {
            0 | 1 => return candidates.pop().map_or(Meant::None, Meant::This),
            _ => return Meant::Several(candidates.into_iter().map(|candidate| candidate.id).collect()),
        },
    };
    candidates.into_iter().find(|candidate| candidate.id == wanted).map_or(Meant::None, Meant::This)
}

async fn stands(app: &App, deployment: Deployment) -> Result<Response, Refusal> {
    let view = in_time(async { Ok(app.find_run(deployment.run).await?) }).await?;
    let Some(view) = view else {
        // Its gateway died before the run was stored, or is about to store it: whoever asks again starts it.
        let error = "The deployment has not begun: ask for it once more".to_owned();
        return Ok(not_found(NotFoundBody { status: "not_found", error, ..NotFoundBody::default() }));
    };
    let of = (deployment.env.as_str(), deployment.reference.as_str());
    Ok(Json(SyncResultBody::of(&view, of, Some(deployment.id.clone()), deployment.services)).into_response())
}

fn not_found(body: NotFoundBody) -> Response {
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn conflict(body: NotFoundBody) -> Response {
    (StatusCode::CONFLICT, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{RunId, ShardNo, sync::ServiceId};
    use serde_json::{Value, json};

    fn version(body: &Value) -> Version {
        Version::read(body.as_object().unwrap(), false).unwrap()
    }

    fn deployment(services: Option<&[&str]>) -> Deployment {
        let services = services.map(|names| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<ServiceId>>());
        let environment = "staging".parse().unwrap();
        Deployment {
            id: deployment_id(&environment, "v1", services.as_deref()),
            run: RunId::from_repeatable(&["x"], ShardNo(0)),
            env: "staging".into(),
            reference: "v1".into(),
            services,
            by: "ci".into(),
            at: proto::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_deployment_is_meant_by_its_id_or_by_what_it_is() {
        let (all, some) = (deployment(None), deployment(Some(&["p/a"])));
        let both = || vec![all.clone(), some.clone()];
        let plain = version(&json!({"tag": "v1"}));
        let of_a = version(&json!({"tag": "v1", "services": ["p/a"]}));
        let of_b = version(&json!({"tag": "v1", "services": ["p/b"]}));
        for (candidates, version, id, expected) in [
            (vec![], &plain, None, Meant::None),
            (vec![some.clone()], &plain, None, Meant::This(some.clone())),
            (both(), &plain, None, Meant::Several(vec![all.id.clone(), some.id.clone()])),
            (both(), &plain, Some(all.id.as_str()), Meant::This(all.clone())),
            (both(), &plain, Some(some.id.as_str()), Meant::This(some.clone())),
            (both(), &plain, Some("0123456789abcdef"), Meant::Other { expected: all.id.clone() }),
            (vec![], &plain, Some("0123456789abcdef"), Meant::None),
            (both(), &of_a, None, Meant::This(some.clone())),
            (both(), &of_a, Some(all.id.as_str()), Meant::Other { expected: some.id.clone() }),
            (both(), &of_b, None, Meant::None),
        ] {
            assert_eq!(meant(candidates, version, id), expected, "{version:?} {id:?}");
        }
    }
}
