//! Locks handed over while nobody listened, and workers whose runs have gone on: what the simulation and the model found.

use crate::ground::{APPLY, Ground, PLAN, Wish, attempt, eventually, lock_of, plan, terraform};
use proto::{
    message::{AskAnswer, JobResult},
    terraform::ApplyResult,
    view::{RunStatus, WaitingFor},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_remembered_in_line_finds_out_that_it_was_handed_the_lock() {
    let ground = Ground::new().await;
    // Held by a run that the store does not know: nobody gives that back.
    let (stranger, next) = (terraform("a"), terraform("a"));
    ground.hold(&stranger, stranger.run, &[]).await;
    let _scheduler = ground.scheduler(Wish { lease: 600, sweep: 1 });
    ground.submit(&next).await;
    ground.until(next.run, "a run in line", |view| matches!(view.waiting_for, Some(WaitingFor::Lock { .. }))).await;
    eventually("its place in the record", || async {
        let record = lock_of(&ground, &next).await.value;
        record.queue.iter().any(|waiter| waiter.run == next.run).then_some(())
    })
    .await;
    // As another scheduler would have left it that died before it told anybody.
    ground.hold(&stranger, next.run, &[]).await;
    ground.began(attempt(next.run, PLAN, 1), "w1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_straggler_whose_run_has_gone_on_is_told_no_and_not_later() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(Wish { lease: 4, sweep: 1 });
    let trigger = terraform("a");
    ground.submit(&trigger).await;
    ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
    ground.ended(attempt(trigger.run, PLAN, 1), "w1", plan()).await;
    ground.began(attempt(trigger.run, APPLY, 1), "w1").await;
    // Silent for a lease, before its last word: somebody else does it, and the lock is given back.
    ground.until(trigger.run, "a second attempt", |view| view.jobs[1].attempts.len() == 2).await;
    ground.began(attempt(trigger.run, APPLY, 2), "w2").await;
    assert_eq!(ground.start_effects(attempt(trigger.run, APPLY, 2), "w2").await, Some(AskAnswer::Go));
    ground.ended(attempt(trigger.run, APPLY, 2), "w2", JobResult::Apply(ApplyResult::default())).await;
    ground.until_status(trigger.run, RunStatus::Success).await;
    eventually("the lock to be free", || async { lock_of(&ground, &trigger).await.value.holder.is_none().then_some(()) }).await;
    let told = ground.start_effects(attempt(trigger.run, APPLY, 1), "w1").await;
    assert!(matches!(told, Some(AskAnswer::Refused { .. })), "{told:?}");
}
