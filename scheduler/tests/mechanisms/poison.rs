//! Messages and jobs that nobody can handle: they hold up nobody, and people can see them.

use crate::ground::{CALM, Ground, PLAN, SHARD, Wish, attempt, eventually, probe};
use proto::{RunId, message::InboxMessage, message::ReportWhat, subject, view::RunStatus};

/// The sequences of what is buried of the INBOX, with the reason.
async fn buried(ground: &Ground) -> Vec<(u64, String)> {
    let all = ground.bus.dead_letters().list(0).await.unwrap();
    all.into_iter().filter(|dead| dead.about.stream == "INBOX").map(|dead| (dead.about.seq, dead.about.why)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_or_handled_is_buried_once_and_holds_up_nobody() {
    let ground = Ground::new().await;
    let raw = ground.raw().await;
    let unreadable = raw.publish(subject::inbox(RunId::fresh(SHARD)), "not a message".into()).await.unwrap().await.unwrap();
    let nowhere = raw.publish("inbox.0.nobody", "whatever".into()).await.unwrap().await.unwrap();
    // Every message for a run with a damaged log fails.
    let broken = RunId::fresh(SHARD);
    ground.bus.run_log().commit(broken, 0, b"of another version".to_vec(), false).await.unwrap();
    ground.report(attempt(broken, PLAN, 1), "w1", ReportWhat::Phase { phase: "x".to_owned() }).await;
    // Under another run's name.
    let other = probe();
    ground.bus.inbox().publish(RunId::fresh(SHARD), &InboxMessage::Trigger(Box::new(other)), "forged", None).await.unwrap();
    let scheduler = ground.scheduler(CALM);
    ground.probe_done().await;
    let all = eventually("four dead letters", || async { Some(buried(&ground).await).filter(|all| all.len() == 4) }).await;
    for seq in [unreadable.sequence, nowhere.sequence] {
        assert!(all.iter().any(|(dead, _)| *dead == seq), "{all:?}");
    }
    assert!(all.iter().any(|(_, why)| why.contains("log of run")), "{all:?}");
    let kept = ground.bus.dead_letters().list(0).await.unwrap();
    assert!(kept.iter().any(|dead| dead.payload == "not a message"), "the message itself is kept");
    eventually("the count", || async { scheduler.metrics.render().lines().any(|line| line == "navvy_dead_letters 4").then_some(()) }).await;
    ground.probe_done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_worker_dies_at_every_start_ends_after_three_and_the_pool_goes_on() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 2, sweep: 1 });
    let trigger = probe();
    ground.submit(&trigger).await;
    for start in 1..=3 {
        ground.began(attempt(trigger.run, PLAN, start), &format!("w{start}")).await;
        ground.probe_done().await;
    }
    let view = ground.until_status(trigger.run, RunStatus::Failed).await;
    assert_eq!((view.jobs[0].attempts.len(), view.failure.map(|failure| failure.kind)), (3, Some("worker_lost".to_owned())));
    let again = ground.begin(attempt(trigger.run, PLAN, 4), "w4", "w4").await;
    assert!(matches!(again, Some(proto::message::AskAnswer::Refused { .. })), "{again:?}");
}
