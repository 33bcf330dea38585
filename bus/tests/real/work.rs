//! An order is handed out until somebody takes it for good.

use crate::support::words::{order, run};
use crate::support::{GENEROUS, Ground, eventually, soon};
use proto::PoolName;
use std::collections::HashSet;
use std::time::Duration;

#[tokio::test]
async fn an_order_is_queued_once_handed_out_and_gone_when_it_is_taken() {
    let ground = Ground::new().await;
    let (work, pool, order) = (ground.bus.work(), PoolName::default(), order(run()));
    let stored = work.publish(&order).await.unwrap();
    assert!(work.publish(&order).await.unwrap().duplicate);
    assert_eq!(work.depth(&pool).await.unwrap(), 1);
    assert!(work.is_waiting(stored.seq).await.unwrap());
    let mut orders = work.pull(&pool).await.unwrap();
    let taken = orders.next(GENEROUS).await.unwrap().unwrap();
    assert_eq!((&taken.order, taken.delivered), (&order, 1));
    assert!(work.is_waiting(stored.seq).await.unwrap(), "handed out is not taken");
    taken.progress().await.unwrap();
    taken.double_ack().await.unwrap();
    assert!(!work.is_waiting(stored.seq).await.unwrap());
    assert_eq!(work.depth(&pool).await.unwrap(), 0);
    assert!(orders.next(Duration::from_millis(10)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_order_given_back_goes_to_another_worker() {
    let ground = Ground::new().await;
    let (work, pool) = (ground.bus.work(), PoolName::default());
    work.publish(&order(run())).await.unwrap();
    let mut first = work.pull(&pool).await.unwrap();
    let mut second = ground.connect().await.work().pull(&pool).await.unwrap();
    let taken = first.next(GENEROUS).await.unwrap().unwrap();
    drop(first);
    taken.nak(None).await.unwrap();
    let again = second.next(GENEROUS).await.unwrap().unwrap();
    assert_eq!((again.order, again.delivered), (taken.order, 2));
}

#[tokio::test]
async fn a_wait_that_is_broken_off_loses_no_order() {
    let ground = Ground::new().await;
    let (work, pool) = (ground.bus.work(), PoolName::default());
    let mut orders = work.pull(&pool).await.unwrap();
    let broken_off = tokio::time::timeout(Duration::from_millis(50), orders.next(GENEROUS)).await;
    assert!(broken_off.is_err());
    let order = order(run());
    work.publish(&order).await.unwrap();
    let taken = soon("the order", orders.next(GENEROUS)).await.unwrap().unwrap();
    assert_eq!((taken.order, taken.delivered), (order, 1));
}

#[tokio::test]
async fn a_waiting_worker_gets_an_order_that_comes_after_the_server_was_killed() {
    let mut ground = Ground::new().await;
    let pool = PoolName::default();
    let mut orders = ground.bus.work().pull(&pool).await.unwrap();
    let waiting = tokio::spawn(async move {
        loop {
            match orders.next(GENEROUS * 10).await {
                Ok(Some(order)) => return order,
                Ok(None) => {}
                Err(error) => assert!(error.retryable(), "{error}"),
            }
        }
    });
    ground.kill_and_start_again().await;
    let order = order(run());
    eventually("the order to be queued", || async { ground.bus.work().publish(&order).await.ok() }).await;
    let taken = soon("the order", waiting).await.unwrap();
    assert_eq!(taken.order, order);
    taken.double_ack().await.unwrap();
}

#[tokio::test]
async fn every_order_is_taken_by_somebody_although_the_server_is_killed_again_and_again() {
    let mut ground = Ground::new().await;
    let pool = PoolName::default();
    let publisher = ground.connect().await;
    let publishing = tokio::spawn(async move {
        let mut all = HashSet::new();
        for _ in 0..100 {
            let order = order(run());
            eventually("an order to be queued", || async { publisher.work().publish(&order).await.ok() }).await;
            all.insert(order.id);
        }
        all
    });
    let (done, mut taken) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let mut orders = ground.connect().await.work().pull(&pool).await.unwrap();
        let done = done.clone();
        tokio::spawn(async move {
            while !done.is_closed() {
                if let Ok(Some(order)) = orders.next(Duration::from_secs(5)).await {
                    // Unknown whether it is gone: somebody else may get it too, and the permit tells.
                    let _ = order.double_ack().await;
                    let _ = done.send(order.order.id);
                }
            }
        });
    }
    for _ in 0..3 {
        ground.kill_and_start_again().await;
        eventually("a working server", || async { ground.bus.probe().await.ok() }).await;
    }
    let all = soon("queueing", publishing).await.unwrap();
    let mut seen = HashSet::new();
    while seen.len() < all.len() {
        seen.insert(soon("the next order", taken.recv()).await.unwrap());
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn an_order_that_cannot_be_read_does_not_block_the_queue() {
    let ground = Ground::new().await;
    let (work, pool) = (ground.bus.work(), PoolName::default());
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let bad = js.publish(proto::subject::work(&pool), "?".into()).await.unwrap().await.unwrap();
    let good = order(run());
    work.publish(&good).await.unwrap();
    let mut orders = work.pull(&pool).await.unwrap();
    assert_eq!(orders.next(GENEROUS).await.unwrap().unwrap().order, good);
    assert!(!work.is_waiting(bad.sequence).await.unwrap());
}

#[tokio::test]
async fn an_order_that_was_on_its_way_to_a_closed_reader_goes_to_another_at_once() {
    let ground = Ground::new().await;
    let (work, pool) = (ground.bus.work(), PoolName::default());
    let mut first = work.pull(&pool).await.unwrap();
    // Its request is under way, and is answered while nobody reads.
    assert!(tokio::time::timeout(Duration::from_millis(50), first.next(GENEROUS)).await.is_err());
    let order = order(run());
    work.publish(&order).await.unwrap();
    eventually("the order to be handed out", || async { ground.is_handed_out(&pool).await.then_some(()) }).await;
    let mut second = ground.connect().await.work().pull(&pool).await.unwrap();
    first.close().await;
    // Well before its time to be acknowledged (30 s) is over.
    let again = second.next(Duration::from_secs(10)).await.unwrap().expect("given back");
    assert_eq!((again.order, again.delivered), (order, 2));
}

#[tokio::test]
async fn a_closed_reader_s_request_takes_no_order_any_more() {
    let ground = Ground::new().await;
    let (work, pool) = (ground.bus.work(), PoolName::default());
    let mut first = work.pull(&pool).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), first.next(GENEROUS)).await.is_err());
    first.close().await;
    let order = order(run());
    work.publish(&order).await.unwrap();
    let mut second = work.pull(&pool).await.unwrap();
    let taken = second.next(Duration::from_secs(10)).await.unwrap().expect("nobody else has it");
    assert_eq!((taken.order, taken.delivered), (order, 1));
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_kept_for_people_and_holds_up_nobody() {
    let ground = Ground::new().await;
    let (work, pool, order) = (ground.bus.work(), PoolName::default(), order(run()));
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let garbage = js.publish(proto::subject::work(&pool), "garbage".into()).await.unwrap().await.unwrap();
    work.publish(&order).await.unwrap();
    let taken = work.pull(&pool).await.unwrap().next(GENEROUS).await.unwrap().unwrap();
    assert_eq!(taken.order, order);
    assert!(!work.is_waiting(garbage.sequence).await.unwrap());
    let dead = ground.bus.dead_letters().list(0).await.unwrap();
    assert_eq!((dead.len(), dead[0].about.seq, &dead[0].payload[..]), (1, garbage.sequence, b"garbage".as_slice()));
    assert_eq!((dead[0].about.stream.as_str(), ground.bus.dead_letters().count().await.unwrap()), ("WORK", 1));
}
