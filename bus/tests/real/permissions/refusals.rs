//! How a missing permission shows: as a fault of the configuration that names the subject and the user, at once, and for as
//! long as the connection lasts.

use super::{Guarded, documented};
use crate::support::words::{attempt, output, run, trigger};
use crate::support::{eventually, soon};
use bus::{BusError, Role};
use bytes::Bytes;

/// The page's users, one of whom lacks a line.
async fn without(user: &str, line: &str) -> Guarded {
    let (before, from) = documented().split_once(&format!("user: \"{user}\"")).expect("the user is in the block");
    let shortened = from.replacen(&format!("\"{line}\""), "", 1);
    assert_ne!(shortened, from, "{line} is one of its lines");
    Guarded::with(&format!("{before}user: \"{user}\"{shortened}")).await
}

#[tokio::test]
async fn a_missing_permission_is_named_with_its_user_and_stands_until_the_connection_is_made_anew() {
    let server = without("worker.default", "log.default.*.*.*.*").await;
    let worker = server.worker().await;
    worker.probe().await.unwrap();
    let sent = worker.logs().publish(&output(attempt(run())), 0, "plan", Bytes::from_static(b"x"), None).await.unwrap();
    // It is refused before anybody waits for it: many chunks are under way at a time.
    soon("the refusal", worker.refused()).await;
    let refused = soon("a refusal", sent.wait()).await.unwrap_err();
    let BusError::Denied { subject, who, .. } = &refused else { panic!("{refused:?}") };
    assert!(subject.starts_with("log.default.w."), "{subject}");
    assert!(who.contains("worker w of pool default") && who.contains("user `worker.default`"), "{who}");
    let text = refused.to_string();
    assert!(text.contains("configuration fault") && text.contains("navvy admin users"), "{text}");
    assert!(!refused.retryable());
    // The process is not ready from now on, and whoever waits for it is told.
    assert!(worker.probe().await.is_err_and(|error| error.is_denied()));
    assert!(soon("the standing refusal", worker.refused()).await.is_denied());
    let others = server.worker().await;
    others.probe().await.unwrap();
}

#[tokio::test]
async fn a_message_that_nobody_acknowledges_is_missed_too_when_it_may_not_be_sent() {
    let server = without("scheduler", "changed.*").await;
    let scheduler = server.scheduler().await;
    // Told without an acknowledgement: the call cannot know, the connection does.
    let _ = scheduler.views().put(&crate::support::words::view(run(), 1)).await;
    let refused = soon("the standing refusal", scheduler.refused()).await;
    assert!(refused.to_string().contains("`changed."), "{refused}");
}

#[tokio::test]
async fn a_refused_subscription_is_a_refusal_too() {
    let server = without("scheduler", "begin.*.*.*").await;
    let scheduler = server.scheduler().await;
    let refused = scheduler.asks().serve(proto::ShardNo(0)).await;
    assert!(refused.is_err_and(|error| error.is_denied()));
}

#[tokio::test]
async fn the_answer_to_a_question_goes_only_to_who_asked() {
    let server = Guarded::new().await;
    let (scheduler, run) = (server.scheduler().await, run());
    let mut asks = scheduler.asks().serve(run.shard()).await.unwrap();
    let rogue = server.plain("worker.default").await;
    let ask = r#"{"id":{"run":"RUN","job":0,"attempt":1},"pool":"default","worker":"w","nonce":"n","what":{"ask":"start_effects"}}"#;
    let ask = ask.replace("RUN", &run.to_string());
    // Where an answer would be a decision, an order, another's answer; and last, its own.
    for reply in
        [&proto::subject::run(run), "work.default.normal", "_INBOX_gateway.x", "_INBOX_worker.gpu.blue.x", "_INBOX_worker.default.w.x"]
    {
        rogue.publish_with_reply("begin.0.default.w", reply.to_owned(), ask.clone().into()).await.unwrap();
    }
    let heard = soon("the last question", asks.next()).await.unwrap();
    assert_eq!(heard.seat, crate::support::words::seat("w"));
    heard.answer(&proto::message::AskAnswer::Go).await.unwrap();
    scheduler.probe().await.unwrap();
    let none = tokio::time::timeout(std::time::Duration::from_millis(100), asks.next()).await;
    assert!(none.is_err(), "only one of them was a question");
}

#[tokio::test]
async fn roles_that_have_no_users_still_find_their_answers() {
    let server = Guarded::new().await;
    let run = run();
    let options = server.options("operator", Some(Role::Gateway));
    let gateway = bus::Bus::connect(options).await.unwrap();
    gateway.inbox().publish(run, &trigger(run), "1", None).await.unwrap();
    assert!(gateway.inbox().first_trigger(run).await.unwrap().is_some());
}

/// What NATS cannot forbid: the server sends its own answers wherever whoever asks wants them.
#[tokio::test]
async fn an_answer_of_the_server_that_a_worker_sends_into_a_run_s_log_decides_nothing_and_stops_nothing() {
    let server = Guarded::new().await;
    let (scheduler, run) = (server.scheduler().await, run());
    let log = scheduler.run_log();
    log.commit(run, 0, b"one".to_vec(), true).await.unwrap();
    let rogue = server.plain("worker.default").await;
    for n in 1..=2 {
        let attempt = format!("log.default.w.{run}.0.{n}");
        rogue.publish_with_reply(attempt, proto::subject::run(run), "x".into()).await.unwrap();
        rogue.flush().await.unwrap();
        let seq = eventually("the server's answer in the log", || async { log.last_seq(run).await.ok().filter(|seq| *seq == 2 * n) }).await;
        let loaded = log.load(run).await.unwrap();
        let (expect, last) = loaded.last().unwrap();
        assert_eq!((loaded.len() as u64, *expect), (n, seq), "{last:?}");
        log.commit(run, *expect, format!("after {n}").into_bytes(), true).await.unwrap();
    }
    let told: Vec<_> = log.load(run).await.unwrap().into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect();
    assert_eq!(told, ["one", "after 1", "after 2"]);
    assert_eq!(log.open_runs(run.shard()).await.unwrap(), [run]);
}
