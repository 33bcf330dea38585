//! What happens to a request on its way in.

use crate::{
    harness::{Store, TOKEN, World, request, soon, told, until},
    scheduler::{publish_key, secrets_of},
};
use bus::Bus;
use proto::{
    RunId, ShardNo,
    message::{InboxMessage, RunSpec, Trigger},
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn id_of(answer: &Value) -> RunId {
    answer["deployment_id"].as_str().expect("an id").parse().expect("a run id")
}

/// Every trigger that was stored so far.
pub(crate) async fn triggers(bus: &Bus) -> Vec<Trigger> {
    let mut deliveries = bus.inbox().consume(ShardNo(0)).await.expect("a consumer");
    // Behind everything else: when it comes, the rest has come.
    let last = RunId::fresh(ShardNo(0));
    let mark = crate::scheduler::view(last);
    let mark = Trigger {
        run: last,
        accepted_at: mark.accepted_at,
        by: "mark".into(),
        spec: mark.spec,
        pool: mark.pool,
        has_secrets: false,
        request_digest: None,
        traceparent: None,
    };
    bus.inbox().publish(last, &InboxMessage::Trigger(Box::new(mark)), &last.to_string(), None).await.expect("stored");
    let mut found = Vec::new();
    loop {
        let delivery = soon(deliveries.next()).await.expect("a message").expect("a connection");
        let Ok(InboxMessage::Trigger(trigger)) = &delivery.message else { panic!("{delivery:?}") };
        if trigger.run == last {
            return found;
        }
        found.push((**trigger).clone());
        delivery.ack().await.expect("acknowledged");
    }
}

#[tokio::test]
async fn an_accepted_request_is_stored_with_its_secrets_sealed() {
    let world = World::start().await;
    let (status, answer) = told(world.gateway.post("/deploy").json(&request())).await;
    assert_eq!(status, 202, "{answer}");
    let run = id_of(&answer);
    assert_eq!(answer, json!({ "deployment_id": run, "status": "running", "message": "Deployment started" }));
    let trigger = world.store.bus.inbox().first_trigger(run).await.unwrap().expect("stored");
    assert!(trigger.has_secrets && trigger.by == "admin" && trigger.request_digest.is_none());
    assert!(matches!(&trigger.spec, RunSpec::Terraform(spec) if spec.env_names == ["TF_VAR_password"]));
    assert!(!serde_json::to_string(&trigger).unwrap().contains("canary"));
    let secrets = secrets_of(&world.store.bus, run).await.expect("a bundle");
    assert_eq!(secrets.env["TF_VAR_password"].expose(), "canary-secret");
    assert_eq!(secrets.run_key.expose().len(), 64);
}

#[tokio::test]
async fn bad_input_is_told_with_its_field_and_nothing_is_stored() {
    let world = World::start().await;
    let text = |body: &str| world.gateway.post("/deploy").header(header::CONTENT_TYPE, "application/json").body(body.to_owned());
    for (body, field) in [
        ("{}", "tool"),
        (r#"{"tool":"terraform","tool":"tofu"}"#, "tool"),
        (r#"{"tool":"terraform","role":"admin"}"#, "role"),
        (r#"{"tool":"terraform","git_auth":{"type":"http","pass":"canary"}}"#, "git_auth.pass"),
        (r#"{"tool":"terraform","timeout":"canary"}"#, "timeout"),
        (r#"{"tool":"terraform","env_vars":{"A":"canary","A":"b"}}"#, "env_vars.A"),
    ] {
        let (status, answer) = told(text(body)).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{body}: {answer}");
        assert!(!answer.to_string().contains("canary"), "{answer}");
    }
    for (change, field) in [
        (json!({ "tool": "pulumi" }), "tool"),
        (json!({ "git_url": "https://elsewhere.example/x" }), "git_url"),
        (json!({ "git_url": "http://169.254.169.254/latest" }), "git_url"),
        (json!({ "git_ref": "--upload-pack=x" }), "git_ref"),
        (json!({ "path": "../x" }), "path"),
        (json!({ "plan_flags": "-out=x" }), "plan_flags"),
        (json!({ "timeout": 0 }), "timeout"),
        (json!({ "env_vars": { "LD_PRELOAD": "canary" } }), "env_vars"),
        (json!({ "pool": "no.pool" }), "pool"),
    ] {
        let mut body = request();
        body[change.as_object().unwrap().keys().next().unwrap()] = change.as_object().unwrap().values().next().unwrap().clone();
        let (status, answer) = told(world.gateway.post("/deploy").json(&body)).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{change}: {answer}");
        assert!(!answer.to_string().contains("canary"), "{answer}");
    }
    let mut body = request();
    body["tool"] = json!("x");
    body["timeout"] = json!(-1);
    body["pool"] = json!("");
    let (_, answer) = told(world.gateway.post("/deploy").json(&body)).await;
    let fields: BTreeSet<&str> = answer["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, BTreeSet::from(["pool", "timeout", "tool"]));
    assert_eq!(triggers(&world.store.bus).await, []);
}

#[tokio::test]
async fn bodies_are_bounded_and_never_decompressed() {
    let world = World::with(|settings| settings.gateway.body_limit_bytes = 4096).await;
    let post = || world.gateway.post("/deploy").header(header::CONTENT_TYPE, "application/json");
    let chunks = || futures_util::stream::iter((0..9).map(|_| Ok::<_, std::io::Error>(vec![b' '; 512])));
    let gateway = &world.gateway;
    for (request, status, code) in [
        (post().body(" ".repeat(4097)), 413, "body_too_large"),
        (post().body(reqwest::Body::wrap_stream(chunks())), 413, "body_too_large"),
        (post().header(header::CONTENT_ENCODING, "gzip").body("x"), 415, "content_encoding"),
        (gateway.post("/deploy").body("{}"), 415, "not_json"),
        (gateway.post("/deploy").header(header::CONTENT_TYPE, "text/plain").body("{}"), 415, "not_json"),
        (post().body("["), 400, "bad_input"),
        (post().body(""), 400, "bad_input"),
    ] {
        let (told_status, answer) = told(request).await;
        assert_eq!((told_status, answer["code"].as_str()), (status, Some(code)), "{answer}");
    }
}

#[tokio::test]
async fn a_repeat_gets_the_same_run_at_any_gateway_and_another_body_is_refused() {
    let world = World::start().await;
    let other_gateway = world.store.gateway(|_| {}).await;
    let first = world.gateway.post("/deploy").header("idempotency-key", "k1").json(&request()).send().await.unwrap();
    assert_eq!(first.headers().get("idempotency-replayed"), None);
    let first = crate::harness::json(first).await;
    for gateway in [&world.gateway, &other_gateway] {
        let again = gateway.post("/deploy").header("idempotency-key", "k1").json(&request()).send().await.unwrap();
        assert_eq!(again.status(), 202);
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(crate::harness::json(again).await, first);
    }
    for change in [json!({ "git_ref": "other" }), json!({ "git_url": "https://git.example/acme/other.git" })] {
        let mut body = request();
        let (field, value) = change.as_object().unwrap().iter().next().unwrap();
        body[field] = value.clone();
        let (status, answer) = told(other_gateway.post("/deploy").header("idempotency-key", "k1").json(&body)).await;
        assert_eq!((status, answer["code"].as_str()), (422, Some("idempotency_key_reused")));
    }
    let (_, second) = told(world.gateway.post("/deploy").header("idempotency-key", "k2").json(&request())).await;
    assert_ne!(second["deployment_id"], first["deployment_id"]);
    let (status, answer) = told(world.gateway.post("/deploy").header("idempotency-key", "a b").json(&request())).await;
    assert_eq!((status, answer["field"].as_str()), (400, Some("Idempotency-Key")));
    let runs: BTreeSet<RunId> = triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect();
    assert_eq!(runs, BTreeSet::from([id_of(&first), id_of(&second)]));
}

#[tokio::test]
async fn of_many_at_once_under_one_key_one_run_comes_and_with_its_own_secrets() {
    let world = World::start().await;
    let body = |secret: &str| {
        let mut body = request();
        body["env_vars"]["TF_VAR_password"] = json!(secret);
        body
    };
    let bodies = [body("one"), body("two"), body("one"), body("two"), body("one"), body("two"), body("one"), body("two")];
    let requests = bodies.iter().map(|body| told(world.gateway.post("/deploy").header("idempotency-key", "k").json(body)));
    let answers = futures_util::future::join_all(requests).await;
    let accepted: BTreeSet<RunId> = answers.iter().filter(|(status, _)| *status == 202).map(|(_, answer)| id_of(answer)).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    let run = *accepted.first().unwrap();
    let secret = secrets_of(&world.store.bus, run).await.expect("a bundle").env["TF_VAR_password"].expose().to_owned();
    for ((status, _), body) in answers.iter().zip(&bodies) {
        let own = body["env_vars"]["TF_VAR_password"] == json!(secret);
        assert_eq!(*status, if own { 202 } else { 422 }, "{answers:?}");
    }
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
}

#[tokio::test]
async fn a_bundle_left_behind_by_a_dead_gateway_is_used_by_the_repeat() {
    let (dead, world) = (World::start().await, World::start().await);
    let send = |world: &World| world.gateway.post("/deploy").header("idempotency-key", "k").json(&request());
    let (_, answer) = told(send(&dead)).await;
    let run = id_of(&answer);
    // As if the gateway had died before it published the trigger: the bundle is there, and nothing else.
    let bundle = dead.store.bus.sealed().get(run).await.unwrap().expect("a bundle");
    world.store.bus.sealed().put(run, &bundle).await.unwrap();
    let (status, answer) = told(send(&world)).await;
    assert_eq!((status, id_of(&answer)), (202, run));
    assert_eq!(world.store.bus.sealed().get(run).await.unwrap(), Some(bundle));
    assert!(world.store.bus.inbox().first_trigger(run).await.unwrap().is_some());
    let before = secrets_of(&dead.store.bus, run).await.unwrap().run_key;
    assert_eq!(secrets_of(&world.store.bus, run).await.unwrap().run_key, before);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_the_repeat_works_when_it_is_back() {
    let mut world = World::start().await;
    world.store.kill().await;
    let send = |world: &World| world.gateway.post("/deploy").header("idempotency-key", "k").json(&request());
    for path in ["/v1/runs/0192f0c1-7e3a-7abc-8def-0123456789ab", "/v1/locks"] {
        let (status, answer) = told(world.gateway.get(path)).await;
        assert_eq!((status, answer["code"].as_str()), (503, Some("unavailable")), "{path}");
    }
    let refused = soon(send(&world).send()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    world.store.start_again().await;
    until(async || told(send(&world)).await.0 == 202).await;
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
}

#[tokio::test]
async fn without_a_scheduler_s_key_nothing_is_accepted() {
    let store = Store::start().await;
    let gateway = store.gateway(|_| {}).await;
    let (status, answer) = told(gateway.post("/deploy").json(&request())).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("no_scheduler")));
    publish_key(&store.bus).await;
    assert_eq!(told(gateway.post("/deploy").json(&request())).await.0, 202);
}

#[tokio::test]
async fn a_probe_needs_no_scheduler_s_key_and_has_no_secrets() {
    let store = Store::start().await;
    let gateway = store.gateway(|_| {}).await;
    for (body, echo) in [(Value::Null, None), (json!({ "echo": "hello" }), Some("hello"))] {
        let request = gateway.post("/v1/probes");
        let (status, answer) = told(if body.is_null() { request } else { request.json(&body) }).await;
        assert_eq!(status, 202, "{answer}");
        let run: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
        let trigger = store.bus.inbox().first_trigger(run).await.unwrap().expect("stored");
        assert!(!trigger.has_secrets);
        assert!(matches!(&trigger.spec, RunSpec::Probe(spec) if spec.echo.as_deref() == echo));
    }
}

#[tokio::test]
async fn the_caller_s_trace_goes_with_the_run() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (header, expected) in [(trace, Some(trace)), ("00-nonsense", None)] {
        let request = world.gateway.bare(Method::POST, "/v1/probes").bearer_auth(TOKEN).header("traceparent", header);
        let (_, answer) = told(request).await;
        let run: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
        let trigger = world.store.bus.inbox().first_trigger(run).await.unwrap().expect("stored");
        assert_eq!(trigger.traceparent.as_deref(), expected);
    }
}
