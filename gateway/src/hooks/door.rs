//! `POST /hooks/{source}`, and `POST /webhook` where a forge calls: the way in, and the answers.
//!
//! What is authentic is always answered with 202, also where nothing is done: forges switch a webhook off that is refused too
//! often. What cannot be stored is 503: a forge that does not send it again is caught up with by its next push.

use super::{
    accept::{Outcome, Received, Taken, accept},
    foresee::Foreseen,
    heading::{Heading, heading},
    judge::judge,
    payload,
    proof::{Proven, Shown, Unproven, shown},
    record::{BodyDigest, Delivery, Verdict},
    skim::BadPayload,
    trace::{self, Refused},
};
use crate::{
    answers::Refusal,
    app::App,
    door::{body, peer::client_ip},
    sources::{Secrets, Source},
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{RunId, sync::ServiceId};
use serde::Serialize;
use std::{net::IpAddr, sync::Arc};
use utoipa::ToSchema;

/// Bodies that are longer are verified and understood beside the requests, which would wait for it.
const LONG: usize = 256 << 10;

/// The answer to a delivery that comes from its forge.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct HookBody {
    /// `accepted`, `no_changes`, `ignored` or `duplicate`.
    status: &'static str,
    /// Of what was ignored: what the forge calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// Why nothing is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// What is foreseen; the run decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    services: Option<Vec<ServiceId>>,
    /// The first eight digits of where the branch was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    run_id: Option<RunId>,
    /// The record of it: `GET /v1/deliveries/{delivery}`.
    delivery: String,
    /// It had come before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// `POST /hooks/{source}`.
pub(crate) async fn hook(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Result<Response, Refusal> {
    failpoint::failpoint!("gateway.received");
    match app.sources.get(&id) {
        Some(source) => deliver(&app, source, request).await,
        // Which sources there are is nobody's business who cannot sign for one.
        None if app.sources.first().is_some() => Err(Refusal::Untrusted),
        None => Err(Refusal::NoSuchPath),
    }
}

/// Takes in a delivery of a source, and answers.
pub(crate) async fn deliver(app: &Arc<App>, source: &Source, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    body::plain(headers)?;
    if !body::is_json(headers) {
        return Err(Refusal::NotJson);
    }
    let from = client_ip(&parts.extensions, headers, &app.limits.trusted_proxies);
    let heading_of = || heading(source.kind, headers);
    let secrets = source.secrets();
    let shown = match shown(source.kind, headers, &secrets, Timestamp::now()) {
        Ok(shown) => shown,
        Err(why) => return Err(refused(app, source, heading_of().ok(), why, from)),
    };
    let heading = heading_of()?;
    let held = app.room.read(headers, body, app.limits.request_timeout).await?;
    let work = Work { kind: source.kind, shown, secrets, event: heading.event.clone(), body: held.body.clone() };
    let (proven, digest, payload) = match work.done().await? {
        Ok(understood) => understood,
        Err(Fault::Unproven(why)) => return Err(refused(app, source, Some(heading), why, from)),
        Err(Fault::Payload(bad)) => {
            app.gateway_metrics.delivery(source.id.as_str(), "malformed");
            tracing::warn!(source = %source.id, event = heading.event, why = %bad, "a signed delivery cannot be read");
            return Err(Refusal::field("", bad.0));
        }
    };
    drop(held);
    let delivery = proven.signed_id.clone().or(heading.delivery).or(payload.delivery.clone());
    let event = payload.event.clone();
    let (moved, meaning) = judge(source, payload);
    let received = Received {
        source,
        event,
        delivery: delivery.unwrap_or_else(|| format!("body {}", digest.0)),
        body: digest,
        proven,
        moved,
        meaning,
        from,
    };
    let taken = accept(app, received).await?;
    Ok((StatusCode::ACCEPTED, Json(HookBody::of(taken))).into_response())
}

/// Why a body is not taken.
enum Fault {
    Unproven(Unproven),
    Payload(BadPayload),
}

/// What costs time in proportion to the body.
struct Work {
    kind: service::settings::ForgeKind,
    shown: Shown,
    secrets: Arc<Secrets>,
    event: String,
    body: Bytes,
}

type Understood = (Proven, BodyDigest, payload::Payload);

impl Work {
    async fn done(self) -> Result<Result<Understood, Fault>, Refusal> {
        if self.body.len() <= LONG {
            return Ok(self.understand());
        }
        tokio::task::spawn_blocking(move || self.understand()).await.map_err(|error| {
            tracing::error!(%error, "a delivery could not be looked at");
            Refusal::Internal
        })
    }

    fn understand(&self) -> Result<Understood, Fault> {
        let proven = self.shown.verify(&self.secrets, &self.body).map_err(Fault::Unproven)?;
        let payload = payload::read(self.kind, &self.event, &self.body).map_err(Fault::Payload)?;
        Ok((proven, BodyDigest::of(&self.body), payload))
    }
}

/// What is told about a delivery that is not believed: nothing. The trace knows why.
fn refused(app: &Arc<App>, source: &Source, heading: Option<Heading>, why: Unproven, from: Option<IpAddr>) -> Refusal {
    let Heading { event, delivery } = heading.unwrap_or(Heading { event: String::new(), delivery: None });
    trace::not_believed(app, source, Refused { event, delivery: delivery.unwrap_or_default(), reason: why.to_string(), from });
    match why {
        Unproven::Repeated(name) => Refusal::field(name, "is there more than once"),
        Unproven::Missing(_) | Unproven::Form(_) | Unproven::Stale | Unproven::Mismatch => Refusal::Untrusted,
    }
}

impl HookBody {
    fn of(Taken { key, outcome }: Taken) -> Self {
        let body = Self { delivery: key, ..Self::default() };
        match outcome {
            Outcome::Run { run, commit, foreseen } => {
                let (status, message, services) = match foreseen {
                    Foreseen::Services(services) => ("accepted", None, services),
                    Foreseen::Nothing => ("no_changes", Some("No service files changed"), Vec::new()),
                };
                Self { status, message, services: Some(services), commit: Some(commit), run_id: Some(run), ..body }
            }
            Outcome::Ignored(why) => {
                Self { status: "ignored", event: why.event().map(str::to_owned), reason: Some(why.to_string()), ..body }
            }
            Outcome::Before(record) => Self::before(*record, body),
        }
    }

    fn before(record: Delivery, body: Self) -> Self {
        match record.verdict {
            Verdict::Ignored => Self { status: "ignored", event: Some(record.event), reason: Some(record.reason), duplicate: true, ..body },
            Verdict::Accepted | Verdict::Duplicate | Verdict::Redelivered | Verdict::Refused => {
                let commit = record.after.map(|after| after.as_str().chars().take(8).collect());
                Self { status: "duplicate", commit, run_id: record.run, duplicate: true, ..body }
            }
        }
    }
}
