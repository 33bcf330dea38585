//! The live log: order, ids, resuming.

use crate::{
    harness::{Gateway, World, soon},
    scheduler::{Output, archive, at, attempt, attempt_id, job, run_id, running, show, succeed, view},
    sse::{Event, Reader, lines, names},
};
use jiff::{SignedDuration, Timestamp};
use proto::view::{ApprovalView, RunView};
use serde_json::json;

/// A run whose plan has ended, was approved, and was applied.
async fn finished(world: &World, name: &str) -> RunView {
    let bus = &world.store.bus;
    let mut shown = view(run_id(name));
    let mut plan = Output::new(bus, attempt_id(shown.id, 0, 1));
    plan.write("cloning", "Cloning repository...\r\nhalf ").await;
    plan.write("plan", "a line\n10%\r20%\n\u{1b}[32mgreen").await;
    plan.write("plan", "\u{1b}[0m\n\nlast without end").await;
    plan.end().await;
    let mut apply = Output::new(bus, attempt_id(shown.id, 2, 1));
    apply.write("apply", "Apply complete!\n").await;
    apply.end().await;
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0), job(1, "approval", "succeeded"), running(2)];
        view.approval = Some(ApprovalView {
            state: "approved".into(),
            by: Some("ann".into()),
            at: Some(at(9)),
            opened_at: Some(at(8)),
            expires_at: None,
        });
        succeed(view);
    })
    .await;
    shown
}

const EXPECTED: [(&str, &str); 9] = [
    ("0.1.23", "Cloning repository..."),
    ("0.1.35", "half a line"),
    ("0.1.43", "10%\n20%"),
    ("0.1.58", "\u{1b}[32mgreen\u{1b}[0m"),
    ("0.1.59", ""),
    ("0.1.75", "last without end"),
    ("1.1.24", "Waiting for approval..."),
    ("1.1.74", "✅ Deployment approved, continuing with apply..."),
    ("2.1.16", "Apply complete!"),
];

fn expected(from: usize) -> Vec<(String, String)> {
    EXPECTED[from..].iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
}

async fn read(gateway: &Gateway, path: &str, after: Option<&str>) -> Vec<Event> {
    Reader::open(gateway, path, after).await.rest().await
}

#[tokio::test]
async fn a_finished_run_is_read_in_order_and_from_behind_any_line() {
    let world = World::start().await;
    let run = finished(&world, "order").await;
    for path in [format!("/deploy/{}/logs", run.id), format!("/v1/runs/{}/logs", run.id), format!("/v1/runs/{}/logs?follow=0", run.id)] {
        let events = read(&world.gateway, &path, None).await;
        assert_eq!(lines(&events), expected(0), "{path}");
        assert_eq!(names(&events), ["status", "log", "end"]);
        assert_eq!(events[0].json(), json!({ "status": "success", "phase": "completed" }));
        assert_eq!(events.last().unwrap().json(), json!({ "status": "success" }));
    }
    let path = format!("/deploy/{}/logs", run.id);
    for (n, (id, _)) in EXPECTED.iter().enumerate() {
        assert_eq!(lines(&read(&world.gateway, &path, Some(id)).await), expected(n + 1), "{id}");
        assert_eq!(lines(&read(&world.gateway, &format!("{path}?after={id}"), None).await), expected(n + 1), "{id}");
    }
    for garbage in ["garbage", "-1", "7.1.3", "0.9.3", "0.1.99999999", "1.1.9999", "2.1.18446744073709551615"] {
        assert_eq!(lines(&read(&world.gateway, &path, Some(garbage)).await), expected(0), "{garbage}");
    }
}

#[tokio::test]
async fn an_archived_log_has_the_same_lines_with_the_same_ids() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("archived"));
    let log = b"Cloning repository...\r\nhalf a line\n10%\r20%\n";
    archive(bus, attempt_id(shown.id, 0, 1), &[("cloning", &log[..30]), ("plan", &log[30..])]).await;
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 30);
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        view.jobs[0].attempts[0].ended_at = Some(long_ago);
        succeed(view);
    })
    .await;
    let path = format!("/v1/runs/{}/logs", shown.id);
    assert_eq!(lines(&read(&world.gateway, &path, None).await), expected(0)[..3]);
    assert_eq!(lines(&read(&world.gateway, &path, Some("0.1.23")).await), expected(0)[1..3]);
    // An attempt that ended lately and is not in the stream is found in the archive as well.
    show(bus, &mut shown, |view| view.jobs[0].attempts[0].ended_at = Some(Timestamp::now())).await;
    assert_eq!(lines(&read(&world.gateway, &path, None).await), expected(0)[..3]);
    let (status, answer) = crate::harness::told(world.gateway.get(&format!("/deploy/{}/status", shown.id))).await;
    assert_eq!((status, answer["clone_log"].as_str()), (200, Some("Cloning repository...\r\nhalf a ")));
}

#[tokio::test]
async fn a_reader_sees_each_line_as_it_is_stored_and_the_run_s_changes_between() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("live"));
    show(bus, &mut shown, |_| {}).await;
    let mut reader = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await;
    assert_eq!(reader.next().await.unwrap().json(), json!({ "status": "running", "phase": "initializing" }));
    show(bus, &mut shown, |view| {
        view.jobs = vec![running(0)];
        view.phase = "plan".into();
    })
    .await;
    assert_eq!(reader.next().await.unwrap().json(), json!({ "status": "running", "phase": "plan" }));
    let mut output = Output::new(bus, attempt_id(shown.id, 0, 1));
    for n in 0..20 {
        output.write("plan", format!("line {n}\nhal")).await;
        output.write("plan", "f\n").await;
        assert_eq!(reader.line().await.1, format!("line {n}"));
        assert_eq!(reader.line().await.1, "half");
    }
    output.write("plan", "no end").await;
    output.end().await;
    show(bus, &mut shown, succeed).await;
    let rest = reader.rest().await;
    assert_eq!(lines(&rest).last().map(|(_, text)| text.as_str()), Some("no end"));
    assert_eq!(rest.last().unwrap().name, "end");
}

