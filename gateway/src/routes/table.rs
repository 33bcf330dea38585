//! The table of routes. Those of webhooks and syncs stand in [`syncs_table`].

use super::{Doc, openapi, syncs_table};
use crate::{
    answers::ErrorBody,
    app::App,
    auth::{Access, Scope},
    commands::{self, ApproveRequest, CancelRequest, MessageBody, ResolveRequest},
    dead_letters::{self, DeadLettersBody},
    deploy::{self, DeployBody, ProbeBody, ProbeRequest, request_schema::DeploySchema},
    events::{self, EventsBody},
    fleet::{self, LocksBody, QueuesBody, WorkersBody},
    health::{self, HealthBody},
    keys::{self, KeyRequest, KeysBody, NewKeyBody, WhoamiBody},
    logs,
    mapping::{self, MappingProblemBody},
    orders::{
        self, OrdersBody, WebhookBody, WebhookErrorBody,
        request_schema::{EnvelopeSchema, JobSchema},
    },
    releases::{self, ReleaseAccepted, ReleaseRequest, ReleasesBody},
    runs::{self, DoneBody, JobsBody, ResultBody, RunBody, RunsBody},
    status::{self, StatusBody},
    syncs::{CachedBody, NotFoundBody, SyncResultBody, VersionBody, VersionSchema},
};
use axum::{
    handler::Handler,
    routing::{self, MethodRouter},
};
use std::sync::Arc;

/// The methods that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

/// A route.
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) handler: MethodRouter<Arc<App>>,
    pub(crate) doc: Doc,
}

pub(super) fn get<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, access: Access, handler: H, doc: Doc) -> Route {
    Route { verb: Verb::Get, path, access, handler: routing::get(handler), doc }
}

pub(super) fn post<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, access: Access, handler: H, doc: Doc) -> Route {
    Route { verb: Verb::Post, path, access, handler: routing::post(handler), doc }
}

fn delete<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, access: Access, handler: H, doc: Doc) -> Route {
    Route { verb: Verb::Delete, path, access, handler: routing::delete(handler), doc }
}

pub(super) const READ: Access = Access::Needs(Scope::Read);
pub(super) const DEPLOY: Access = Access::Needs(Scope::Deploy);
const APPROVE: Access = Access::Needs(Scope::Approve);
const DONE: Access = Access::Needs(Scope::Done);
const ADMIN: Access = Access::Needs(Scope::Admin);

/// Of the doors of the service that Navvy replaces.
pub(super) const SIGNED: &str =
    "`sha256=` and the HMAC of the body; with `X-IAC-Timestamp` and `X-IAC-Nonce`, of `timestamp.nonce.` and the body.";
const NO_DEPLOYMENT: (u16, &str) = (404, "Deployment not found.");
const NO_RUN: (u16, &str) = (404, "Run not found.");
const NOT_OVER: (u16, &str) = (404, "Run or order not found, or not over yet; `code` tells which.");
const GONE: (u16, &str) = (410, "It was over more than a day ago.");
pub(super) const BAD: (u16, &str) = (400, "Bad input; `field` names what is wrong.");
pub(super) const TOO_LARGE: (u16, &str) = (413, "The body is too large.");
pub(super) const NOT_JSON: (u16, &str) = (415, "The body is not JSON, or is compressed.");
const WRONG_STATE: (u16, &str) = (409, "Not in the run's present state; `status` tells it.");
const TOO_MANY: (u16, &str) = (429, "Too many live streams.");

