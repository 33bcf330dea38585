//! The handlers of both doors: what they read, and whom they ask.

use super::{
    Asked, Desk,
    sender::{Signature, sender},
    store, webhook as door,
};
use crate::{
    answers::Refusal,
    app::{App, in_time},
    auth::Who,
    forge::{BadSignature, Forge as _},
    hooks,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::{IntoResponse as _, Response},
};
use domain::orders::{Pools, Rules};
use proto::PoolName;
use std::{collections::BTreeSet, sync::Arc};

/// `POST /v1/orders`.
pub(crate) async fn orders(State(app): State<Arc<App>>, Who(caller): Who, request: Request) -> Result<Response, Refusal> {
    failpoint::failpoint!("gateway.received");
    let headers = request.headers().clone();
    let body = super::body(&app, request).await?;
    let rules = rules(&app).await?;
    let asked = Asked { by: caller.name(), headers: &headers, body: &body };
    super::plain::answer(&desk(&app, &rules), &asked, |intake| store::take_in(&app, intake)).await
}

/// `POST /webhook`. Every refusal has the form that its clients read.
pub(crate) async fn webhook(State(app): State<Arc<App>>, request: Request) -> Response {
    failpoint::failpoint!("gateway.received");
    // What a forge tells belongs to the first source; its signature is all that counts.
    if let Some(source) = app.sources.first().filter(|_| hooks::is_delivery(request.headers())) {
        return hooks::deliver(&app, source, request).await.unwrap_or_else(Refusal::into_response);
    }
    let caller = request.extensions().get::<Who>().cloned();
    match taken(&app, caller, request).await {
        Ok(response) => response,
        Err(refusal) => door::refused(&refusal),
    }
}

/// Every other method of `/webhook`.
pub(crate) async fn webhook_method(method: Method) -> Response {
    door::method_not_allowed(&method).into_response()
}

async fn taken(app: &Arc<App>, caller: Option<Who>, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let body = if caller.is_some() {
        super::body(app, request).await?
    } else {
        // Whoever shows no key can write any signature: it is checked against the body, so that has to be read first.
        if signature_of(&headers).is_none() || !app.forge.has_secret() {
            return Err(Refusal::NoKey);
        }
        super::unproven_body(app, request).await?
    };
    let signature = signature(app, &headers, &body);
    let caller = caller.map(|Who(caller)| caller);
    let by = sender(caller.as_ref(), signature, app.loopback)?;
    if !body.is_empty() && signature == Signature::Good && !door::is_job(&body) {
        return Ok(door::event_not_taken());
    }
    let rules = rules(app).await?;
    let asked = Asked { by: &by, headers: &headers, body: &body };
    Ok(door::answer(&desk(app, &rules), &asked, |intake| store::take_in(app, intake)).await)
}

fn signature_of(headers: &HeaderMap) -> Option<()> {
    headers.contains_key("x-hub-signature-256").then_some(())
}

fn signature(app: &App, headers: &HeaderMap, body: &[u8]) -> Signature {
    if signature_of(headers).is_none() {
        return Signature::Absent;
    }
    match app.forge.verify(headers, body) {
        Ok(_signed) => Signature::Good,
        Err(why) => {
            let why: BadSignature = why;
            tracing::warn!(%why, "a signed webhook is not believed");
            Signature::Bad
        }
    }
}

fn desk<'a>(app: &'a App, rules: &'a Rules) -> Desk<'a> {
    Desk { rules, secret: app.auth.secret(), shards: app.shards, public_url: &app.orders.public_url }
}

/// The rules as they are now: pools come and go with the fleet.
async fn rules(app: &App) -> Result<Rules, Refusal> {
    let orders = &app.orders;
    let fleet = in_time(async { Ok(app.bus.fleet().list().await?) }).await?;
    let mut known: BTreeSet<PoolName> = fleet.into_iter().map(|heartbeat| heartbeat.pool).collect();
    known.extend([PoolName::default(), orders.short_pool.clone(), orders.long_pool.clone()]);
    known.extend(app.own_pool.parse::<PoolName>());
    let pools = Pools { short: orders.short_pool.clone(), long: orders.long_pool.clone(), known };
    Ok(Rules { limits: orders.limits.clone(), pools, git: orders.git.clone() })
}
