//! Both doors of orders: who is let in, what is stored for whom, and what is not.

use crate::{
    admission::triggers,
    harness::{TOKEN, World, told},
    scheduler::open_page,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::{Secret, message::RunSpec, orders::OrderBundle};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use service::settings;
use sha2::Sha256;

const WEBHOOK_SECRET: &str = "the-secret-of-the-webhook-of-these-tests";

fn world() -> futures_util::future::LocalBoxFuture<'static, World> {
    World::with(|settings| {
        settings.gateway.github.webhook_secret = Some(settings::Secret::new(WEBHOOK_SECRET));
        settings.gateway.callback_hosts = vec!["hooks.example".to_owned()];
        settings.gateway.callback_secret = Some(settings::Secret::new("a-secret-that-signs-callbacks"));
        settings.gateway.max_orders_body = 256 * 1024;
    })
}

fn job() -> Value {
    json!({
        "username": "ann", "callbacks": ["https://hooks.example/?permit=canary"],
        "orders": [
            {"order_name": "a", "cmds": ["echo canary"], "timeout": 60, "env_vars": {"PASSWORD": "canary"}},
            {"order_name": "b", "cmds": ["true"], "timeout": 60, "dependencies": ["a"]},
        ]
    })
}

fn envelope(job: &Value) -> Vec<u8> {
    json!({"job_parameters_b64": STANDARD.encode(job.to_string())}).to_string().into_bytes()
}

fn webhook(world: &World, body: Vec<u8>) -> RequestBuilder {
    world.gateway.bare(Method::POST, "/webhook").header(header::CONTENT_TYPE, "application/json").body(body)
}

fn signed(world: &World, body: Vec<u8>, secret: &str) -> RequestBuilder {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    webhook(world, body).header("x-hub-signature-256", signature)
}

#[tokio::test]
async fn a_job_is_stored_with_all_its_secrets_sealed() {
    let world = world().await;
    let (status, answer) = told(world.gateway.post("/v1/orders").json(&job())).await;
    assert_eq!((status, &answer["orders"]), (202, &json!(2)), "{answer}");
    let run = answer["run_id"].as_str().unwrap().parse().unwrap();
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let trigger = &stored[0];
    assert!(!serde_json::to_string(trigger).unwrap().contains("canary") && trigger.has_secrets && trigger.by == "admin");
    let RunSpec::Orders(spec) = &trigger.spec else { panic!("{trigger:?}") };
    assert_eq!((spec.graph.0.len(), spec.page_starts.as_slice(), spec.callbacks.len()), (2, [0].as_slice(), 1));
    let sealed = world.store.bus.sealed().page(run, 0).await.unwrap().expect("a page");
    assert!(!serde_json::to_string(&sealed).unwrap().contains("canary"));
    let bundles: Vec<OrderBundle> = proto::codec::decode(&open_page(&sealed, run)).unwrap();
    assert_eq!((bundles.len(), bundles[0].cmds.as_slice()), (2, ["echo canary".to_owned()].as_slice()));
    assert_eq!(bundles[0].env_vars["PASSWORD"], Secret::new("canary"));
    assert_eq!(world.store.bus.sealed().page(run, 1).await.unwrap(), None);
}

