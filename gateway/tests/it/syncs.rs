//! `POST /sync`: who may ask, what may be asked, and stamps, which are good once.

use crate::{
    admission::triggers,
    harness::{Gateway, World, told, until},
    hooks::{SECRET, followed, hex_mark},
};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use proto::{
    RunId,
    message::{RunSpec, Trigger},
    sync::{SourceState, SyncSpec, SyncWanted},
};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};

const NONCE: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn world() -> LocalBoxFuture<'static, World> {
    World::with(|settings| settings.sources = vec![followed("platform")])
}

pub(crate) fn bare(gateway: &Gateway, path: &str, body: &Value) -> RequestBuilder {
    gateway.bare(Method::POST, path).header(header::CONTENT_TYPE, "application/json").body(body.to_string())
}

pub(crate) fn signed(gateway: &Gateway, path: &str, body: &Value) -> RequestBuilder {
    bare(gateway, path, body).header("x-hub-signature-256", format!("sha256={}", hex_mark(SECRET, body.to_string().as_bytes())))
}

fn stamped(gateway: &Gateway, path: &str, body: &Value, at: i64, nonce: &str) -> RequestBuilder {
    let mark = hex_mark(SECRET, format!("{at}.{nonce}.{body}").as_bytes());
    let request = bare(gateway, path, body).header("x-hub-signature-256", format!("sha256={mark}"));
    request.header("x-iac-timestamp", at.to_string()).header("x-iac-nonce", nonce)
}

pub(crate) fn spec_of(trigger: &Trigger) -> &SyncSpec {
    let RunSpec::Sync(spec) = &trigger.spec else { panic!("{trigger:?}") };
    spec
}

pub(crate) fn run_of(answer: &Value) -> RunId {
    answer["run_id"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

async fn know(world: &World, services: &[&str]) {
    let state = SourceState {
        source: "platform".parse().unwrap(),
        run: RunId::fresh(proto::ShardNo(0)),
        at: Timestamp::now(),
        commit: "a".repeat(40).parse().unwrap(),
        services: services.iter().map(|id| id.parse().unwrap()).collect(),
        mapping: None,
    };
    world.store.bus.services().put_source(&state, 0).await.unwrap();
}

#[tokio::test]
async fn a_sync_is_asked_for_with_a_signature_or_a_key() {
    let world = world().await;
    let made = told(world.gateway.post("/v1/keys").json(&json!({"name": "ci", "scopes": ["deploy"]}))).await.1;
    let reader = told(world.gateway.post("/v1/keys").json(&json!({"name": "reader", "scopes": ["read"]}))).await.1;
    let (all, some) = (json!({"all": true}), json!({"services": ["platform/postgres", "bootstrap/vault"]}));
    let (status, answer) = told(signed(&world.gateway, "/sync", &all)).await;
    assert_eq!((status, &answer["status"], &answer["services"]), (202, &json!("accepted"), &json!(["__all__"])), "{answer}");
    let (status, answer) = told(bare(&world.gateway, "/sync", &some).bearer_auth(made["key"].as_str().unwrap())).await;
    assert_eq!((status, &answer["services"]), (202, &json!(["platform/postgres"])), "{answer}");
    assert_eq!(answer["skipped"][0]["what"], json!("bootstrap/vault"));
    let stored = triggers(&world.store.bus).await;
    let by: Vec<_> = stored.iter().map(|trigger| trigger.by.split('/').next().unwrap()).collect();
    assert_eq!(by, ["signed", "ci"]);
    assert_eq!(spec_of(&stored[0]).wanted, SyncWanted::All);
    assert_eq!(spec_of(&stored[1]).wanted, SyncWanted::Named { names: vec!["platform/postgres".parse().unwrap()] });
    assert_eq!((spec_of(&stored[1]).environment.as_str(), spec_of(&stored[1]).git_ref.as_str()), ("staging", "refs/heads/main"));
    for (request, status, error) in [
        (bare(&world.gateway, "/sync", &all), 401, "Invalid signature"),
        (bare(&world.gateway, "/sync", &all).header("x-hub-signature-256", "sha256=00"), 401, "Invalid signature"),
        (signed(&world.gateway, "/sync", &all).body("{\"all\": true}"), 401, "Invalid signature"),
        (bare(&world.gateway, "/sync", &all).bearer_auth("wrong"), 401, "the key is not valid"),
        (bare(&world.gateway, "/sync", &all).bearer_auth(reader["key"].as_str().unwrap()), 403, "the key lacks the scope `deploy`"),
        (
            bare(&world.gateway, "/sync", &all).bearer_auth(made["key"].as_str().unwrap()).header("x-hub-signature-256", "sha256=00"),
            401,
            "Invalid signature",
        ),
    ] {
        let (got, answer) = told(request).await;
        assert!(got == status && answer["error"].as_str().is_some_and(|text| text.starts_with(error)), "{status} {error}: {got} {answer}");
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    // Which one of a second leaves a trace is a matter of time; that one does is not.
    until(async || {
        let (_, page) = told(world.gateway.get("/v1/deliveries?verdict=refused")).await;
        page["deliveries"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|one| one["event"] == "POST /sync"))
    })
    .await;
}

#[tokio::test]
async fn what_a_sync_cannot_be_of_is_said() {
    let world = world().await;
    know(&world, &["platform/postgres"]).await;
    for (body, status, error) in [
        (json!([]), 400, "JSON object required"),
        (json!({}), 400, "No services specified"),
        (json!({"services": []}), 400, "No services specified"),
        (json!({"services": ["postgres"]}), 400, "services: `postgres` is not a service"),
        (json!({"services": ["platform/postgres", "platform/nothing"]}), 400, "services: there is no platform/nothing at commit aaaaaaaa"),
    ] {
        let (got, answer) = told(signed(&world.gateway, "/sync", &body)).await;
        assert!(got == status && answer["error"].as_str().is_some_and(|text| text.starts_with(error)), "{body}: {got} {answer}");
    }
    let (status, answer) = told(signed(&world.gateway, "/sync", &json!({"services": ["finance_report/app"]}))).await;
    assert_eq!((status, &answer["status"], &answer["services"]), (200, &json!("ignored"), &json!([])), "{answer}");
    assert_eq!(triggers(&world.store.bus).await, []);
    let none = World::start().await;
    let (status, answer) = told(none.gateway.post("/sync").json(&json!({"all": true}))).await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_source")));
    assert_eq!(told(signed(&none.gateway, "/sync", &json!({"all": true}))).await.0, 401);
}

#[tokio::test]
async fn a_stamp_is_good_once_at_any_gateway() {
    let world = world().await;
    let other = world.store.gateway(|settings| {
        settings.sources = vec![followed("platform")];
        settings.sync.require_stamped_signatures = true;
    });
    let other = other.await;
    let (body, now) = (json!({"all": true}), Timestamp::now().as_second());
    assert_eq!(told(stamped(&world.gateway, "/sync", &body, now, NONCE)).await.0, 202);
    for gateway in [&world.gateway, &other] {
        let (status, answer) = told(stamped(gateway, "/sync", &body, now, NONCE)).await;
        assert_eq!((status, &answer["error"]), (401, &json!("Invalid signature")), "sent again");
    }
    assert_eq!(told(stamped(&other, "/sync", &body, now, "another-nonce")).await.0, 202);
    assert_eq!(told(stamped(&other, "/sync", &body, now - 1000, "a-third-nonce")).await.0, 401);
    assert_eq!(told(signed(&other, "/sync", &body)).await.0, 401, "it requires a stamp");
    assert_eq!(triggers(&world.store.bus).await.len(), 2);
}
