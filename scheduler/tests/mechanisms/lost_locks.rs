//! The lock records are lost while runs hold locks: nothing is granted, nothing starts, and it is said aloud.

use crate::ground::{APPLY, CALM, Ground, PLAN, Scheduler, Wish, attempt, eventually, lock_of, plan, terraform};
use bus::Held;
use domain::run::Input;
use jiff::Timestamp;
use proto::{
    RunId,
    lock::{LockHolder, LockWaiter},
    message::{AskAnswer, CommandAnswer, CommandVerb, JobResult, Trigger},
    terraform::ApplyResult,
    view::{RunStatus, WaitingFor},
};

/// The sweep plays no part.
const NO_SWEEP: Wish = Wish { lease: 600, sweep: 600 };

async fn until_ready(scheduler: &Scheduler, ready: bool) {
    eventually(&format!("ready: {ready}"), || async {
        let report = scheduler.readiness.check().await;
        (report.probes.iter().any(|probe| probe.name == "shard") && report.ready == ready).then_some(())
    })
    .await;
}

async fn until_waiting(ground: &Ground, trigger: &Trigger) {
    ground.until(trigger.run, "a run that waits for its lock", |view| matches!(view.waiting_for, Some(WaitingFor::Lock { .. }))).await;
}

/// A run in the middle of its apply.
async fn applying(ground: &Ground) -> Trigger {
    let trigger = terraform("a");
    ground.submit(&trigger).await;
    ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
    ground.ended(attempt(trigger.run, PLAN, 1), "w1", plan()).await;
    ground.began(attempt(trigger.run, APPLY, 1), "w1").await;
    assert_eq!(ground.start_effects(attempt(trigger.run, APPLY, 1), "w1").await, Some(AskAnswer::Go));
    trigger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_starts_without_the_records_of_open_runs_grants_nothing_until_they_have_ended() {
    let ground = Ground::new().await;
    let holder = terraform("a");
    ground.wrote(&holder, &[Input::LocksGranted { keys: Vec::new() }]).await;
    let scheduler = ground.scheduler(CALM);
    until_ready(&scheduler, false).await;
    let (same, other) = (terraform("a"), terraform("b"));
    for trigger in [&same, &other] {
        ground.submit(trigger).await;
        until_waiting(&ground, trigger).await;
        assert_eq!(lock_of(&ground, trigger).await.value.holder, None);
    }
    let begun = ground.begin(attempt(holder.run, PLAN, 1), "w1", "w1").await;
    assert!(matches!(begun, Some(AskAnswer::Later { .. })), "{begun:?}");
    assert_eq!(ground.command(holder.run, CommandVerb::Cancel { force: false }).await, Some(CommandAnswer::Done));
    for trigger in [&same, &other] {
        ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
    }
    until_ready(&scheduler, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_emptied_under_an_apply_lets_nobody_else_in() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(NO_SWEEP);
    // One that has never heard of the run.
    let beside = ground.scheduler(NO_SWEEP);
    for scheduler in [&scheduler, &beside] {
        until_ready(scheduler, true).await;
    }
    let first = applying(&ground).await;
    ground.raw().await.get_stream("KV_LOCKS").await.unwrap().purge().await.unwrap();
    let intruders: Vec<Trigger> = (0..8).map(|_| terraform("a")).collect();
    for intruder in &intruders {
        ground.submit(intruder).await;
    }
    for intruder in &intruders {
        until_waiting(&ground, intruder).await;
    }
    assert_eq!(lock_of(&ground, &first).await.value.holder, None, "nobody may take what only looks free");
    let refused = async { !scheduler.readiness.check().await.ready || !beside.readiness.check().await.ready };
    assert!(refused.await, "it is said aloud");
    // What runs goes on and may end.
    ground.ended(attempt(first.run, APPLY, 1), "w1", JobResult::Apply(ApplyResult::default())).await;
    ground.until_status(first.run, RunStatus::Success).await;
    drop((scheduler, beside));
    let again = ground.scheduler(CALM);
    eventually("the lock of one of those who waited", || async { lock_of(&ground, &first).await.value.holder }).await;
    until_ready(&again, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_lost_is_as_bad_as_all() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(NO_SWEEP);
    until_ready(&scheduler, true).await;
    let first = applying(&ground).await;
    let Held { value, revision } = lock_of(&ground, &first).await;
    let emptied = proto::lock::LockRecord { holder: None, ..value };
    ground.bus.locks().write_all(&[Held { value: emptied, revision }]).await.unwrap();
    let intruder = terraform("a");
    ground.submit(&intruder).await;
    until_waiting(&ground, &intruder).await;
    assert_eq!(lock_of(&ground, &first).await.value.holder, None);
    until_ready(&scheduler, false).await;
    assert!(scheduler.metrics.render().contains("navvy_lock_records_lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_bucket_nothing_starts_and_the_process_is_not_ready() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    until_ready(&scheduler, true).await;
    ground.raw().await.delete_stream("KV_LOCKS").await.unwrap();
    until_ready(&scheduler, false).await;
    let trigger = terraform("a");
    ground.submit(&trigger).await;
    ground.probe_done().await;
    let begun = ground.begin(attempt(trigger.run, PLAN, 1), "w1", "w1").await;
    assert!(!matches!(begun, Some(AskAnswer::Permit(_))), "{begun:?}");
    assert_eq!(scheduler.shutdown.reason(), None, "what needs no lock goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_streams_a_scheduler_is_not_ready_and_is_again_when_they_are_back() {
    let ground = Ground::new().await;
    let scheduler = ground.scheduler(CALM);
    until_ready(&scheduler, true).await;
    for stream in ["RUNS", "INBOX"] {
        ground.raw().await.delete_stream(stream).await.unwrap();
        until_ready(&scheduler, false).await;
        ground.bus.migrate(&bus::Layout::default()).await.unwrap();
        until_ready(&scheduler, true).await;
    }
    ground.probe_done().await;
    assert_eq!(scheduler.shutdown.reason(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_the_line_full_fails_and_says_why() {
    let ground = Ground::new().await;
    let trigger = terraform("a");
    let Held { mut value, revision } = lock_of(&ground, &trigger).await;
    let waiter = |_| LockWaiter { run: RunId::fresh(crate::ground::SHARD), since: Timestamp::now(), wants: vec![value.key.clone()] };
    value.queue = (0..domain::lock::LONGEST_LINE).map(waiter).collect();
    value.holder = Some(LockHolder { run: RunId::fresh(crate::ground::SHARD), since: Timestamp::now() });
    ground.bus.locks().write_all(&[Held { value, revision }]).await.unwrap();
    let _scheduler = ground.scheduler(NO_SWEEP);
    ground.submit(&trigger).await;
    let view = ground.until_status(trigger.run, RunStatus::Failed).await;
    assert_eq!(view.failure.map(|failure| failure.kind), Some("lock_line_full".to_owned()));
    assert_eq!(lock_of(&ground, &trigger).await.value.queue.len(), domain::lock::LONGEST_LINE);
}
