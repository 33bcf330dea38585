//! Three servers, one of them killed: everything goes on, and nothing that was stored is gone.

use crate::support::cluster::Cluster;
use crate::support::words::{SHARD, attempt, held_by, lock_key, order, output, run, trigger, view, written};
use crate::support::{GENEROUS, eventually, soon};
use bus::{Bus, Held, Layout, ViewEvent};
use bytes::Bytes;
use proto::{PoolName, RunId};

/// One of everything; returns the run, whose decisions and lock must be there afterwards.
async fn one_of_everything(bus: &Bus, n: u64) -> RunId {
    let (run, pool) = (run(), PoolName::default());
    let id = attempt(run);
    eventually("a trigger", || async { bus.inbox().publish(run, &trigger(run), &format!("t{n}"), None).await.ok() }).await;
    assert_eq!(eventually("the trigger", || async { bus.inbox().first_trigger(run).await.ok()? }).await.run, run);
    eventually("a decision", || async {
        match bus.run_log().commit(run, 0, b"{}".to_vec(), true).await {
            Ok(_) => Some(()),
            // What was unknown may have been stored.
            Err(_) => (bus.run_log().load(run).await.ok()?.len() == 1).then_some(()),
        }
    })
    .await;
    let keys = [lock_key(&format!("{n}-a")), lock_key(&format!("{n}-b"))];
    eventually("two locks", || async {
        let read = bus.locks().read(&keys).await.ok()?;
        if read.iter().all(|held| held.value.holder.as_ref().is_some_and(|h| h.run == run)) {
            return Some(());
        }
        let writes: Vec<_> = read.iter().map(|h| Held { value: held_by(&h.value.key, run), revision: h.revision }).collect();
        bus.locks().write_all(&writes).await.ok().map(|_| ())
    })
    .await;
    eventually("an order", || async { bus.work().publish(&order(run)).await.ok() }).await;
    let mut orders = eventually("a queue", || async { bus.work().pull(&pool).await.ok() }).await;
    loop {
        if let Ok(Some(order)) = soon("the order", orders.next(GENEROUS)).await
            && order.order.id == id
            && order.double_ack().await.is_ok()
        {
            break;
        }
    }
    eventually("output", || async {
        bus.logs().publish(&output(id), 0, "plan", Bytes::from_static(b"x"), Some(1)).await.ok()?.wait().await.ok()
    })
    .await;
    let chunk = eventually("the output", || async { bus.logs().next(&written(id), 0).await.ok()? }).await;
    assert_eq!(chunk.bytes, "x");
    eventually("a view", || async { bus.views().put(&view(run, n)).await.ok() }).await;
    assert_eq!(eventually("the view", || async { bus.views().get(run).await.ok()? }).await.seq, n);
    eventually("an object", || async { bus.artifacts(&pool).put(&run.to_string(), &b"plan"[..]).await.ok() }).await;
    run
}

#[tokio::test]
async fn everything_goes_on_when_one_of_three_servers_is_killed() {
    let mut cluster = Cluster::start("sync_interval: 2m");
    let bus = cluster.connect().await;
    let layout = Layout { replicas: 3, ..Layout::default() };
    eventually("the layout", || async { bus.migrate(&layout).await.ok() }).await;
    bus.check_layout(&layout).await.unwrap();
    let mut watch = bus.views().watch().await.unwrap();
    let before = one_of_everything(&bus, 1).await;
    let leader = cluster.leader_of(&cluster.plain_client().await, "RUNS").await;
    cluster.kill(leader).await;
    let after = one_of_everything(&bus, 2).await;
    // Sixty-four at once, so that a batch meets a cluster too.
    let commits: Vec<_> = (0..64)
        .map(|_| {
            let log = bus.run_log();
            tokio::spawn(async move { log.commit(run(), 0, b"{}".to_vec(), false).await })
        })
        .collect();
    for one in commits {
        soon("a commit", one).await.unwrap().unwrap();
    }
    for run in [before, after] {
        assert_eq!(bus.run_log().load(run).await.unwrap().len(), 1);
    }
    let open = eventually("the open runs", || async {
        let open = bus.run_log().open_runs(SHARD).await.ok()?;
        (open.len() == 2).then_some(open)
    })
    .await;
    assert!(open.contains(&before) && open.contains(&after), "{open:?}");
    let mut shown = Vec::new();
    while shown.len() < 2 {
        if let ViewEvent::Put(view) = soon("the watch", watch.next()).await.unwrap()
            && !shown.contains(&view.id)
        {
            shown.push(view.id);
        }
    }
    assert_eq!(shown, [before, after]);
}
