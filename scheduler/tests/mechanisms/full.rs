//! A store that is full: nothing is accepted, nothing is decided, and nothing is lost.

use crate::ground::{CALM, Ground, PLAN, attempt, probe};
use bus::BusError;
use proto::{
    message::{AskAnswer, InboxMessage, JobResult},
    view::RunStatus,
};

/// Lets a stream hold so many bytes more than it holds now; `None`: as many as there are.
async fn room(ground: &Ground, stream: &str, more: Option<i64>) {
    let raw = ground.raw().await;
    let mut found = raw.get_stream(stream).await.unwrap();
    let info = found.info().await.unwrap().clone();
    let max_bytes = more.map_or(-1, |more| i64::try_from(info.state.bytes).unwrap() + more);
    raw.update_stream(async_nats::jetstream::stream::Config { max_bytes, ..info.config }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_decision_can_be_stored_none_is_made_and_what_came_meanwhile_is_decided_later() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    let (running, queued) = (probe(), probe());
    let (runs, waits) = (attempt(running.run, PLAN, 1), attempt(queued.run, PLAN, 1));
    ground.submit(&running).await;
    ground.began(runs, "w1").await;
    ground.submit(&queued).await;
    ground.until(queued.run, "a run that waits for a worker", |view| view.waiting_for.is_some()).await;
    room(&ground, "RUNS", Some(1)).await;
    let refused = ground.begin(waits, "w2", "w2").await;
    assert!(!matches!(refused, Some(AskAnswer::Permit(_))), "a permit that is not stored is none: {refused:?}");
    ground.ended(runs, "w1", JobResult::Nothing).await;
    room(&ground, "RUNS", None).await;
    ground.until_status(running.run, RunStatus::Success).await;
    ground.began(waits, "w2").await;
    assert_eq!(scheduler.shutdown.reason(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_room_in_the_inbox_is_not_accepted_and_may_be_sent_again() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    ground.probe_done().await;
    room(&ground, "INBOX", Some(1)).await;
    let trigger = probe();
    let (message, id) = (InboxMessage::Trigger(Box::new(trigger.clone())), format!("trigger.{}", trigger.run));
    let refused = ground.bus.inbox().publish(trigger.run, &message, &id, None).await;
    assert!(matches!(&refused, Err(error @ BusError::Full { .. }) if error.retryable()), "{refused:?}");
    room(&ground, "INBOX", None).await;
    ground.submit(&trigger).await;
    ground.until(trigger.run, "the run", |_| true).await;
}
