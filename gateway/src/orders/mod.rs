//! Starting runs of orders: `POST /webhook` as the replaced engine had it, and `POST /v1/orders`.
//!
//! What a job may ask is decided in [`domain::orders`]. Here: who may ask ([`sender`]), the way from a body to what is
//! stored ([`mod@prepare`], [`mod@pages`]), and the answers of both doors ([`webhook`], [`plain`]). A handler gives each
//! door what it has read, and the function that stores it, `take_in`: it seals the pages, puts the addresses of `callbacks`
//! sealed into the spec, and publishes the trigger, all of it under the identity that stands in the [`Intake`].

mod pages;
mod plain;
mod prepare;
pub(crate) mod request_schema;
mod routes;
mod sender;
mod store;
mod webhook;

pub(crate) use plain::OrdersBody;
pub(crate) use routes::{orders, webhook, webhook_method};
pub(crate) use webhook::{WebhookBody, WebhookErrorBody, refused as webhook_refused};

use crate::{
    answers::Refusal,
    app::App,
    deploy::identity::Identity,
    door::body::{self, Bound},
};
use axum::{extract::Request, http::HeaderMap};
use bytes::Bytes;
use domain::orders::{Rules, ValidJob};
use proto::Secret;
use std::fmt;

/// What a door needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) rules: &'a Rules,
    /// Known to the gateways alone.
    pub(crate) secret: &'a Secret,
    /// Number of scheduler shards.
    pub(crate) shards: u8,
    /// The gateway's address as others use it, without a slash at its end; empty if nobody has set it.
    pub(crate) public_url: &'a str,
}

/// A request as a door gets it: its body is read and within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Who asks, for records.
    pub(crate) by: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

/// A job that may be stored. Its pages are in the clear, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Its spec knows where each page begins.
    pub(crate) job: ValidJob,
    /// Bundles of orders as they are sealed: each a `Vec<OrderBundle>` in the codec of `proto`.
    pub(crate) pages: Vec<Vec<u8>>,
    pub(crate) identity: Identity,
    pub(crate) by: String,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("job", &self.job).field("identity", &self.identity).field("by", &self.by).finish_non_exhaustive()
    }
}

/// A request's body, within the bound of both doors. Nothing at all is a body too.
pub(crate) async fn body(app: &App, request: Request) -> Result<Bytes, Refusal> {
    let bound = Bound { bytes: app.limits.orders_body_bytes, setting: "gateway.max_orders_body" };
    body::json_or_nothing(app, request, bound).await
}

/// The same from somebody who may be anybody: no longer than those of most routes.
async fn unproven_body(app: &App, request: Request) -> Result<Bytes, Refusal> {
    let bound = Bound { bytes: app.limits.body_bytes.min(app.limits.orders_body_bytes), setting: "gateway.body_limit_bytes" };
    let is_json = body::is_json(request.headers());
    let body = body::unproven(app, request, bound).await?.body;
    if is_json || body.is_empty() { Ok(body) } else { Err(Refusal::NotJson) }
}

/// What the answer to a job says; it is kept while the job is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Receipt {
    trace_id: String,
    flow_id: String,
    search_tag: String,
    orders: usize,
}

impl Receipt {
    fn of(intake: &Intake) -> Self {
        let spec = &intake.job.spec;
        Self {
            trace_id: spec.trace_id.clone(),
            flow_id: spec.flow_id(),
            search_tag: spec.search_tag.clone(),
            orders: intake.job.bundles.len(),
        }
    }
}

#[cfg(test)]
mod fixtures;