#[tokio::test]
async fn the_webhook_wants_a_key_or_a_signature_and_never_believes_a_wrong_one() {
    let world = world().await;
    let body = || envelope(&job());
    let made = told(world.gateway.post("/v1/keys").json(&json!({"name": "reader", "scopes": ["read"]}))).await.1;
    let reader = made["key"].as_str().unwrap();
    for (request, expected, error) in [
        (webhook(&world, body()), 401, "key"),
        (webhook(&world, body()).bearer_auth("wrong"), 401, "key"),
        (webhook(&world, body()).bearer_auth(reader), 403, "the key lacks the scope `deploy`"),
        (signed(&world, body(), "another-secret-than-the-one-of-the-hook"), 401, "signature"),
        (signed(&world, body(), "another-secret-than-the-one-of-the-hook").bearer_auth(TOKEN), 401, "signature"),
        (webhook(&world, body()).header("x-hub-signature-256", "sha1=abc"), 401, "signature"),
        (signed(&world, br#"{"action": "opened"}"#.to_vec(), WEBHOOK_SECRET), 404, "events of a forge are not taken here"),
        (webhook(&world, Vec::new()).bearer_auth(TOKEN), 400, "Missing job_parameters_b64"),
        (webhook(&world, br#"{"job_parameters_b64": "%%%"}"#.to_vec()).bearer_auth(TOKEN), 400, "not base64"),
        (webhook(&world, vec![b' '; 300 * 1024]).bearer_auth(TOKEN), 413, "max_orders_body"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["status"]), (expected, &json!("error")), "{answer}");
        assert!(answer["error"].as_str().is_some_and(|text| text.contains(error)), "{error}: {answer}");
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    assert_eq!(world.store.bus.sealed().list().await.unwrap(), []);

    let (status, answer) = told(signed(&world, body(), WEBHOOK_SECRET)).await;
    assert_eq!((status, &answer["status"]), (200, &json!("ok")), "{answer}");
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.iter().map(|trigger| trigger.by.as_str()).collect::<Vec<_>>(), ["signed webhook"]);
}

#[tokio::test]
async fn every_other_method_is_told_that_it_is_not_allowed() {
    let world = world().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = world.gateway.request(method.clone(), "/webhook").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()[header::ALLOW].to_str().unwrap()), (405, "POST"));
        let told = crate::harness::json(answer).await;
        assert_eq!(told, json!({"status": "error", "error": format!("Method {method} not allowed")}));
    }
}

#[tokio::test]
async fn twins_under_one_run_id_are_one_run_with_one_set_of_pages() {
    let world = world().await;
    let other = world.store.gateway(|settings| {
        settings.gateway.callback_hosts = vec!["hooks.example".to_owned()];
        settings.gateway.callback_secret = Some(settings::Secret::new("a-secret-that-signs-callbacks"));
    });
    let other = other.await;
    let mut body = job();
    body["run_id"] = json!("0192f0c1-7e3a-7abc-8def-0123456789ab");
    let twins = (0..8).map(|n| {
        let gateway = if n % 2 == 0 { &world.gateway } else { &other };
        told(gateway.post("/v1/orders").json(&body))
    });
    let answers = futures_util::future::join_all(twins).await;
    assert!(answers.iter().all(|(status, answer)| *status == 202 && answer["run_id"] == answers[0].1["run_id"]), "{answers:?}");
    body["username"] = json!("bob");
    let (status, answer) = told(other.post("/v1/orders").json(&body)).await;
    assert_eq!((status, &answer["code"]), (422, &json!("idempotency_key_reused")), "{answer}");
    let run = answers[0].1["run_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let sealed = world.store.bus.sealed().page(run, 0).await.unwrap().expect("a page");
    let bundles: Vec<OrderBundle> = proto::codec::decode(&open_page(&sealed, run)).unwrap();
    assert_eq!(bundles.len(), 2);
}

#[tokio::test]
async fn an_address_that_may_not_be_called_is_refused_before_anything_is_stored() {
    let world = world().await;
    let mut body = job();
    body["callbacks"] = json!(["https://elsewhere.example/?permit=canary", "PUT https://hooks.example:444/?permit=canary"]);
    let (status, answer) = told(world.gateway.post("/v1/orders").json(&body)).await;
    let fields: Vec<&Value> = answer["errors"].as_array().into_iter().flatten().map(|error| &error["field"]).collect();
    assert_eq!((status, fields), (400, vec![&json!("callbacks"); 2]), "{answer}");
    assert!(!answer.to_string().contains("canary"), "an address may be its own permission: {answer}");
    assert_eq!(world.store.bus.sealed().list().await.unwrap(), []);
    assert_eq!(triggers(&world.store.bus).await, []);
}
