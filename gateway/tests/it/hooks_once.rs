//! Each delivery makes one run: replays, twins, a store that is away, and gateways that die half-way. Rows W13, W14 and W30 of the
//! table of hostile inputs, by which the tests are named.

use crate::{
    admission::triggers,
    harness::{soon, told, until},
    hooks::{A, B, push, records, run_of, send, two_sources, world},
    scheduler::view,
};
use proto::SourceId;
use reqwest::header;
use serde_json::{Value, json};

#[tokio::test]
async fn w13_a_replay_makes_no_second_run_under_any_id_and_at_any_gateway() {
    let world = world().await;
    let other = world.store.gateway(two_sources).await;
    let body = push(B, &["platform/01.postgres/x"]);
    let (_, first) = told(send(&world.gateway, &body, "d1")).await;
    for gateway in [&world.gateway, &other] {
        let (status, again) = told(send(gateway, &body, "d1")).await;
        assert_eq!((status, &again["status"], &again["run_id"]), (202, &json!("duplicate"), &first["run_id"]), "{again}");
    }
    let (status, fresh) = told(send(&other, &body, "d2")).await;
    assert_eq!((status, &fresh["status"], &fresh["run_id"]), (202, &json!("duplicate"), &first["run_id"]), "{fresh}");
    let run = run_of(&first);
    assert_eq!(triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let verdicts: Vec<_> = records(&world.store).await.into_iter().map(|(_, record)| record["verdict"].clone()).collect();
    assert_eq!(verdicts, ["duplicate", "accepted"]);
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_deliveries_total{source=\"platform\",verdict=\"duplicate\"} 1"), "{metrics}");
}

#[tokio::test]
async fn w13_after_the_inbox_has_forgotten_it_the_run_and_the_record_are_still_known() {
    let (past, world) = (world().await, world().await);
    let body = push(B, &[]);
    let (_, first) = told(send(&past.gateway, &body, "d1")).await;
    let run = run_of(&first);
    let trigger = past.store.bus.inbox().first_trigger(run).await.unwrap().unwrap();
    // Days later: no trigger any more, but the run's view.
    let mut shown = view(run);
    shown.request_digest.clone_from(&trigger.request_digest);
    shown.spec = trigger.spec.clone();
    world.store.bus.views().put(&shown).await.unwrap();
    let (status, again) = told(send(&world.gateway, &body, "another-id")).await;
    assert_eq!((status, &again["status"], run_of(&again)), (202, &json!("duplicate"), run), "{again}");
    // The delivery that made it, whose record was lost with the gateway that should have stored it.
    let (status, again) = told(send(&world.gateway, &body, "d1")).await;
    assert_eq!((status, run_of(&again)), (202, run), "{again}");
    assert_eq!(triggers(&world.store.bus).await, []);
    // And with the record alone, when the run has aged out too.
    let (key, record) = records(&past.store).await.remove(0);
    let later = crate::hooks::world().await;
    later.store.bus.deliveries().create(&key, &record).await.unwrap();
    let (status, again) = told(send(&later.gateway, &body, "d1")).await;
    assert_eq!((status, &again["status"], run_of(&again)), (202, &json!("duplicate"), run), "{again}");
    assert_eq!(triggers(&later.store.bus).await, []);
}

#[tokio::test]
async fn w14_one_id_with_two_bodies_is_two_records_and_an_alarm() {
    let world = world().await;
    let (_, one) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    let (status, two) = told(send(&world.gateway, &push(B, &[]), "d1")).await;
    assert_eq!((status, &two["status"]), (202, &json!("accepted")));
    assert_ne!(one["run_id"], two["run_id"]);
    let kept = records(&world.store).await;
    assert_eq!(kept.iter().map(|(_, record)| &record["id_reused"]).collect::<Vec<_>>(), [&json!(true), &json!(false)]);
    let (_, again) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    assert_eq!((&again["status"], &again["run_id"]), (&json!("duplicate"), &one["run_id"]));
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_delivery_id_reuse_total 1"), "{metrics}");
}

#[tokio::test]
async fn twins_of_a_delivery_at_two_gateways_make_one_run() {
    let world = world().await;
    let other = world.store.gateway(two_sources).await;
    let body = push(B, &[]);
    let twins = (0..12).map(|n| told(send(if n % 2 == 0 { &world.gateway } else { &other }, &body, &format!("d{}", n % 3))));
    let answers = futures_util::future::join_all(twins).await;
    assert!(answers.iter().all(|(status, answer)| *status == 202 && answer["run_id"] == answers[0].1["run_id"]), "{answers:?}");
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
    let kept = records(&world.store).await;
    assert_eq!(kept.len(), 3);
    assert_eq!(kept.iter().filter(|(_, record)| record["verdict"] == "accepted").count(), 1, "{kept:?}");
}

#[tokio::test]
async fn w30_a_store_that_is_away_is_503_and_the_redelivery_heals_it() {
    let mut world = world().await;
    let body = push(B, &[]);
    world.store.kill().await;
    let refused = soon(send(&world.gateway, &body, "d1").send()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    world.store.start_again().await;
    until(async || told(send(&world.gateway, &body, "d1")).await.0 == 202).await;
    assert_eq!((triggers(&world.store.bus).await.len(), records(&world.store).await.len()), (1, 1));
}

#[tokio::test]
async fn w30_a_record_that_cannot_be_stored_is_503_and_the_redelivery_makes_no_second_run() {
    let world = world().await;
    let body = push(B, &[]);
    let source: SourceId = "platform".parse().unwrap();
    world.store.forbid("$KV.DELIVERIES.*.*.*").await;
    let (status, _) = told(send(&world.gateway, &body, "d1")).await;
    assert!(status >= 500, "{status}");
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.len(), 1, "the run is there");
    // Another gateway, whose user may.
    let may = world.store.gateway_over(world.store.bus.clone(), two_sources).await;
    let (status, answer) = told(send(&may, &body, "d1")).await;
    assert_eq!((status, &answer["status"], run_of(&answer)), (202, &json!("accepted"), stored[0].run), "{answer}");
    assert_eq!(triggers(&world.store.bus).await.len(), 0, "and no other");
    let kept = world.store.bus.deliveries().before::<Value>(Some(&source), None, 9, |_| true).await.unwrap().found;
    assert_eq!(kept.iter().map(|stored| stored.record["verdict"].as_str().unwrap()).collect::<Vec<_>>(), ["accepted"]);
}
