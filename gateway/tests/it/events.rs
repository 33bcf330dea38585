//! What happened to a run: the list, the stream, and going on where one stopped.

use crate::{
    harness::{TOKEN, World, json, soon, told},
    play::{Play, order, orders},
    scheduler::run_id,
    sse::{Event, Reader, names},
};
use domain::run::Input;
use reqwest::Method;
use serde_json::{Value, json};

async fn list(world: &World, play: &Play, query: &str) -> Value {
    let (status, body) = told(world.gateway.get(&format!("/v1/runs/{}/events{query}", play.id()))).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn events(body: &Value) -> Vec<Value> {
    body["events"].as_array().unwrap().clone()
}

/// (order, type, status).
fn words(events: &[Value]) -> Vec<(String, String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events.iter().map(|event| (text(event, "order_name"), text(event, "event_type"), text(event, "status"))).collect()
}

fn place(event: &Value) -> String {
    format!("{}.{}", event["seq"], event["n"])
}

/// The events of a stream: (id, data).
fn told_in(events: &[Event]) -> Vec<(String, Value)> {
    events.iter().filter(|event| event.name == "event").map(|event| (event.id.clone().unwrap(), event.json())).collect()
}

/// One order fails, another needs it, one succeeds and tells something.
async fn played(world: &World, name: &str) -> Play {
    let mut play = Play::of_orders(&world.store.bus, name, vec![order(0, &[]), order(1, &[]), order(2, &[1])]).await;
    play.dispatch().await;
    play.begin(0).await;
    play.tell(0, "tf_plan").await;
    play.succeed(0).await;
    play.begin(1).await;
    play.fail(1).await;
    play
}

const STORY: [(&str, &str, &str); 11] = [
    ("_job", "job_started", "running"),
    ("order-0", "dispatched", "queued"),
    ("order-1", "dispatched", "queued"),
    ("order-0", "started", "running"),
    ("order-0", "tf_plan", "info"),
    ("order-0", "tf_plan", "info"),
    ("order-0", "completed", "succeeded"),
    ("order-1", "started", "running"),
    ("order-1", "completed", "failed"),
    ("order-2", "dependency_failed", "failed"),
    ("_job", "job_completed", "failed"),
];

fn story() -> Vec<(String, String, String)> {
    STORY.iter().map(|(order, event, status)| ((*order).to_owned(), (*event).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test]
async fn the_list_tells_the_run_and_goes_on_behind_any_event() {
    let world = World::start().await;
    let play = played(&world, "list").await;
    let body = list(&world, &play, "").await;
    let all = events(&body);
    assert_eq!((words(&all), &body["more"]), (story(), &json!(false)));
    let last = all.last().unwrap();
    assert_eq!(last["summary"], json!({ "succeeded": 1, "failed": 2, "timed_out": 0 }));
    assert_eq!(last["done_endpt"], json!(format!("/v1/runs/{}/done", play.id())));
    assert_eq!((&all[3]["worker"], &all[3]["order_num"], &all[3]["trace_id"]), (&json!("w1"), &json!("0001"), &json!("0123abcd")));
    assert!(!body.to_string().contains("nonce-of"), "{body}");
    for (n, event) in all.iter().enumerate() {
        assert_eq!(events(&list(&world, &play, &format!("?after={}", place(event))).await), all[n + 1..], "{}", place(event));
        let behind = list(&world, &play, &format!("?after={}", event["seq"])).await;
        let later: Vec<Value> = all.iter().filter(|other| other["seq"].as_u64() > event["seq"].as_u64()).cloned().collect();
        assert_eq!(events(&behind), later);
    }
    assert_eq!(events(&list(&world, &play, &format!("?after={}", body["next_after"].as_str().unwrap())).await), [] as [Value; 0]);
    let (mut parts, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let part = list(&world, &play, &query).await;
        parts.extend(events(&part));
        query = format!("?limit=2&after={}", part["next_after"].as_str().unwrap());
        if part["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(parts, all);
}

#[tokio::test]
async fn filters_hold_and_bad_queries_are_refused() {
    let world = World::start().await;
    let play = played(&world, "filter").await;
    let of = async |query: &str| words(&events(&list(&world, &play, query).await));
    let pick = |keep: &dyn Fn(&(String, String, String)) -> bool| story().into_iter().filter(|told| keep(told)).collect::<Vec<_>>();
    assert_eq!(of("?order=order-1").await, pick(&|(order, ..)| order == "order-1"));
    assert_eq!(of("?order=_job").await, pick(&|(order, ..)| order == "_job"));
    assert_eq!(of("?type=completed").await, pick(&|(_, event, _)| event == "completed"));
    assert_eq!(of("?type=completed&order=order-1&limit=1").await, [STORY[8]].map(|(a, b, c)| (a.into(), b.into(), c.into())));
    assert_eq!(of("?order=nobody").await, []);
    for (query, field) in [("after=x", "after"), ("after=1.2.3", "after"), ("limit=0", "limit"), ("follow=2", "follow"), ("job=1", "job")] {
        let (status, answer) = told(world.gateway.get(&format!("/v1/runs/{}/events?{query}", play.id()))).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{query}");
    }
    for follow in ["", "?follow=1"] {
        assert_eq!(told(world.gateway.get(&format!("/v1/runs/{}/events{follow}", run_id("nobody")))).await.0, 404);
    }
}

#[tokio::test]
async fn a_stream_tells_history_then_what_happens_then_the_end() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "stream", orders(2)).await;
    play.dispatch().await;
    let path = format!("/v1/runs/{}/events?follow=1", play.id());
    let mut reader = Reader::open(&world.gateway, &path, None).await;
    for _ in 0..3 {
        assert_eq!(soon(reader.next()).await.unwrap().name, "event");
    }
    play.begin(0).await;
    assert_eq!(reader.next().await.unwrap().json()["event_type"], "started");
    play.succeed(0).await;
    play.begin(1).await;
    play.succeed(1).await;
    let rest = reader.rest().await;
    assert_eq!(rest.last().map(Event::json), Some(json!({ "status": "success" })));
    let whole = Reader::open(&world.gateway, &path, None).await.rest().await;
    assert_eq!(names(&whole), ["event", "end"]);
    let all = told_in(&whole);
    assert_eq!(all.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>(), events(&list(&world, &play, "").await));
    assert_eq!(told_in(&rest), all[4..]);
    for (n, (id, data)) in all.iter().enumerate() {
        assert_eq!(*id, place(data));
        assert_eq!(told_in(&Reader::open(&world.gateway, &path, Some(id)).await.rest().await), all[n + 1..], "{id}");
    }
    let garbage = Reader::open(&world.gateway, &path, Some("garbage")).await.rest().await;
    assert_eq!(told_in(&garbage), all);
    let one = Reader::open(&world.gateway, &format!("{path}&order=order-1&type=completed"), None).await.rest().await;
    assert_eq!((told_in(&one).len(), names(&one)), (1, vec!["event", "end"]));
}

#[tokio::test]
async fn a_stream_is_given_to_whoever_accepts_one_and_may_end_with_what_is_there() {
    let world = World::start().await;
    let play = Play::of_orders(&world.store.bus, "accept", orders(1)).await;
    let request = world.gateway.get(&format!("/v1/runs/{}/events?follow=0", play.id())).header("accept", "text/event-stream");
    let answer = soon(request.send()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = soon(answer.text()).await.unwrap();
    assert!(text.starts_with("event: event\n") && text.contains("job_started") && !text.contains("event: end"), "{text}");
}

#[tokio::test]
async fn nothing_is_told_that_the_run_does_not_show_yet() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "ahead", orders(1)).await;
    play.decide(&Input::Cancel { by: "ann".into(), force: false }).await;
    assert_eq!(events(&list(&world, &play, "").await).len(), 1, "the decision is there, its view is not");
    play.show().await;
    let told = words(&events(&list(&world, &play, "").await));
    assert_eq!(
        told.iter().map(|(_, event, _)| event.as_str()).collect::<Vec<_>>(),
        ["job_started", "cancel_requested", "completed", "job_completed"]
    );
}

#[tokio::test]
async fn a_log_that_was_begun_anew_is_told_once_also_when_its_old_beginning_is_gone() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "anew", orders(2)).await;
    play.dispatch().await;
    play.begin(0).await;
    let before = events(&list(&world, &play, "").await);
    play.begin_again().await;
    assert_eq!(events(&list(&world, &play, "").await), before);
    play.succeed(0).await;
    let all = events(&list(&world, &play, "").await);
    assert_eq!(all[..before.len()], before);
    assert_eq!(words(&all[before.len()..]), [("order-0".to_owned(), "completed".to_owned(), "succeeded".to_owned())]);
    for (n, event) in all.iter().enumerate() {
        assert_eq!(events(&list(&world, &play, &format!("?after={}", place(event))).await), all[n + 1..]);
    }
    // Where that entry is the first one that is kept, it tells all of it.
    let elsewhere = World::start().await;
    play.begin_again_at(&elsewhere.store.bus).await;
    let kept = events(&list(&elsewhere, &play, "").await);
    assert_eq!(words(&kept), words(&all));
    for (n, event) in kept.iter().enumerate() {
        assert_eq!(events(&list(&elsewhere, &play, &format!("?after={}", place(event))).await), kept[n + 1..]);
    }
}

