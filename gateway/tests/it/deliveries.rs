//! Deliveries as people see them: listed, explained, done once more.

use crate::{
    admission::triggers,
    harness::{World, told},
    hooks::{SECRET, followed, hex_mark, push},
    scheduler::{job, show, view},
};
use futures_util::future::LocalBoxFuture;
use proto::{
    RunId,
    message::RunSpec,
    sync::{Compared, Skipped, SyncWanted},
    view::{RunView, SyncJobView, SyncsView},
};
use reqwest::{Method, header};
use serde_json::{Value, json};

const A: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
const B: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

fn world() -> LocalBoxFuture<'static, World> {
    World::with(|settings| settings.sources = vec![followed("platform"), followed("apps")])
}

async fn deliver(world: &World, source: &str, event: &str, body: &Value, id: &str) -> Value {
    let body = body.to_string().into_bytes();
    let request = world.gateway.bare(Method::POST, &format!("/hooks/{source}")).header(header::CONTENT_TYPE, "application/json");
    let request = request.header("x-github-event", event).header("x-github-delivery", id);
    let (status, answer) = told(request.header("x-hub-signature-256", format!("sha256={}", hex_mark(SECRET, &body))).body(body)).await;
    assert_eq!(status, 202, "{answer}");
    answer
}

fn ids(page: &Value) -> Vec<String> {
    page["deliveries"].as_array().unwrap().iter().map(|delivery| delivery["forge_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_in_pages_and_by_source_and_verdict() {
    let world = world().await;
    for n in 0..5 {
        deliver(&world, if n % 2 == 0 { "platform" } else { "apps" }, "ping", &json!({"n": n}), &format!("d{n}")).await;
    }
    deliver(&world, "platform", "push", &push(B, &[]), "d5").await;
    let list = |query: &str| told(world.gateway.get(&format!("/v1/deliveries{query}")));
    let (_, first) = list("?limit=4").await;
    assert_eq!(ids(&first), ["d5", "d4", "d3", "d2"]);
    let (_, rest) = list(&format!("?limit=4&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["d1".to_owned(), "d0".to_owned()], &Value::Null));
    assert_eq!(ids(&list("?source=apps").await.1), ["d3", "d1"]);
    assert_eq!(ids(&list("?verdict=accepted,refused").await.1), ["d5"]);
    assert_eq!(list("?verdict=good").await.0, 400);
    assert_eq!(list("?source=*").await.0, 400);
    assert_eq!(list("?order=up").await.0, 400);
    assert_eq!(told(world.gateway.bare(Method::GET, "/v1/deliveries")).await.0, 401);
}

#[tokio::test]
async fn a_delivery_explains_what_ran_and_why_nothing_did() {
    let world = world().await;
    let ignored = deliver(&world, "platform", "ping", &json!({}), "d1").await;
    let (_, told_of) = told(world.gateway.get(&format!("/v1/deliveries/{}", ignored["delivery"].as_str().unwrap()))).await;
    let explain = &told_of["explain"];
    assert_eq!((&explain["verified"], &explain["matched"], &explain["run"]), (&json!(true), &json!(false), &Value::Null), "{told_of}");
    let accepted = deliver(&world, "platform", "push", &push(B, &["platform/01.postgres/x", "bootstrap/05.vault/x"]), "d2").await;
    let path = format!("/v1/deliveries/{}", accepted["delivery"].as_str().unwrap());
    let run: RunId = accepted["run_id"].as_str().unwrap().parse().unwrap();
    assert!(told(world.gateway.get(&path)).await.1["explain"]["text"].as_str().unwrap().contains("has not been looked at yet"));
    let trigger = world.store.bus.inbox().first_trigger(run).await.unwrap().unwrap();
    let mut shown = RunView { spec: trigger.spec, ..view(run) };
    show(&world.store.bus, &mut shown, |view| {
        let mut of = job(1, "sync", "running");
        of.sync = Some(SyncJobView {
            service: "platform/postgres".parse().unwrap(),
            task: "postgres.sync".into(),
            reasons: vec!["its own folder: platform/01.postgres/x".into()],
            action: None,
            details: String::new(),
            failure: None,
            superseded_by: None,
        });
        view.jobs = vec![job(0, "select", "succeeded"), of];
        view.syncs = Some(SyncsView {
            compared: Some(Compared::Diff { before: A.parse().unwrap() }),
            changed_files: 2,
            skipped: vec![Skipped { what: "bootstrap/vault".into(), reason: "deployed by hand".into() }],
            ..SyncsView::default()
        });
    })
    .await;
    let (_, told_of) = told(world.gateway.get(&path)).await;
    let run = &told_of["explain"]["run"];
    assert_eq!(run["services"][0]["reasons"], json!(["its own folder: platform/01.postgres/x"]), "{told_of}");
    assert_eq!((&run["not_chosen"][0]["reason"], &run["changed_files"]), (&json!("deployed by hand"), &json!(2)));
    assert!(told_of["explain"]["text"].as_str().unwrap().contains("One service was touched"));
    for unknown in ["platform.0f.9a", "nonsense", "a.b.c.d", "platform.refused.99"] {
        let (status, answer) = told(world.gateway.get(&format!("/v1/deliveries/{unknown}"))).await;
        assert_eq!((status, &answer["code"]), (404, &json!("delivery_not_found")), "{unknown}");
    }
}

#[tokio::test]
async fn a_delivery_is_done_once_more_by_whoever_may() {
    let world = world().await;
    let first = deliver(&world, "platform", "push", &push(B, &["libs/x"]), "d1").await;
    let path = format!("/v1/deliveries/{}/redeliver", first["delivery"].as_str().unwrap());
    let made = told(world.gateway.post("/v1/keys").json(&json!({"name": "ann", "scopes": ["deploy"]}))).await.1;
    let ann = |path: &str| world.gateway.bare(Method::POST, path).bearer_auth(made["key"].as_str().unwrap());
    let (status, again) = told(ann(&path)).await;
    assert_eq!(status, 202, "{again}");
    assert_ne!(again["run_id"], first["run_id"]);
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.len(), 2);
    let RunSpec::Sync(spec) = &stored[1].spec else { panic!("{stored:?}") };
    let SyncWanted::Changed(pushed) = &spec.wanted else { panic!("{spec:?}") };
    assert_eq!((stored[1].by.as_str(), spec.triggered_by.as_str(), spec.delivery.as_deref()), ("ann", "ann", again["delivery"].as_str()));
    assert_eq!((pushed.after.as_str(), pushed.before.as_ref().map(proto::git::CommitId::as_str), pushed.files.len()), (B, Some(A), 0));
    let (_, record) = told(world.gateway.get(&format!("/v1/deliveries/{}", again["delivery"].as_str().unwrap()))).await;
    assert_eq!((&record["verdict"], &record["by"], &record["of"]), (&json!("redelivered"), &json!("ann"), &first["delivery"]));
    let twice = |_| told(ann(&path).header("idempotency-key", "k1"));
    let (one, two) = (twice(1).await.1, twice(2).await.1);
    assert_eq!((&one["run_id"], &one["delivery"]), (&two["run_id"], &two["delivery"]));
    let ping = deliver(&world, "platform", "ping", &json!({}), "d2").await;
    let (status, answer) = told(ann(&format!("/v1/deliveries/{}/redeliver", ping["delivery"].as_str().unwrap()))).await;
    assert_eq!((status, &answer["code"]), (409, &json!("nothing_to_redo")), "{answer}");
    let reader = told(world.gateway.post("/v1/keys").json(&json!({"name": "r", "scopes": ["read"]}))).await.1;
    assert_eq!(told(world.gateway.bare(Method::POST, &path).bearer_auth(reader["key"].as_str().unwrap())).await.0, 403);
    assert_eq!(told(ann("/v1/deliveries/platform.0f.9a/redeliver")).await.0, 404);
}
