//! The part of the table that is about webhooks and syncs.

use super::{
    Doc,
    table::{BAD, DEPLOY, NOT_JSON, READ, Route, SIGNED, TOO_LARGE, get, post},
};
use crate::{
    auth::Access,
    hooks::{self, DeliveriesBody, ExplainedBody, HookBody, RedeliveredBody},
    syncs::{self, NotFoundBody, StatusSchema, SyncBody, SyncResultBody, SyncSchema},
};

const NO_DELIVERY: (u16, &str) = (404, "Delivery not found.");

/// What the service that Navvy replaces had besides `/deploy`, which has two meanings.
pub(super) fn versions_and_syncs() -> Vec<Route> {
    let version_status = Doc::new("deployments", "How a version's deployment stands")
        .header("X-Hub-Signature-256", SIGNED)
        .takes::<StatusSchema>(true)
        .gives::<SyncResultBody>(200, "As it stands, or ended.")
        .gives::<NotFoundBody>(404, "There is none.")
        .gives::<NotFoundBody>(409, "More than one, or another one, is meant.")
        .refuses(&[BAD, TOO_LARGE, NOT_JSON]);
    let sync = Doc::new("deployments", "Sync services of the first source's branch")
        .header("X-Hub-Signature-256", SIGNED)
        .header("Idempotency-Key", "1 to 200 visible ASCII characters; the same request again gets the same run.")
        .takes::<SyncSchema>(true)
        .gives::<SyncBody>(202, "Stored.")
        .gives::<SyncBody>(200, "Nothing that was named is managed.")
        .refuses(&[BAD, (404, "No source is configured."), TOO_LARGE, NOT_JSON]);
    vec![
        post("/deploy/status", Access::KeyOrSignature, syncs::status, version_status),
        post("/sync", Access::KeyOrSignature, syncs::sync, sync),
    ]
}

/// What forges send, and what became of it.
pub(super) fn webhooks() -> Vec<Route> {
    let hook = Doc::new("webhooks", "What a forge tells of a source: the raw payload, signed as its kind signs")
        .header("X-Hub-Signature-256", "GitHub: `sha256=` and the HMAC of the body.")
        .header("X-Gitlab-Token", "GitLab: the secret; or `webhook-signature` with `webhook-id` and `webhook-timestamp`.")
        .header("X-Gitea-Signature", "Gitea, and `X-Forgejo-Signature`: the HMAC of the body.")
        .header("X-Hub-Signature", "Bitbucket: `sha256=` and the HMAC of the body.")
        .header("Authorization", "Azure DevOps: Basic, with the secret's user and password.")
        .takes::<Payload>(true)
        .gives::<HookBody>(202, "It comes from the forge, and is stored: a run, or why none.")
        .refuses(&[BAD, (404, "No source is configured."), (408, "The body did not arrive in time."), TOO_LARGE, NOT_JSON]);
    let list = Doc::new("webhooks", "Deliveries of the last 30 days, newest first")
        .query("source", "Of this source only.")
        .query("verdict", "One or more of `accepted`, `ignored`, `duplicate`, `refused`, `redelivered`, separated by commas.")
        .query("limit", "1 to 200; default 50.")
        .query("cursor", "`next_cursor` of the page before.")
        .gives::<DeliveriesBody>(200, "A page.")
        .refuses(&[BAD]);
    let redo = Doc::new("webhooks", "Do the same push once more, as a new run")
        .header("Idempotency-Key", "1 to 200 visible ASCII characters; the same request again gets the same run.")
        .gives::<RedeliveredBody>(202, "Stored.")
        .refuses(&[NO_DELIVERY, (409, "Nothing was to be done about it.")]);
    vec![
        post("/hooks/{source}", Access::Signature, hooks::hook, hook),
        get("/v1/deliveries", READ, hooks::list, list),
        get(
            "/v1/deliveries/{id}",
            READ,
            hooks::one,
            Doc::new("webhooks", "A delivery, and why it became what it did")
                .gives::<ExplainedBody>(200, "As it stands.")
                .refuses(&[NO_DELIVERY]),
        ),
        post("/v1/deliveries/{id}/redeliver", DEPLOY, hooks::redeliver, redo),
    ]
}

/// The forge's own business.
#[derive(utoipa::ToSchema)]
#[schema(as = WebhookPayload, value_type = Object)]
#[expect(dead_code, reason = "only its schema is used")]
struct Payload(serde_json::Value);