/// Every route.
pub(crate) fn table() -> Vec<Route> {
    [
        deployments(),
        syncs_table::versions_and_syncs(),
        run_orders(),
        syncs_table::webhooks(),
        runs(),
        what_happened(),
        run_commands(),
        repositories(),
        the_fleet(),
        the_keys(),
        the_process(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn deployments() -> Vec<Route> {
    let start = Doc::new("deployments", "Deploy with Terraform, or a version of services")
        .header("Idempotency-Key", "1 to 200 visible ASCII characters; the same request again gets the same run.")
        .header("X-Hub-Signature-256", SIGNED)
        .takes_either::<DeploySchema, VersionSchema>()
        .gives_either::<DeployBody, VersionBody>(202, "Stored, or in flight; `Idempotency-Replayed: true` if it had been before.")
        .gives_either::<CachedBody, VersionBody>(
            200,
            "A version that was deployed within ten minutes, or that was waited for; or, `ignored`, one of whose services none is managed.",
        )
        .gives::<CachedBody>(500, "A version that was waited for, and failed.")
        .refuses(&[
            BAD,
            (408, "The body did not arrive in time."),
            TOO_LARGE,
            NOT_JSON,
            (422, "The Idempotency-Key was used with another request."),
        ]);
    vec![
        post("/deploy", Access::KeyOrSignature, deploy::deploy, start),
        get(
            "/deploy/{id}/status",
            READ,
            status::status,
            Doc::new("deployments", "The status object; of a version, by its 16 digits, the result")
                .gives_either::<StatusBody, SyncResultBody>(200, "As it stands.")
                .gives_either::<ErrorBody, NotFoundBody>(404, "Deployment not found."),
        ),
        get("/deploy/{id}/logs", READ, logs::of_deployment, live_doc("deployments").refuses(&[NO_DEPLOYMENT])),
        post(
            "/deploy/{id}/approve",
            APPROVE,
            commands::approve_deployment,
            command_doc("deployments", "Approve the plan").takes::<ApproveRequest>(false).refuses(&[NO_DEPLOYMENT]),
        ),
        post(
            "/deploy/{id}/reject",
            APPROVE,
            commands::reject_deployment,
            command_doc("deployments", "Reject the plan").refuses(&[NO_DEPLOYMENT]),
        ),
        post(
            "/deploy/{id}/cancel",
            DEPLOY,
            commands::cancel_deployment,
            command_doc("deployments", "Stop the run").takes::<CancelRequest>(false).refuses(&[NO_DEPLOYMENT]),
        ),
    ]
}

fn run_orders() -> Vec<Route> {
    let plain = Doc::new("orders", "Start a run of orders")
        .header("Idempotency-Key", "1 to 200 visible ASCII characters; the same job again gets the same run. So does `run_id` in the job.")
        .takes::<JobSchema>(true)
        .gives::<OrdersBody>(202, "Stored; `Idempotency-Replayed: true` if it had been before.")
        .refuses(&[
            (400, "Bad input; `errors` names every problem."),
            (408, "The body did not arrive in time."),
            TOO_LARGE,
            NOT_JSON,
            (422, "The Idempotency-Key was used with another job."),
        ]);
    let webhook = Doc::new("orders", "Start a run of orders, as the replaced engine took it")
        .header("X-Hub-Signature-256", "`sha256=` and the HMAC of the body with the webhook's secret: instead of a key.")
        .takes::<EnvelopeSchema>(true)
        .gives::<WebhookBody>(200, "Stored.")
        .gives::<WebhookErrorBody>(400, "Every problem of the job, or what is wrong with the body. Every refusal here has this form.");
    let handler = routing::post(orders::webhook).fallback(orders::webhook_method);
    vec![
        post("/v1/orders", DEPLOY, orders::orders, plain),
        Route { verb: Verb::Post, path: "/webhook", access: Access::KeyOrProof, handler, doc: webhook },
    ]
}

fn live_doc(tag: &str) -> Doc {
    Doc::new(tag, "The log, live")
        .header("Last-Event-ID", "Resume behind this line.")
        .query("after", "As Last-Event-ID.")
        .query("follow", "0: what is there now, then the end of the stream.")
        .query("job", "Only this job, by its number `n`; then the stream ends with the job. Required where there are more than 200 orders.")
        .gives_text(200, "Events `log`, `status`, `lagged`, `gap`, `end`; a comment every 15 s.", "text/event-stream")
        .refuses(&[BAD, TOO_MANY])
}

fn command_doc(tag: &str, summary: &str) -> Doc {
    Doc::new(tag, summary)
        .gives::<MessageBody>(200, "Done, or it was so already.")
        .gives::<MessageBody>(202, "Stored; the scheduler has not confirmed it yet.")
        .refuses(&[BAD, WRONG_STATE])
}

fn runs() -> Vec<Route> {
    let list = Doc::new("runs", "Runs, newest first")
        .query("status", "One or more statuses, separated by commas.")
        .query("repo", "A repository's address, or the end of its path.")
        .query("by", "Who asked.")
        .query("limit", "1 to 200; default 50.")
        .query("cursor", "`next_cursor` of the page before.")
        .gives::<RunsBody>(200, "A page.")
        .refuses(&[BAD]);
    let text = Doc::new("runs", "The log as text, what is there now")
        .query("job", "Only this job, by its number `n`; without it the whole run. Required where there are more than 200 orders.")
        .query("attempt", "Only this attempt of the job; without it the latest.")
        .gives_text(200, "The bytes as the tool wrote them, masked.", "text/plain")
        .refuses(&[BAD, NO_RUN]);
    let jobs = Doc::new("runs", "Its jobs and attempts")
        .query("from", "The first job's number; default 0.")
        .query("limit", "1 to 200; default 100.")
        .query("status", "One or more statuses of jobs, separated by commas.")
        .gives::<JobsBody>(200, "As they stand.")
        .refuses(&[BAD, NO_RUN]);
    vec![
        get("/v1/runs", READ, runs::list, list),
        get("/v1/runs/{id}", READ, runs::one, Doc::new("runs", "One run").gives::<RunBody>(200, "As it stands.").refuses(&[NO_RUN])),
        get("/v1/runs/{id}/jobs", READ, runs::jobs, jobs),
        get("/v1/runs/{id}/logs", READ, logs::of_run, live_doc("runs").refuses(&[NO_RUN])),
        get("/v1/runs/{id}/log.txt", READ, logs::text, text),
    ]
}

fn what_happened() -> Vec<Route> {
    let events = Doc::new("runs", "What happened to it, as a list or live")
        .header("Last-Event-ID", "Resume behind this event.")
        .header("Accept", "`text/event-stream`: a stream.")
        .query("after", "SEQ or SEQ.N: what follows this place.")
        .query("limit", "1 to 1000; default 100. Not of a stream.")
        .query("order", "Only events of this order or job; `_job` is the whole run.")
        .query("type", "Only events of this type.")
        .query("follow", "1: a stream. 0: a stream, if one is accepted, that ends with what is there now.")
        .gives_or_text::<EventsBody>(
            200,
            "Oldest first; as a stream events `event` and `end`, and a comment every 15 s.",
            "text/event-stream",
        )
        .refuses(&[BAD, NO_RUN, TOO_MANY]);
    let result = Doc::new("runs", "How an order ended, as `result.json`; for a day after the end of the run")
        .gives::<ResultBody>(200, "Its status, and the end of its log.")
        .refuses(&[NOT_OVER, GONE]);
    let done = Doc::new("runs", "The done marker: how the run ended; for a day after its end")
        .gives::<DoneBody>(200, "`{status, summary}`.")
        .refuses(&[NOT_OVER, GONE]);
    vec![
        get("/v1/runs/{id}/events", READ, events::events, events),
        get("/v1/runs/{id}/orders/{num}/result.json", READ, runs::result, result),
        get("/v1/runs/{id}/done", DONE, runs::done, done),
    ]
}

fn run_commands() -> Vec<Route> {
    let probe = Doc::new("runs", "Start a run that does nothing, to see that the fleet works")
        .takes::<ProbeRequest>(false)
        .gives::<ProbeBody>(202, "Stored.")
        .refuses(&[BAD, TOO_LARGE, NOT_JSON]);
    let resolve = command_doc("runs", "Settle an unknown outcome").takes::<ResolveRequest>(true).refuses(&[NO_RUN]);
    vec![
        post("/v1/probes", DEPLOY, deploy::probe, probe),
        post(
            "/v1/runs/{id}/approve",
            APPROVE,
            commands::approve,
            command_doc("runs", "Approve the plan").takes::<ApproveRequest>(false).refuses(&[NO_RUN]),
        ),
        post("/v1/runs/{id}/reject", APPROVE, commands::reject, command_doc("runs", "Reject the plan").refuses(&[NO_RUN])),
        post(
            "/v1/runs/{id}/cancel",
            DEPLOY,
            commands::cancel,
            command_doc("runs", "Stop the run").takes::<CancelRequest>(false).refuses(&[NO_RUN]),
        ),
        post("/v1/runs/{id}/resolve", ADMIN, commands::resolve, resolve),
    ]
}

fn repositories() -> Vec<Route> {
    let check = Doc::new("syncs", "Check the text of a navvy.yaml")
        .takes_text("The text of a navvy.yaml, whatever the content type.", "application/yaml")
        .gives::<Vec<MappingProblemBody>>(200, "Nothing is wrong: the list is empty.")
        .gives::<Vec<MappingProblemBody>>(422, "What is wrong, with its place.")
        .refuses(&[(408, "The body did not arrive in time."), TOO_LARGE]);
    let release = Doc::new("syncs", "Make a release, and deploy it")
        .header("Idempotency-Key", "1 to 200 visible ASCII characters; the same request again gets the same run.")
        .takes::<ReleaseRequest>(true)
        .gives::<ReleaseAccepted>(202, "Stored; `Idempotency-Replayed: true` if it had been before.")
        .refuses(&[
            BAD,
            (404, "No repository is followed here."),
            (408, "The body did not arrive in time."),
            TOO_LARGE,
            NOT_JSON,
            (422, "The Idempotency-Key was used with another request."),
        ]);
    let releases = Doc::new("syncs", "Runs that make releases, newest first")
        .query("kind", "`staging`, `production`, `hotfix` or `rollback`.")
        .query("environment", "Only releases into this environment.")
        .query("limit", "1 to 200; default 50.")
        .query("cursor", "`next_cursor` of the page before.")
        .gives::<ReleasesBody>(200, "A page.")
        .refuses(&[BAD]);
    vec![
        post("/v1/mapping/check", READ, mapping::check, check),
        post("/v1/releases", DEPLOY, releases::start, release),
        get("/v1/releases", READ, releases::list, releases),
    ]
}

fn the_fleet() -> Vec<Route> {
    vec![
        get("/v1/locks", READ, fleet::locks, Doc::new("fleet", "Locks that are held or wanted").gives::<LocksBody>(200, "As they stand.")),
        get("/v1/workers", READ, fleet::workers, Doc::new("fleet", "Workers that live").gives::<WorkersBody>(200, "As they stand.")),
        get(
            "/v1/dead-letters",
            ADMIN,
            dead_letters::list,
            Doc::new("fleet", "Messages that nobody could handle")
                .query("after", "`next_after` of the page before.")
                .gives::<DeadLettersBody>(200, "Oldest first.")
                .refuses(&[BAD]),
        ),
        get("/v1/queues", READ, fleet::queues, Doc::new("fleet", "Queues of the pools").gives::<QueuesBody>(200, "As they stand.")),
    ]
}

fn the_keys() -> Vec<Route> {
    let create = Doc::new("keys", "Make an API key")
        .takes::<KeyRequest>(true)
        .gives::<NewKeyBody>(201, "The key, shown this once.")
        .refuses(&[BAD, NOT_JSON]);
    let revoke = Doc::new("keys", "Revoke an API key; it opens nothing after 60 s at the latest")
        .gives_nothing(204, "Revoked.")
        .refuses(&[(404, "Key not found.")]);
    vec![
        post("/v1/keys", ADMIN, keys::create, create),
        get("/v1/keys", ADMIN, keys::list, Doc::new("keys", "API keys, without their secrets").gives::<KeysBody>(200, "All of them.")),
        delete("/v1/keys/{id}", ADMIN, keys::revoke, revoke),
        get("/v1/whoami", Access::AnyKey, keys::whoami, Doc::new("keys", "Who the caller is").gives::<WhoamiBody>(200, "Name and scopes.")),
    ]
}

fn the_process() -> Vec<Route> {
    let health = Doc::new("process", "Whether everything it needs is well")
        .gives::<HealthBody>(200, "Healthy.")
        .gives::<HealthBody>(503, "Degraded.");
    let ready = Doc::new("process", "Whether it can work now").gives_text(200, "Ready.", "application/json").gives_text(
        503,
        "Not ready.",
        "application/json",
    );
    vec![
        get("/health", Access::Open, health::health, health),
        get("/livez", Access::Open, health::livez, Doc::new("process", "Whether it lives").gives_text(200, "It does.", "text/plain")),
        get("/readyz", Access::Open, health::readyz, ready),
        get(
            "/metrics",
            Access::OpenOnLoopback,
            health::metrics,
            Doc::new("process", "What it counts, for Prometheus").gives_text(200, "Text format.", "text/plain"),
        ),
        get(
            "/openapi.json",
            Access::OpenOnLoopback,
            openapi,
            Doc::new("process", "This document").gives_text(200, "OpenAPI 3.1.", "application/json"),
        ),
    ]
}
