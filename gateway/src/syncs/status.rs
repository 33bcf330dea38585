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
use bus::DeploymentPage;
use proto::sync::deployment_id;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Most candidates that an answer names.
const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

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
    /// How many candidates are named, where more than one deployment is meant: 1 to 200.
    #[schema(default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
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
    /// Goes into `cursor` for more candidates; absent: those are all.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
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
    Several {
        ids: Vec<String>,
        next: Option<u64>,
    },
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
    let (limit, cursor) = (limit(&fields)?, cursor(&fields)?);
    let of = place(version.environment.as_str(), &version.reference);
    let deployments = app.bus.deployments();
    let meant = in_time(async {
        let exact = match wanted(&version, id) {
            Err(expected) => return Ok(Meant::Other { expected }),
            Ok(None) => None,
            Ok(Some(id)) => deployments.get::<Deployment>(&id, &of).await?.value,
        };
        if let Some(deployment) = exact {
            return Ok(Meant::This(deployment));
        }
        let page = deployments.list::<Deployment>(&of, cursor.unwrap_or(0), limit).await?;
        Ok(among(page, &version, id, cursor.is_some()))
    });
    match meant.await? {
        Meant::This(deployment) => stands(&app, deployment).await,
        Meant::None => Ok(not_found(NotFoundBody { status: "not_found", error: "Deployment not found".into(), ..NotFoundBody::default() })),
        Meant::Other { expected } => Ok(conflict(NotFoundBody {
            status: "error",
            error: "deployment_id does not match env/ref/services".into(),
            expected_deployment_id: Some(expected),
            ..NotFoundBody::default()
        })),
        Meant::Several { ids, next } => Ok(conflict(NotFoundBody {
            status: "error",
            error: "Ambiguous deployment; deployment_id and services are required".into(),
            candidate_deployment_ids: ids,
            next_cursor: next.map(|seq| seq.to_string()),
            ..NotFoundBody::default()
        })),
    }
}

/// The id that is meant, where the request says so; an error is the id of what it names, where it also says another.
fn wanted(version: &Version, id: Option<&str>) -> Result<Option<String>, String> {
    let expected = version.services.as_deref().map(|services| deployment_id(&version.environment, &version.reference, Some(services)));
    match (id, expected) {
        (Some(id), Some(expected)) if id != expected => Err(expected),
        // Which services it was of need not be said where the id says it.
        (id, expected) => Ok(expected.or_else(|| id.map(str::to_owned))),
    }
}

/// What a request means that names no deployment there is, among those of the same environment and reference. `further`: the page
/// is not the first.
fn among(page: DeploymentPage<Deployment>, version: &Version, id: Option<&str>, further: bool) -> Meant {
    let DeploymentPage { mut found, next } = page;
    match (&version.services, id) {
        (Some(_), _) => Meant::None,
        (None, Some(_)) if found.is_empty() => Meant::None,
        (None, Some(_)) => Meant::Other { expected: deployment_id(&version.environment, &version.reference, None) },
        (None, None) if further || next.is_some() || found.len() > 1 => {
            Meant::Several { ids: found.into_iter().map(|candidate| candidate.id).collect(), next }
        }
        (None, None) => found.pop().map_or(Meant::None, Meant::This),
    }
}

/// How many candidates an answer names.
fn limit(fields: &Fields) -> Result<usize, Refusal> {
    let Some(value) = fields.get("limit").filter(|value| !value.is_null()) else { return Ok(DEFAULT_LIMIT) };
    let number = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=MAX_LIMIT).contains(n));
    number.ok_or_else(|| Refusal::field("limit", format!("must be 1 to {MAX_LIMIT}")))
}

/// Where the page of candidates begins.
fn cursor(fields: &Fields) -> Result<Option<u64>, Refusal> {
    let cursor = request::text(fields, "cursor")?.map(str::parse).transpose();
    cursor.map_err(|_| Refusal::field("cursor", "is not a cursor of this API: take next_cursor as it is, or start without"))
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
        let (all, of_a) = (deployment(None), deployment(Some(&["p/a"])));
        let plain = version(&json!({"tag": "v1"}));
        let with_a = version(&json!({"tag": "v1", "services": ["p/a"]}));
        for (version, id, expected) in [
            (&plain, None, Ok(None)),
            (&plain, Some("0123456789abcdef"), Ok(Some("0123456789abcdef".to_owned()))),
            (&with_a, None, Ok(Some(of_a.id.clone()))),
            (&with_a, Some(of_a.id.as_str()), Ok(Some(of_a.id.clone()))),
            (&with_a, Some(all.id.as_str()), Err(of_a.id.clone())),
        ] {
            assert_eq!(wanted(version, id), expected, "{version:?} {id:?}");
        }
    }

    #[test]
    fn what_names_no_deployment_there_is_may_mean_one_of_several() {
        let (all, of_a) = (deployment(None), deployment(Some(&["p/a"])));
        let page = |found: &[&Deployment], next| DeploymentPage { found: found.iter().map(|one| (*one).clone()).collect(), next };
        let several = |ids: &[&Deployment], next| Meant::Several { ids: ids.iter().map(|one| one.id.clone()).collect(), next };
        let plain = version(&json!({"tag": "v1"}));
        let with_b = version(&json!({"tag": "v1", "services": ["p/b"]}));
        for (page, version, id, further, expected) in [
            (page(&[], None), &plain, None, false, Meant::None),
            (page(&[&of_a], None), &plain, None, false, Meant::This(of_a.clone())),
            (page(&[&of_a], Some(7)), &plain, None, false, several(&[&of_a], Some(7))),
            (page(&[&of_a], None), &plain, None, true, several(&[&of_a], None)),
            (page(&[&all, &of_a], None), &plain, None, false, several(&[&all, &of_a], None)),
            (page(&[&of_a], None), &plain, Some("0123456789abcdef"), false, Meant::Other { expected: all.id.clone() }),
            (page(&[], None), &plain, Some("0123456789abcdef"), false, Meant::None),
            (page(&[&all, &of_a], None), &with_b, None, false, Meant::None),
        ] {
            assert_eq!(among(page, version, id, further), expected, "{version:?} {id:?}");
        }
    }

    #[test]
    fn a_page_of_candidates_has_bounds() {
        let fields = |body: Value| body.as_object().unwrap().clone();
        assert_eq!(limit(&fields(json!({}))), Ok(DEFAULT_LIMIT));
        assert_eq!((limit(&fields(json!({"limit": 200}))), cursor(&fields(json!({"cursor": "17"})))), (Ok(200), Ok(Some(17))));
        for bad in [json!({"limit": 0}), json!({"limit": 201}), json!({"limit": -1}), json!({"limit": 1e9}), json!({"limit": "9"})] {
            assert!(limit(&fields(bad.clone())).is_err(), "{bad}");
        }
        for bad in [json!({"cursor": "x"}), json!({"cursor": 7}), json!({"cursor": "-1"})] {
            assert!(cursor(&fields(bad.clone())).is_err(), "{bad}");
        }
    }
}
