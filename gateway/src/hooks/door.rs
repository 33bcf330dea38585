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
    proof::{Proven, Shown, Unproven, shown, shown_to_nobody},
    reading::discard,
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
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{RunId, sync::ServiceId};
use serde::Serialize;
use std::{net::IpAddr, sync::Arc, time::Instant};
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
        None if app.sources.first().is_some() => Err(to_nobody(&app, &request)),
        None => Err(Refusal::NoSuchPath),
    }
}

/// Refuses a delivery for a source that is not there, as one that is would: which there are is nobody's business who cannot sign
/// for one.
fn to_nobody(app: &App, request: &Request) -> Refusal {
    let headers = request.headers();
    let from = client_ip(request.extensions(), headers, &app.limits.trusted_proxies);
    let now = Instant::now();
    if let Err(refusal) = is_readable(headers).and_then(|()| app.hearing.admit(from, now)) {
        return refusal;
    }
    app.hearing.failed(from, now);
    told(shown_to_nobody(headers))
}

/// Whether a body may be what is read here.
fn is_readable(headers: &HeaderMap) -> Result<(), Refusal> {
    body::plain(headers)?;
    if body::is_json(headers) { Ok(()) } else { Err(Refusal::NotJson) }
}

/// Takes in a delivery of a source, and answers.
pub(crate) async fn deliver(app: &Arc<App>, source: &Source, request: Request) -> Result<Response, Refusal> {
    // Without its secrets a source can tell nobody from another; refused as unsigned, forges would switch the webhook off.
    if !source.is_ready() {
        return Err(Refusal::Unavailable);
    }
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    is_readable(headers)?;
    let from = client_ip(&parts.extensions, headers, &app.limits.trusted_proxies);
    if let Err(unheard) = app.hearing.admit(from, Instant::now()) {
        app.gateway_metrics.delivery(source.id.as_str(), Verdict::Refused.as_str());
        discard(headers, body).await;
        return Err(unheard);
    }
    let heading = heading(source.kind, headers);
    let secrets = source.secrets();
    let shown = match shown(source.kind, headers, &secrets, Timestamp::now()) {
        Ok(shown) => shown,
        Err(why) => return Err(refused(app, source, heading.ok(), why, from)),
    };
    let held = app.room.read(headers, body, (from, app.limits.request_timeout)).await?;
    let traced = heading.as_ref().ok().cloned();
    let work = Work { kind: source.kind, shown, secrets, heading, body: held.body.clone() };
    let understood = work.done().await?;
    match &understood {
        Err(Fault::Unproven(why)) => return Err(refused(app, source, traced, *why, from)),
        Ok(_) | Err(Fault::Heading(_) | Fault::Payload(_)) => app.hearing.proved(from, Instant::now()),
    }
    let Understood { proven, heading, payload, digest } = understood.map_err(|fault| misunderstood(app, source, fault))?;
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

/// Why a delivery is not taken.
enum Fault {
    Unproven(Unproven),
    /// Told only to whoever can sign: a source that is not there knows nothing of headings.
    Heading(Refusal),
    Payload(BadPayload),
}

fn misunderstood(app: &App, source: &Source, fault: Fault) -> Refusal {
    let (why, refusal) = match fault {
        Fault::Unproven(why) => (why.to_string(), told(why)),
        Fault::Heading(refusal) => (refusal.text(), refusal),
        Fault::Payload(bad) => (bad.to_string(), Refusal::field("", bad.0)),
    };
    app.gateway_metrics.delivery(source.id.as_str(), "malformed");
    tracing::warn!(source = %source.id, why, "a signed delivery cannot be read");
    refusal
}

/// What costs time in proportion to the body.
struct Work {
    kind: service::settings::ForgeKind,
    shown: Shown,
    secrets: Arc<Secrets>,
    heading: Result<Heading, Refusal>,
    body: Bytes,
}

/// What a delivery that comes from its forge says.
struct Understood {
    proven: Proven,
    heading: Heading,
    payload: payload::Payload,
    digest: BodyDigest,
}

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

    fn understand(self) -> Result<Understood, Fault> {
        let proven = self.shown.verify(&self.secrets, &self.body).map_err(Fault::Unproven)?;
        let heading = self.heading.map_err(Fault::Heading)?;
        let payload = payload::read(self.kind, &heading.event, &self.body).map_err(Fault::Payload)?;
        Ok(Understood { proven, heading, payload, digest: BodyDigest::of(&self.body) })
    }
}

/// What is told about a delivery that is not believed: nothing. The trace knows why.
fn refused(app: &Arc<App>, source: &Source, heading: Option<Heading>, why: Unproven, from: Option<IpAddr>) -> Refusal {
    let Heading { event, delivery } = heading.unwrap_or(Heading { event: String::new(), delivery: None });
    trace::not_believed(app, source, Refused { event, delivery: delivery.unwrap_or_default(), reason: why.to_string(), from });
    told(why)
}

fn told(why: Unproven) -> Refusal {
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
