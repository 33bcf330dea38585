//! How a run and its orders ended, for whoever may know only that.

use crate::{
    harness::{World, soon, told},
    play::{Play, order, orders},
};
use proto::RunId;
use reqwest::Method;
use serde_json::{Value, json};

async fn done(world: &World, run: RunId) -> (u16, Value) {
    told(world.gateway.get(&format!("/v1/runs/{run}/done"))).await
}

async fn result(world: &World, run: RunId, num: &str) -> (u16, Value) {
    told(world.gateway.get(&format!("/v1/runs/{run}/orders/{num}/result.json"))).await
}

async fn key(world: &World, scope: &str) -> String {
    let (_, key) = told(world.gateway.post("/v1/keys").json(&json!({ "name": scope, "scopes": [scope] }))).await;
    key["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_marker_is_there_once_the_run_is_over() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "done", vec![order(0, &[]), order(1, &[]), order(2, &[1])]).await;
    play.dispatch().await;
    play.begin(0).await;
    play.succeed(0).await;
    let (status, answer) = done(&world, play.id()).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_over")));
    play.begin(1).await;
    play.fail(1).await;
    let expected = json!({ "status": "failed", "summary": { "succeeded": 1, "failed": 2, "timed_out": 0 } });
    assert_eq!(done(&world, play.id()).await, (200, expected));
    let unknown = done(&world, crate::scheduler::run_id("nobody")).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("run_not_found")));
    let mut probe = Play::of_probe(&world.store.bus, "probe").await;
    probe
        .feed(&domain::run::Input::Begin {
            job: proto::JobNo(0),
            attempt: proto::AttemptNo::FIRST,
            worker: crate::scheduler::seat().worker,
            nonce: "n".into(),
        })
        .await;
    probe.succeed(0).await;
    let expected = json!({ "status": "succeeded", "summary": { "succeeded": 1, "failed": 0, "timed_out": 0 } });
    assert_eq!(done(&world, probe.id()).await, (200, expected));
}

#[tokio::test]
async fn a_result_has_the_end_of_the_log_and_the_reason() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "result", vec![order(0, &[]), order(1, &[]), order(2, &[1])]).await;
    play.dispatch().await;
    play.begin(0).await;
    assert_eq!(result(&world, play.id(), "0001").await.1["code"], "not_over");
    play.output(0, &format!("{}\nlast line\n", "x".repeat(300_000))).await;
    play.succeed(0).await;
    play.begin(1).await;
    play.output(1, "$ false\n").await;
    play.fail(1).await;
    let (status, first) = result(&world, play.id(), "0001").await;
    assert_eq!((status, &first["schema_version"], &first["status"]), (200, &json!("v1"), &json!("succeeded")));
    let log = first["log"].as_str().unwrap();
    assert!(log.len() == 262_144 && log.ends_with("x\nlast line\n"), "{} bytes", log.len());
    assert_eq!(result(&world, play.id(), "1").await.1, first);
    let failed = "$ false\ncommand 1 of 1 ended with exit code 2\n";
    assert_eq!(result(&world, play.id(), "0002").await.1, json!({ "schema_version": "v1", "status": "failed", "log": failed }));
    let skipped = "an order that it needs did not succeed\n";
    assert_eq!(result(&world, play.id(), "0003").await.1, json!({ "schema_version": "v1", "status": "failed", "log": skipped }));
    for num in ["0000", "0004", "x", "-1"] {
        let (status, answer) = result(&world, play.id(), num).await;
        assert_eq!((status, &answer["code"]), (404, &json!("order_not_found")), "{num}");
    }
}

#[tokio::test]
async fn both_are_gone_a_day_after_the_end_of_the_run() {
    let world = World::start().await;
    let mut play = Play::long_ago(&world.store.bus, "old", orders(2)).await;
    play.dispatch().await;
    play.begin(0).await;
    play.succeed(0).await;
    assert_eq!(result(&world, play.id(), "0001").await.0, 200, "the run goes on");
    play.begin(1).await;
    play.succeed(1).await;
    for (status, answer) in [done(&world, play.id()).await, result(&world, play.id(), "0001").await] {
        assert_eq!((status, &answer["code"]), (410, &json!("gone")));
    }
    let (status, run) = told(world.gateway.get(&format!("/v1/runs/{}", play.id()))).await;
    assert_eq!((status, &run["orders"]["succeeded"]), (200, &json!(2)));
}

#[tokio::test]
async fn a_key_for_the_end_opens_nothing_else_and_one_for_reading_opens_it_too() {
    let world = World::start().await;
    let play = Play::of_orders(&world.store.bus, "keys", orders(1)).await;
    let [end, read, deploy] = [key(&world, "done").await, key(&world, "read").await, key(&world, "deploy").await];
    let ask = async |key: &str, path: &str| {
        let path = format!("/v1/runs/{}{path}", play.id());
        soon(world.gateway.bare(Method::GET, &path).bearer_auth(key).send()).await.unwrap().status().as_u16()
    };
    assert_eq!([ask(&end, "/done").await, ask(&read, "/done").await, ask(&deploy, "/done").await], [404, 404, 403]);
    for path in ["", "/jobs", "/events", "/logs?follow=0", "/log.txt", "/orders/0001/result.json"] {
        assert_eq!(ask(&end, path).await, 403, "{path}");
        assert_ne!(ask(&read, path).await, 403, "{path}");
    }
}
