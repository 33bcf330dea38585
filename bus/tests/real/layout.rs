//! The layout is brought about once, stays what it is, heals where it may, and refuses where it must.

use crate::support::Ground;
use crate::support::words::{held_by, lock_key, run};
use async_nats::jetstream;
use bus::{BusError, Held, Layout};
use proto::PoolName;

fn problems(result: Result<(), BusError>) -> Vec<String> {
    match result {
        Err(BusError::Layout { problems }) => problems,
        other => panic!("no problems with the layout: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_migration_does_nothing_and_the_layout_checks_out() {
    let ground = Ground::bare().await;
    let missing = problems(ground.bus.check_layout(&Layout::default()).await);
    assert_eq!(missing.len(), 16, "{missing:?}");
    assert!(missing.iter().all(|p| p.contains("is missing")), "{missing:?}");
    let done = ground.bus.migrate(&Layout::default()).await.unwrap();
    assert_eq!(done.iter().filter(|d| d.starts_with("created stream")).count(), 16, "{done:?}");
    assert_eq!(done.iter().filter(|d| d.starts_with("created consumer")).count(), 2, "{done:?}");
    assert_eq!(ground.bus.migrate(&Layout::default()).await.unwrap(), Vec::<String>::new());
    ground.bus.check_layout(&Layout::default()).await.unwrap();
}

#[tokio::test]
async fn the_layout_survives_a_killed_server() {
    let mut ground = Ground::new().await;
    ground.kill_and_start_again().await;
    let bus = ground.connect().await;
    bus.check_layout(&Layout::default()).await.unwrap();
}

#[tokio::test]
async fn more_pools_and_shards_are_added_and_what_differs_is_named_and_healed() {
    let ground = Ground::new().await;
    let gpu: PoolName = "gpu".parse().unwrap();
    let more = Layout { shards: 2, pools: vec![PoolName::default(), gpu], ..Layout::default() };
    let missing = problems(ground.bus.check_layout(&more).await);
    // A consumer for the shard; a consumer and an object store for the pool.
    assert_eq!(missing.len(), 3, "{missing:?}");
    let js = jetstream::new(ground.plain_client().await);
    let mut logs = js.get_stream("LOGS").await.unwrap().cached_info().config.clone();
    logs.max_consumers = 7;
    logs.max_bytes = 1 << 30;
    logs.allow_direct = false;
    js.delete_stream("LOGS").await.unwrap();
    js.create_stream(logs).await.unwrap();
    let named = problems(ground.bus.check_layout(&more).await).join("\n");
    assert!(named.contains("stream LOGS: max_consumers is 7, must be -1"), "{named}");
    let done = ground.bus.migrate(&more).await.unwrap().join("\n");
    assert!(done.contains("updated stream LOGS"), "{done}");
    ground.bus.check_layout(&more).await.unwrap();
    let healed = js.get_stream("LOGS").await.unwrap().cached_info().config.clone();
    assert_eq!(healed.max_bytes, 1 << 30, "what the operator set stays");
}

#[tokio::test]
async fn a_missing_bucket_of_locks_is_not_created_while_runs_are_open() {
    let ground = Ground::new().await;
    let (open, closed) = (run(), run());
    let log = ground.bus.run_log();
    log.commit(open, 0, b"{}".to_vec(), true).await.unwrap();
    let seq = log.commit(closed, 0, b"{}".to_vec(), true).await.unwrap();
    log.commit(closed, seq, b"{}".to_vec(), false).await.unwrap();
    let key = lock_key("a");
    ground.bus.locks().write_all(&[Held { value: held_by(&key, open), revision: 0 }]).await.unwrap();
    jetstream::new(ground.plain_client().await).delete_stream("KV_LOCKS").await.unwrap();

    let refused = problems(ground.bus.migrate(&Layout::default()).await.map(|_| ()));
    assert!(refused[0].contains("LOCKS is missing while 1 runs are open"), "{refused:?}");
    let still = problems(ground.bus.check_layout(&Layout::default()).await);
    assert_eq!(still, ["stream KV_LOCKS is missing (run `navvy admin migrate`)"], "nothing was created");
    // A bucket that is missing is a fault, never an empty one.
    assert!(matches!(ground.bus.locks().read(&[key]).await, Err(BusError::NotFound { .. })));

    let seq = log.load(open).await.unwrap()[0].0;
    log.commit(open, seq, b"{}".to_vec(), false).await.unwrap();
    let done = ground.bus.migrate(&Layout::default()).await.unwrap();
    assert_eq!(done, ["created stream KV_LOCKS"]);
}
