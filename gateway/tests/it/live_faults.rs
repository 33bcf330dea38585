//! The live log when something goes wrong: missing and late chunks, slow readers, a store that goes away, a revoked key.

use crate::{
    harness::{TOKEN, World, json, soon, told},
    scheduler::{Output, attempt_id, run_id, running, show, succeed, view},
    sse::{Reader, lines, names},
};
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn chunks_that_overlap_or_come_late_make_one_log() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("overlap"));
    let output = Output::new(bus, attempt_id(shown.id, 0, 1));
    for (offset, text) in [(0, "one\n"), (0, "one\n"), (8, "three\n"), (2, "e\ntwo\n"), (8, "three\n"), (14, "four\n")] {
        output.store(offset, "plan", Bytes::from(text), None).await;
    }
    output.store(19, "plan", Bytes::new(), Some(19)).await;
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        succeed(view);
    })
    .await;
    let events = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await.rest().await;
    assert_eq!(names(&events), ["status", "log", "end"]);
    let texts: Vec<String> = lines(&events).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn missing_bytes_are_marked_and_what_follows_keeps_its_ids() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("gap"));
    let output = Output::new(bus, attempt_id(shown.id, 0, 1));
    output.store(0, "plan", Bytes::from("one\npart"), None).await;
    output.store(20, "plan", Bytes::from("ial\ntwo\n"), None).await;
    output.store(33, "plan", Bytes::new(), Some(33)).await;
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        succeed(view);
    })
    .await;
    let path = format!("/deploy/{}/logs", shown.id);
    let events = Reader::open(&world.gateway, &path, None).await.rest().await;
    let told: Vec<String> =
        events.iter().map(|event| format!("{} {} {}", event.name, event.id.as_deref().unwrap_or("-"), event.data)).collect();
    let expected = [
        "status - {\"status\":\"success\",\"phase\":\"completed\"}",
        "log 0.1.4 one",
        "log 0.1.8 part",
        "gap - {\"missing_bytes\":12}",
        "log 0.1.24 ial",
        "log 0.1.28 two",
        "gap - {\"missing_bytes\":5}",
        "end - {\"status\":\"success\"}",
    ];
    assert_eq!(told, expected);
    let resumed = Reader::open(&world.gateway, &path, Some("0.1.24")).await.rest().await;
    assert_eq!(lines(&resumed), [("0.1.28".to_owned(), "two".to_owned())]);
    let text = world.gateway.get(&format!("/v1/runs/{}/log.txt", shown.id)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("one\npart\n[... 12 bytes of the log are missing here ...]\nial\ntwo\n"), "{text}");
}

#[tokio::test]
async fn a_damaged_archive_is_shown_up_to_the_damage_and_marked() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("damaged"));
    let id = attempt_id(shown.id, 0, 1);
    let object = b"{\"offset\":0,\"phase\":\"plan\",\"bytes\":4}\none\n{\"offset\":4,\"phase\":\"plan\",\"bytes\":900}\ntwo\n";
    bus.artifacts(&proto::PoolName::default()).put(&proto::subject::log_object(id), std::io::Cursor::new(object)).await.unwrap();
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        succeed(view);
    })
    .await;
    let events = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await.rest().await;
    let told: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(told[1..], ["one", "{\"missing_bytes\":0}", "{\"status\":\"success\"}"]);
}

#[tokio::test]
async fn a_reader_far_behind_is_told_so_once_and_misses_nothing() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("lag"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut output = Output::new(bus, attempt_id(shown.id, 0, 1));
    let line = "x".repeat(16 * 1024 - 1) + "\n";
    for _ in 0..1200 {
        output.write("plan", &line).await;
    }
    let mut reader = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await;
    assert_eq!(reader.next().await.unwrap().name, "status");
    let lagged = reader.next().await.unwrap();
    assert_eq!(lagged.name, "lagged");
    assert!(lagged.json()["behind_bytes"].as_u64().unwrap() > 8 * 1024 * 1024);
    output.end().await;
    show(bus, &mut shown, succeed).await;
    let rest = reader.rest().await;
    assert_eq!(lines(&rest).len(), 1200);
    assert!(rest.iter().all(|event| event.name != "lagged"));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_slows_nobody() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("slow"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let path = format!("/deploy/{}/logs", shown.id);
    let mut stuck = Reader::open(&world.gateway, &path, None).await;
    let mut quick = Reader::open(&world.gateway, &path, None).await;
    let mut output = Output::new(bus, attempt_id(shown.id, 0, 1));
    let line = "y".repeat(16 * 1024 - 1) + "\n";
    for _ in 0..1000 {
        output.write("plan", &line).await;
    }
    output.end().await;
    show(bus, &mut shown, succeed).await;
    assert_eq!(lines(&quick.rest().await).len(), 1000);
    let late = stuck.rest().await;
    assert_eq!(lines(&late).len(), 1000, "and it still gets everything");
}

#[tokio::test]
async fn a_stream_outlives_a_restart_of_the_store() {
    let mut world = World::start().await;
    let bus = world.store.bus.clone();
    let mut shown = view(run_id("outage"));
    show(&bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut output = Output::new(&bus, attempt_id(shown.id, 0, 1));
    output.write("plan", "before\n").await;
    let mut reader = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await;
    assert_eq!(reader.line().await.1, "before");
    world.store.kill().await;
    world.store.start_again().await;
    output.write("plan", "after\n").await;
    assert_eq!(reader.line().await, ("0.1.13".into(), "after".into()));
    output.end().await;
    show(&bus, &mut shown, succeed).await;
    assert_eq!(reader.rest().await.last().unwrap().name, "end");
}

#[tokio::test]
async fn a_revoked_key_closes_its_open_streams() {
    let world = World::start().await;
    let (_, key) = told(world.gateway.post("/v1/keys").json(&json!({ "name": "ci", "scopes": ["read"] }))).await;
    let mut shown = view(run_id("revoked"));
    show(&world.store.bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let path = format!("/deploy/{}/logs", shown.id);
    let request = world.gateway.bare(Method::GET, &path).bearer_auth(key["key"].as_str().unwrap());
    let mut answer = soon(request.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let other_gateway = world.store.gateway(|_| {}).await;
    let revoked = other_gateway.request(Method::DELETE, &format!("/v1/keys/{}", key["id"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    let mut text = String::new();
    while let Some(chunk) = soon(answer.chunk()).await.unwrap() {
        text += &String::from_utf8_lossy(&chunk);
    }
    assert!(text.contains(": the key of this connection is not valid any more") && !text.contains("event: end"), "{text}");
}

#[tokio::test]
async fn streams_are_counted_for_a_key_and_in_all() {
    let world = World::with(|settings| settings.gateway.sse_max_readers = 12).await;
    let (_, key) = told(world.gateway.post("/v1/keys").json(&json!({ "name": "ci", "scopes": ["read"] }))).await;
    let mut shown = view(run_id("counted"));
    show(&world.store.bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let path = format!("/deploy/{}/logs", shown.id);
    let open = async |token: &str| soon(world.gateway.bare(Method::GET, &path).bearer_auth(token).send()).await.unwrap();
    let token = key["key"].as_str().unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(open(token).await);
    }
    assert!(held.iter().all(|answer| answer.status() == 200));
    let refused = open(token).await;
    assert_eq!((refused.status().as_u16(), json(refused).await["code"].as_str()), (429, Some("too_many_readers")));
    held.push(open(TOKEN).await);
    held.push(open(TOKEN).await);
    assert_eq!(open(TOKEN).await.status(), 429);
    drop(held);
    crate::harness::until(async || open(token).await.status() == 200).await;
}
