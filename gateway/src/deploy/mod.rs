//! Starting runs: `POST /deploy` and `POST /v1/probes`.
//!
//! What a request may ask is decided in [`domain::terraform`]; which run it is in [`identity`]; how it is taken in, in
//! [`mod@admit`]. A 202 means that the run is stored.

mod admit;
pub(crate) mod identity;
pub(crate) mod request_schema;
pub(crate) mod sealing;

use crate::{
    answers::{FieldProblem, Refusal, report},
    app::{App, in_time},
    auth::{Access, Principal, Scope, Who, authorize},
    door::{body, json},
    syncs::{self, Asked, Asker, Version},
};
use admit::admit;
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use domain::terraform::{DeployRequest, FieldError, SecretParts};
use identity::{Identity, Repeatable};
use jiff::Timestamp;
use proto::{
    PoolName, RunId, ShardNo,
    message::{ProbeSpec, RunSpec, Trigger},
    terraform::{SecretBundle, TerraformSpec},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

pub(crate) use admit::Admitted;

/// The answer to an accepted request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeployBody {
    #[schema(value_type = String, format = "uuid")]
    deployment_id: RunId,
    /// `running`.
    status: &'static str,
    message: &'static str,
}

/// A probe to start.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeRequest {
    /// Start a real runner with a shell that prints this text, at most 1000 characters; null: no process at all.
    #[serde(default)]
    echo: Option<String>,
    /// Then print this many bytes of noise, at most 1 GiB. Needs `echo`.
    #[serde(default)]
    noise_bytes: u64,
    /// Then print the time this often, 20 ms apart, at most 10000 times. Needs `echo`.
    #[serde(default)]
    ticks: u32,
}

/// The answer to an accepted probe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProbeBody {
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
}

/// Longest text of a probe, in characters.
const ECHO_CHARACTERS: usize = 1000;
const MAX_NOISE_BYTES: u64 = 1 << 30;
const MAX_TICKS: u32 = 10_000;

/// `POST /deploy`: a deployment of Terraform, or of a version of services, told apart by the body.
pub(crate) async fn deploy(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    failpoint::failpoint!("gateway.received");
    let key = identity::key_of(request.headers())?;
    let asked = syncs::asked(&app, request).await?;
    // What cannot be read is told by whoever reads it for its own fields.
    match json::strict::<syncs::Fields>(&asked.body).map(|fields| (syncs::what_is(&fields), fields)) {
        Ok((syncs::Body::Version, fields)) => {
            let version = Version::read(&fields, app.sync.immutable_refs_only)?;
            syncs::deploy(&app, &asked, version).await
        }
        Ok((syncs::Body::Both, _)) => {
            let told = "this is a Terraform deployment (git_url, tool) and a version of services (env, tag, ref) at once: send one of them";
            Err(Refusal::field("", told))
        }
        Ok((syncs::Body::Terraform, _)) | Err(_) => terraform(&app, asked, key).await,
    }
}

