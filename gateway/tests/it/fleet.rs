//! Locks, workers, queues.

use crate::{
    harness::{World, soon, told},
    scheduler::{at, attempt_id, run_id},
};
use bus::Held;
use jiff::Timestamp;
use proto::{
    git::GitUrl,
    lock::{LockHolder, LockKey, LockRecord, LockWaiter},
    message::{Heartbeat, JobOrder},
    path::RepoPath,
};
use serde_json::json;

#[tokio::test]
async fn locks_show_holder_and_line_and_free_ones_are_left_out() {
    let world = World::start().await;
    let url: GitUrl = "https://git.example/acme/infra".parse().unwrap();
    let key = |dir: &str| LockKey::directory(&url, &dir.parse::<RepoPath>().unwrap(), "default");
    let (a, b) = (run_id("a"), run_id("b"));
    let held = LockRecord {
        key: key("net"),
        holder: Some(LockHolder { run: a, since: at(1) }),
        queue: vec![LockWaiter { run: b, since: at(2), wants: vec![key("net")] }],
    };
    let free = LockRecord { key: key("app"), holder: None, queue: Vec::new() };
    world.store.bus.locks().write_all(&[Held { value: held, revision: 0 }, Held { value: free, revision: 0 }]).await.unwrap();
    let (status, answer) = told(world.gateway.get("/v1/locks")).await;
    let expected = json!({ "locks": [{
        "key": "git.example/acme/infra/net/default",
        "holder": { "run": a, "since": at(1) },
        "queue": [{ "run": b, "since": at(2), "position": 1 }],
    }]});
    assert_eq!((status, answer), (200, expected));
}

#[tokio::test]
async fn workers_show_their_heartbeat_and_its_age() {
    let world = World::start().await;
    let heartbeat = Heartbeat {
        worker: "w-1".parse().unwrap(),
        pool: "gpu".parse().unwrap(),
        at: Timestamp::now(),
        started_at: at(0),
        version: "1".into(),
        slots: 2,
        running: vec![attempt_id(run_id("a"), 0, 1)],
        draining: false,
        tools: vec!["terraform 1.11.4".into()],
    };
    world.store.bus.fleet().beat(&heartbeat).await.unwrap();
    let (_, answer) = told(world.gateway.get("/v1/workers")).await;
    let worker = &answer["workers"][0];
    assert_eq!((&worker["worker"], &worker["slots"], &worker["tools"][0]), (&json!("w-1"), &json!(2), &json!("terraform 1.11.4")));
    assert!(worker["age_seconds"].is_u64());
}

#[tokio::test]
async fn queues_count_what_no_worker_has_begun() {
    let world = World::start().await;
    let order = JobOrder { id: attempt_id(run_id("a"), 0, 1), pool: "default".parse().unwrap(), action: "probe".into(), traceparent: None };
    world.store.bus.work().publish(&order).await.unwrap();
    let (status, answer) = told(world.gateway.get("/v1/queues")).await;
    assert_eq!((status, answer), (200, json!({ "queues": [{ "pool": "default", "depth": 1 }] })));
}

#[tokio::test]
async fn dead_letters_are_listed_for_administrators_without_what_is_in_them() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let (_, probe) = told(world.gateway.post("/v1/probes").json(&json!({ "echo": "canary" }))).await;
    let mut inbox = bus.inbox().consume(proto::ShardNo(0)).await.unwrap();
    let delivery = soon(inbox.next()).await.unwrap().unwrap();
    for _ in 0..2 {
        delivery.bury("nobody can handle it").await.unwrap();
    }
    let (status, list) = told(world.gateway.get("/v1/dead-letters")).await;
    assert_eq!((status, list["dead_letters"].as_array().map(Vec::len)), (200, Some(1)), "{list}");
    let dead = &list["dead_letters"][0];
    let subject = format!("inbox.0.{}", probe["run_id"].as_str().unwrap());
    assert_eq!((dead["stream"].as_str(), dead["subject"].as_str()), (Some("INBOX"), Some(subject.as_str())));
    assert!(dead["why"] == "nobody can handle it" && dead["bytes"].as_u64() > Some(0) && !list.to_string().contains("canary"), "{list}");
    let (status, _) = told(world.gateway.get("/v1/dead-letters?after=x")).await;
    assert_eq!(status, 400);
    let (_, rest) = told(world.gateway.get(&format!("/v1/dead-letters?after={}", dead["place"]))).await;
    assert_eq!((rest["dead_letters"].as_array().map(Vec::len), rest["next_after"].as_u64()), (Some(0), None));
}
