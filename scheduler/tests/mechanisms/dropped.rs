//! Orders that were taken and dropped by somebody who did not begin.

use crate::ground::{CALM, Ground, PLAN, Wish, attempt, probe};
use proto::{PoolName, message::AskAnswer, view::RunStatus};
use std::time::Duration;

/// However often: each is published anew, although the queue remembers the names of those before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_dropped_again_and_again_is_published_again_and_again() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler(CALM);
    let trigger = probe();
    ground.submit(&trigger).await;
    let mut orders = ground.bus.work().pull(&PoolName::default()).await.unwrap();
    for _ in 0..4 {
        let order = orders.next(Duration::from_secs(20)).await.unwrap().expect("an order");
        assert_eq!(order.order.id, attempt(trigger.run, PLAN, 1));
        order.double_ack().await.unwrap();
    }
    ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
}

/// A scheduler that looked for a run before there was one (its secrets are stored first, and its sweep looks whose they are)
/// looks again before it says that there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_another_scheduler_made_meanwhile_is_not_unknown() {
    let ground = Ground::new().await;
    // It looks once, when it starts, and then not again.
    let _scheduler = ground.scheduler(Wish { lease: 600, sweep: 600 });
    ground.probe_done().await;
    let trigger = probe();
    let id = attempt(trigger.run, PLAN, 1);
    let before = ground.begin(id, "w1", "w1").await;
    assert!(matches!(before, Some(AskAnswer::Refused { .. })), "{before:?}");
    ground.wrote(&trigger, &[]).await;
    let now = ground.begin(id, "w1", "w1").await;
    assert!(matches!(now, Some(AskAnswer::Permit(_))), "{now:?}");
    ground.ended(id, "w1", proto::message::JobResult::Nothing).await;
    ground.until_status(trigger.run, RunStatus::Success).await;
}
