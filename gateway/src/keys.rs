//! API keys: made, listed, revoked by an administrator; `GET /v1/whoami` for everybody.

use crate::{
    answers::{FieldProblem, Refusal},
    app::{App, in_time},
    auth::{
        ADMIN, ANONYMOUS, Scope, Who,
        key_text::{KeyText, is_id},
        keyring::KeyRecord,
    },
    door::body,
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const DEFAULT_DAYS: i64 = 90;
const MAX_DAYS: i64 = 3650;
const NAME_CHARACTERS: usize = 64;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// Who will use it: 1 to 64 letters, digits, spaces and `-_.@/`. It is recorded as the one who did what the key did.
    name: String,
    /// At least one of `read`, `deploy`, `approve`, `admin`.
    scopes: Vec<Scope>,
    /// 1 to 3650; default 90.
    #[serde(default)]
    expires_in_days: Option<i64>,
}

/// A key that was made. The only time that its text is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKeyBody {
    id: String,
    /// `nvk_<id>_<64 hexadecimal digits>`. Not stored: keep it.
    key: String,
    name: String,
    scopes: Vec<Scope>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

/// A key without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    created_by: String,
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
    expired: bool,
    /// To the hour; null if never.
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Timestamp>,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysBody {
    keys: Vec<KeyBody>,
}

/// The caller, as the gateway knows them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoamiBody {
    name: String,
    scopes: Vec<Scope>,
}

/// `POST /v1/keys`.
pub(crate) async fn create(State(app): State<Arc<App>>, Who(caller): Who, request: Request) -> Result<Response, Refusal> {
    let (request, _) = body::json::<KeyRequest>(&app, request).await?;
    let created_at = Timestamp::now();
    let expires_at = request.check(created_at)?;
    let text = KeyText::random();
    let mut scopes = request.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let record = KeyRecord {
        id: text.id().to_owned(),
        name: request.name,
        digest: text.digest(),
        scopes,
        created_at,
        created_by: caller.name().to_owned(),
        expires_at,
    };
    in_time(async { Ok(app.auth.keyring.create(&record).await?) }).await?;
    tracing::info!(key = record.id, name = record.name, "key made");
    let KeyRecord { id, name, scopes, .. } = record;
    let shown = NewKeyBody { id, key: text.expose().to_owned(), name, scopes, created_at, expires_at };
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `GET /v1/keys`.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<KeysBody>, Refusal> {
    let found = in_time(async { Ok(app.auth.keyring.list().await?) }).await?;
    let now = Timestamp::now();
    let body = |(record, last_used_at): (KeyRecord, Option<Timestamp>)| KeyBody {
        expired: !record.is_valid(now),
        id: record.id,
        name: record.name,
        scopes: record.scopes,
        created_at: record.created_at,
        created_by: record.created_by,
        expires_at: record.expires_at,
        last_used_at,
    };
    Ok(Json(KeysBody { keys: found.into_iter().map(body).collect() }))
}

/// `DELETE /v1/keys/{id}`.
pub(crate) async fn revoke(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let known = is_id(&id) && in_time(async { Ok(app.auth.keyring.revoke(&id).await?) }).await?;
    if !known {
        return Err(Refusal::KeyNotFound);
    }
    tracing::info!(key = id, "key revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/whoami`.
pub(crate) async fn whoami(Who(caller): Who) -> Json<WhoamiBody> {
    Json(WhoamiBody { name: caller.name().to_owned(), scopes: caller.scopes().to_vec() })
}

impl KeyRequest {
    /// When the key expires, or everything that is wrong with the request.
    fn check(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let mut problems = Vec::new();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '@' | '/');
        let count = self.name.chars().count();
        if !(1..=NAME_CHARACTERS).contains(&count) || !self.name.chars().all(legal) || self.name.trim() != self.name {
            problems.push(FieldProblem::new("name", format!("must be 1 to {NAME_CHARACTERS} letters, digits, spaces and -_.@/")));
        } else if [ADMIN, ANONYMOUS].iter().any(|reserved| reserved.eq_ignore_ascii_case(&self.name)) {
            problems.push(FieldProblem::new("name", "is reserved: what the key does must be told from what an administrator does"));
        }
        if self.scopes.is_empty() {
            problems.push(FieldProblem::new("scopes", "needs at least one of read, deploy, approve, done, admin"));
        }
        let days = self.expires_in_days.unwrap_or(DEFAULT_DAYS);
        let expires_at = (1..=MAX_DAYS).contains(&days).then(|| now.checked_add(SignedDuration::from_hours(24 * days)).ok()).flatten();
        if expires_at.is_none() {
            problems.push(FieldProblem::new("expires_in_days", format!("must be 1 to {MAX_DAYS}")));
        }
        expires_at.filter(|_| problems.is_empty()).ok_or(Refusal::BadInput(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn a_key_needs_a_name_of_its_own_a_scope_and_an_end() {
        let request = |name: &str, scopes: &[Scope], days| KeyRequest { name: name.into(), scopes: scopes.to_vec(), expires_in_days: days };
        let read = [Scope::Read];
        assert_eq!(request("ci", &read, None).check(at(0)), Ok(at(90 * 86_400)));
        assert_eq!(request("ci/prod @x.y", &read, Some(1)).check(at(0)), Ok(at(86_400)));
        for (bad, field) in [
            (request("", &read, None), "name"),
            (request(" ci", &read, None), "name"),
            (request("a\nb", &read, None), "name"),
            (request(&"x".repeat(65), &read, None), "name"),
            (request("Admin", &read, None), "name"),
            (request("anonymous", &read, None), "name"),
            (request("ci", &[], None), "scopes"),
            (request("ci", &read, Some(0)), "expires_in_days"),
            (request("ci", &read, Some(-1)), "expires_in_days"),
            (request("ci", &read, Some(i64::MAX)), "expires_in_days"),
        ] {
            assert_eq!(bad.check(at(0)).unwrap_err().named_field(), Some(field), "{bad:?}");
        }
    }
}