/// A deployment of Terraform, which needs a key.
async fn terraform(app: &App, asked: Asked, key: Option<String>) -> Result<Response, Refusal> {
    let Asked { asker, headers, body: bytes } = asked;
    let caller = match asker {
        Asker::Key(caller) => caller,
        Asker::Signed(_) => return Err(Refusal::NoKey),
    };
    let raw = json::strict::<DeployRequest>(&bytes)?;
    let (pool, spec, secrets) = validate(app, raw)?;
    // Who waves a plan through beforehand approves it.
    if spec.auto_approve {
        authorize(Some(&caller), Access::Needs(Scope::Approve), app.loopback)?;
    }
    let shard = ShardNo::of(&spec.git_url.canonical(), app.shards);
    let identity = match &key {
        None => Identity::fresh(shard),
        Some(key) => {
            let request = Repeatable { caller: caller.name(), key, body: &bytes, secret: app.auth.secret() };
            Identity::repeatable(&request, shard)
        }
    };
    let bundle = SecretBundle {
        run_key: identity.run_key.clone(),
        env: secrets.env,
        git_auth: secrets.git_auth,
        backend_config: secrets.backend_config,
    };
    let trigger = Trigger { has_secrets: true, ..trigger(&identity, &caller, RunSpec::Terraform(spec), pool, &headers) };
    let admitted = take_in(app, &identity, trigger, Some(bundle)).await?;
    let answer = DeployBody { deployment_id: admitted.run, status: "running", message: report::ACCEPTED };
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if admitted.replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `POST /v1/probes`.
pub(crate) async fn probe(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    let spec = body::optional_json::<ProbeRequest>(&app, request).await?.validate()?;
    // A probe has no repository; any shard will do, and in turn all of them.
    let shard = ShardNo::of(&uuid::Uuid::new_v4().to_string(), app.shards);
    let identity = Identity::fresh(shard);
    let trigger = trigger(&identity, &caller, RunSpec::Probe(spec), PoolName::default(), &headers);
    let admitted = take_in(&app, &identity, trigger, None).await?;
    Ok((StatusCode::ACCEPTED, Json(ProbeBody { run_id: admitted.run })).into_response())
}

/// Stores a run, and shows it in the list at once.
pub(crate) async fn take_in(app: &App, identity: &Identity, trigger: Trigger, bundle: Option<SecretBundle>) -> Result<Admitted, Refusal> {
    let shown = trigger.clone();
    failpoint::failpoint!("gateway.checked");
    let admitted = in_time(admit(app, identity, trigger, bundle)).await?;
    failpoint::failpoint!("gateway.admitted");
    if !admitted.replayed {
        // Seen in the list at once, even while no scheduler looks.
        app.index.accepted(shown);
    }
    tracing::info!(run = %admitted.run, replayed = admitted.replayed, "accepted");
    Ok(admitted)
}

impl ProbeRequest {
    /// The valid probe, or every problem there is.
    fn validate(self) -> Result<ProbeSpec, Refusal> {
        let Self { echo, noise_bytes, ticks } = self;
        let bad_text = |text: &str| text.chars().count() > ECHO_CHARACTERS || text.chars().any(char::is_control);
        let checks = [
            (
                echo.as_deref().is_some_and(bad_text),
                "echo",
                format!("must be at most {ECHO_CHARACTERS} characters, none of them a control character"),
            ),
            (noise_bytes > MAX_NOISE_BYTES, "noise_bytes", format!("must be at most {MAX_NOISE_BYTES}")),
            (ticks > MAX_TICKS, "ticks", format!("must be at most {MAX_TICKS}")),
            (noise_bytes > 0 && echo.is_none(), "noise_bytes", "needs echo: without it no process is started".to_owned()),
            (ticks > 0 && echo.is_none(), "ticks", "needs echo: without it no process is started".to_owned()),
        ];
        let problems: Vec<_> = checks.into_iter().filter(|(bad, ..)| *bad).map(|(_, field, told)| FieldProblem::new(field, told)).collect();
        if problems.is_empty() { Ok(ProbeSpec { echo, noise_bytes, ticks }) } else { Err(Refusal::BadInput(problems)) }
    }
}

/// The valid request, or every problem there is.
fn validate(app: &App, raw: DeployRequest) -> Result<(PoolName, TerraformSpec, SecretParts), Refusal> {
    let pool = raw.pool.as_deref().map_or_else(|| Ok(PoolName::default()), str::parse::<PoolName>);
    let problem = |error: FieldError| FieldProblem::new(error.field, error.message);
    let valid = raw.validate(&app.hosts).map_err(|errors| errors.into_iter().map(problem).collect::<Vec<_>>());
    match (valid, pool) {
        (Ok((spec, secrets)), Ok(pool)) => Ok((pool, spec, secrets)),
        (valid, pool) => {
            let mut problems = valid.err().unwrap_or_default();
            problems.extend(pool.err().map(|error| FieldProblem::new("pool", error.to_string())));
            Err(Refusal::BadInput(problems))
        }
    }
}

fn trigger(identity: &Identity, caller: &Principal, spec: RunSpec, pool: PoolName, headers: &HeaderMap) -> Trigger {
    tracing::Span::current().record("run", tracing::field::display(identity.run));
    let from_caller = || service::telemetry::extract(|name| headers.get(name)?.to_str().ok().map(str::to_owned));
    Trigger {
        run: identity.run,
        accepted_at: Timestamp::now(),
        by: caller.name().to_owned(),
        spec,
        pool,
        has_secrets: false,
        request_digest: identity.digest.clone(),
        traceparent: service::telemetry::current_traceparent().or_else(from_caller),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_bounded_and_noise_needs_a_process() {
        let probe = |echo: Option<&str>, noise_bytes, ticks| ProbeRequest { echo: echo.map(str::to_owned), noise_bytes, ticks }.validate();
        assert!(probe(None, 0, 0).is_ok() && probe(Some("hello"), MAX_NOISE_BYTES, MAX_TICKS).is_ok());
        let long = "x".repeat(ECHO_CHARACTERS + 1);
        for (bad, field) in [
            (probe(Some(&long), 0, 0), "echo"),
            (probe(Some("a\nb"), 0, 0), "echo"),
            (probe(Some(""), MAX_NOISE_BYTES + 1, 0), "noise_bytes"),
            (probe(Some(""), 0, MAX_TICKS + 1), "ticks"),
            (probe(None, 1, 0), "noise_bytes"),
            (probe(None, 0, 1), "ticks"),
        ] {
            assert_eq!(bad.unwrap_err().named_field(), Some(field));
        }
    }
}