#[tokio::test]
async fn a_retried_job_shows_both_attempts_one_after_the_other() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("retry"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut reader = Reader::open(&world.gateway, &format!("/deploy/{}/logs", shown.id), None).await;
    let mut first = Output::new(bus, attempt_id(shown.id, 0, 1));
    first.write("plan", "first\nlost in the mid").await;
    assert_eq!(reader.line().await, ("0.1.6".into(), "first".into()));
    // Its worker was lost: the log has no end, and never will have.
    show(bus, &mut shown, |view| {
        view.jobs[0].attempts[0].ended_at = Some(at(50));
        view.jobs[0].attempts.push(attempt(2));
    })
    .await;
    let mut second = Output::new(bus, attempt_id(shown.id, 0, 2));
    second.write("plan", "second\n").await;
    assert_eq!(reader.line().await, ("0.1.21".into(), "lost in the mid".into()));
    assert_eq!(reader.line().await, ("0.2.7".into(), "second".into()));
}

#[tokio::test]
async fn many_readers_of_one_log_see_the_same() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let other = world.store.gateway(|_| {}).await;
    let mut shown = view(run_id("many"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let path = format!("/deploy/{}/logs", shown.id);
    let mut readers = Vec::new();
    for n in 0..10 {
        readers.push(Reader::open(if n % 2 == 0 { &world.gateway } else { &other }, &path, None).await);
    }
    let mut output = Output::new(bus, attempt_id(shown.id, 0, 1));
    for n in 0..300 {
        output.write("plan", format!("line {n} {}\n", "x".repeat(n))).await;
    }
    output.end().await;
    show(bus, &mut shown, succeed).await;
    let all = futures_util::future::join_all(readers.iter_mut().map(Reader::rest)).await;
    let first = lines(&all[0]);
    assert_eq!(first.len(), 300);
    assert!(all.iter().all(|events| lines(events) == first));
}

#[tokio::test]
async fn a_reader_goes_on_at_another_gateway_without_gap_or_repeat() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("restart"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let path = format!("/deploy/{}/logs", shown.id);
    let mut output = Output::new(bus, attempt_id(shown.id, 0, 1));
    output.write("plan", "one\ntwo\nthr").await;
    let mut reader = Reader::open(&world.gateway, &path, None).await;
    reader.line().await;
    let (seen, _) = reader.line().await;
    world.gateway.stop.cancel();
    let left = reader.rest().await;
    assert_eq!((lines(&left), left.last()), (Vec::new(), None), "it ends without `end`");
    assert!(reader.comments.iter().any(|comment| comment.contains("stopping")), "{:?}", reader.comments);
    output.write("plan", "ee\nfour\n").await;
    let next = world.store.gateway(|_| {}).await;
    let mut reader = Reader::open(&next, &path, Some(&seen)).await;
    assert_eq!(reader.line().await, ("0.1.14".into(), "three".into()));
    assert_eq!(reader.line().await, ("0.1.19".into(), "four".into()));
}

#[tokio::test]
async fn without_following_it_ends_with_what_is_there() {
    let world = World::start().await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("nofollow"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    Output::new(bus, attempt_id(shown.id, 0, 1)).write("plan", "one\nhalf").await;
    let events = read(&world.gateway, &format!("/v1/runs/{}/logs?follow=0", shown.id), None).await;
    assert_eq!(names(&events), ["status", "log"]);
    assert_eq!(lines(&events), [("0.1.4".to_owned(), "one".to_owned())]);
}

#[tokio::test]
async fn an_idle_stream_has_a_heartbeat() {
    let world = World::with(|settings| settings.gateway.sse_heartbeat = "100ms".parse().unwrap()).await;
    let bus = &world.store.bus;
    let mut shown = view(run_id("idle"));
    show(bus, &mut shown, |view| view.jobs = vec![running(0)]).await;
    let mut answer = world.gateway.get(&format!("/v1/runs/{}/logs", shown.id)).send().await.unwrap();
    let mut text = String::new();
    while text.matches(": heartbeat\n\n").count() < 3 {
        text += &String::from_utf8_lossy(&soon(answer.chunk()).await.unwrap().unwrap());
    }
    assert!(text.starts_with("event: status\n"));
}

#[tokio::test]
async fn the_text_of_a_log_is_its_bytes() {
    let world = World::start().await;
    let run = finished(&world, "text").await;
    let text =
        async |query: &str| world.gateway.get(&format!("/v1/runs/{}/log.txt{query}", run.id)).send().await.unwrap().text().await.unwrap();
    let plan = "Cloning repository...\r\nhalf a line\n10%\r20%\n\u{1b}[32mgreen\u{1b}[0m\n\nlast without end";
    let gate = "Waiting for approval...\n✅ Deployment approved, continuing with apply...\n";
    assert_eq!(text("?job=0&attempt=1").await, plan);
    assert_eq!(text("?job=0").await, plan);
    assert_eq!(text("?job=1").await, gate);
    assert_eq!(text("").await, format!("{plan}{gate}Apply complete!\n"));
    for (query, status) in [("?job=9", 404), ("?job=0&attempt=9", 404), ("?job=x", 400), ("?attempt=1", 400)] {
        let answer = world.gateway.get(&format!("/v1/runs/{}/log.txt{query}", run.id)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
    }
}