#[tokio::test]
async fn ten_thousand_orders_that_end_at_once_are_told_one_by_one() {
    const COUNT: u32 = 10_000;
    let world = World::start().await;
    let all = (0..COUNT).map(|n| if n == 0 { order(0, &[]) } else { order(n, &[0]) }).collect();
    let mut play = Play::of_orders(&world.store.bus, "huge", all).await;
    for input in [Input::Dispatch { places: vec![(proto::PoolName::default(), 1)] }, Input::Cancel { by: "ann".into(), force: false }] {
        play.decide(&input).await;
    }
    play.show().await;
    assert!(play.run.is_over());
    let events = Reader::open(&world.gateway, &format!("/v1/runs/{}/events?follow=1", play.id()), None).await.rest().await;
    let told = told_in(&events);
    let names: std::collections::BTreeSet<&str> = told
        .iter()
        .filter(|(_, event)| event["event_type"] == "completed")
        .map(|(_, event)| event["order_name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), COUNT as usize);
    assert_eq!(told.last().unwrap().1["summary"]["cancelled"], json!(COUNT));
    let middle = told.len() / 2;
    let rest = list(&world, &play, &format!("?limit=1000&after={}", told[middle].0)).await;
    assert_eq!(
        rest["events"].as_array().unwrap().as_slice(),
        told[middle + 1..middle + 1001].iter().map(|(_, e)| e.clone()).collect::<Vec<_>>()
    );
    let one = list(&world, &play, "?order=order-9999").await;
    assert_eq!(one["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_idle_stream_has_a_heartbeat_and_counts_as_a_reader() {
    let world = World::with(|settings| {
        settings.gateway.sse_heartbeat = "100ms".parse().unwrap();
        settings.gateway.sse_max_readers = 1;
    })
    .await;
    let play = Play::of_probe(&world.store.bus, "idle").await;
    let path = format!("/v1/runs/{}/events?follow=1", play.id());
    let mut answer = world.gateway.get(&path).send().await.unwrap();
    let mut text = String::new();
    while text.matches(": heartbeat\n\n").count() < 2 {
        text += &String::from_utf8_lossy(&soon(answer.chunk()).await.unwrap().unwrap());
    }
    assert!(text.contains("\"order_name\":\"probe\"") && text.contains("\"flow_id\":null"), "{text}");
    let second = soon(world.gateway.bare(Method::GET, &path).bearer_auth(TOKEN).send()).await.unwrap();
    assert_eq!((second.status().as_u16(), json(second).await["code"].as_str()), (429, Some("too_many_readers")));
    assert_eq!(events(&list(&world, &play, "").await).len(), 2, "a list is no stream");
}
