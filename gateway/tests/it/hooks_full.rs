//! Deliveries while a stream of the store is full: row W30 of the table of hostile inputs, over real streams with a bound. What
//! cannot be stored is a 503 and not accepted; with room again everything goes on, and each delivery is one run.

use crate::{
    admission::triggers,
    harness::{World, soon, told},
    hooks::{A, B, push, records, run_of, send, world},
};
use reqwest::header;
use serde_json::{Value, json};

/// No message is as short.
const NO_ROOM: i64 = 1;

/// Sends a delivery, which is refused for now.
async fn refused_for_now(world: &World, body: &Value, id: &str) {
    let answer = soon(send(&world.gateway, body, id).send()).await.unwrap();
    let again_in = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    assert!(again_in.is_some_and(|seconds| seconds > 0), "{:?}", answer.headers());
    assert_eq!(answer.status(), 503);
    let told = crate::harness::json(answer).await;
    assert!(told["run_id"].is_null() && told["delivery"].is_null(), "{told}");
}

#[tokio::test]
async fn w30_a_full_inbox_is_503_nothing_is_accepted_and_with_room_it_goes_on() {
    let world = world().await;
    world.store.bound("INBOX", NO_ROOM).await;
    for (body, id) in [(push(A, &[]), "d1"), (push(B, &[]), "d2"), (push(A, &[]), "d1")] {
        refused_for_now(&world, &body, id).await;
    }
    assert_eq!(records(&world.store).await, [], "no record says that anything was accepted");
    // What makes no run needs no room there.
    let mut elsewhere = push(B, &[]);
    elsewhere["ref"] = json!("refs/heads/other");
    let (status, answer) = told(send(&world.gateway, &elsewhere, "d3")).await;
    assert_eq!((status, &answer["status"]), (202, &json!("ignored")), "{answer}");

    assert_eq!(world.store.bound("INBOX", -1).await, 0, "and there is no run");
    let (status, first) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    assert_eq!((status, &first["status"]), (202, &json!("accepted")), "{first}");
    let (_, second) = told(send(&world.gateway, &push(B, &[]), "d2")).await;
    let (_, again) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    assert_eq!((&again["status"], run_of(&again)), (&json!("duplicate"), run_of(&first)), "{again}");
    let runs: Vec<_> = triggers(&world.store.bus).await.into_iter().map(|trigger| trigger.run).collect();
    assert_eq!(runs, [run_of(&first), run_of(&second)]);
}

#[tokio::test]
async fn w30_a_full_bucket_of_deliveries_is_503_and_the_redelivery_makes_no_second_run() {
    let world = world().await;
    world.store.bound("KV_DELIVERIES", NO_ROOM).await;
    let body = push(B, &[]);
    refused_for_now(&world, &body, "d1").await;
    refused_for_now(&world, &body, "d1").await;
    assert_eq!(records(&world.store).await, []);
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.len(), 1, "the run is there, and whoever sends it again is told so");

    world.store.bound("KV_DELIVERIES", -1).await;
    let (status, answer) = told(send(&world.gateway, &body, "d1")).await;
    assert_eq!((status, &answer["status"], run_of(&answer)), (202, &json!("accepted"), stored[0].run), "{answer}");
    assert_eq!(triggers(&world.store.bus).await, []);
    let verdicts: Vec<_> = records(&world.store).await.into_iter().map(|(_, record)| record["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accepted"]);
}
