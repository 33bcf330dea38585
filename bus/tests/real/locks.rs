//! Locks are taken by whoever saw their last state, several of them all or none.

use crate::support::words::{held_by, lock_key, run};
use crate::support::{Ground, eventually};
use bus::{BusError, Held, Locks};
use proto::RunId;
use proto::lock::{LockKey, LockRecord};
use std::collections::HashSet;

fn empty(key: &LockKey) -> LockRecord {
    LockRecord { key: key.clone(), holder: None, queue: Vec::new() }
}

async fn take(locks: &Locks, keys: &[LockKey], run: RunId) -> Result<Vec<u64>, BusError> {
    let writes: Vec<_> =
        locks.read(keys).await?.into_iter().map(|held| Held { value: held_by(&held.value.key, run), revision: held.revision }).collect();
    locks.write_all(&writes).await
}

#[tokio::test]
async fn a_lock_is_taken_given_back_and_taken_again() {
    let ground = Ground::new().await;
    let (locks, key, first, second) = (ground.bus.locks(), lock_key("git/a/default"), run(), run());
    assert_eq!(locks.read(std::slice::from_ref(&key)).await.unwrap(), [Held { value: empty(&key), revision: 0 }]);
    let taken = take(&locks, std::slice::from_ref(&key), first).await.unwrap();
    assert_eq!(locks.read(std::slice::from_ref(&key)).await.unwrap(), [Held { value: held_by(&key, first), revision: taken[0] }]);
    let freed = locks.write_all(&[Held { value: empty(&key), revision: taken[0] }]).await.unwrap();
    assert_eq!(locks.read(std::slice::from_ref(&key)).await.unwrap(), [Held { value: empty(&key), revision: freed[0] }]);
    take(&locks, std::slice::from_ref(&key), second).await.unwrap();
    assert_eq!(locks.list().await.unwrap(), [held_by(&key, second)]);
}

#[tokio::test]
async fn who_saw_an_older_state_does_not_take_the_lock() {
    let ground = Ground::new().await;
    let (locks, key, winner, loser) = (ground.bus.locks(), lock_key("a"), run(), run());
    let seen = locks.read(std::slice::from_ref(&key)).await.unwrap();
    take(&locks, std::slice::from_ref(&key), winner).await.unwrap();
    let lost = locks.write_all(&[Held { value: held_by(&key, loser), revision: seen[0].revision }]).await;
    assert!(matches!(lost, Err(BusError::Conflict { .. })), "{lost:?}");
    assert_eq!(locks.list().await.unwrap(), [held_by(&key, winner)]);
}

#[tokio::test]
async fn several_locks_are_taken_all_or_none() {
    let ground = Ground::new().await;
    let locks = ground.bus.locks();
    let keys: Vec<LockKey> = (0..5).map(|n| lock_key(&format!("lock-{n}"))).collect();
    let (first, second) = (run(), run());
    let seen = locks.read(&keys).await.unwrap();
    // One of them is taken in between.
    take(&locks, &keys[3..4], first).await.unwrap();
    let writes: Vec<_> = seen.iter().map(|held| Held { value: held_by(&held.value.key, second), revision: held.revision }).collect();
    let lost = locks.write_all(&writes).await;
    assert!(matches!(lost, Err(BusError::Conflict { .. })), "{lost:?}");
    assert_eq!(locks.list().await.unwrap(), [held_by(&keys[3], first)], "none of the others was taken");
    let revisions = take(&locks, &keys, second).await.unwrap();
    let now = locks.read(&keys).await.unwrap();
    for ((held, revision), key) in now.iter().zip(revisions).zip(&keys) {
        assert_eq!(held, &Held { value: held_by(key, second), revision });
    }
}

#[tokio::test]
async fn of_many_who_want_overlapping_sets_nobody_ever_holds_a_part() {
    let ground = Ground::new().await;
    let keys: Vec<LockKey> = (0..4).map(|n| lock_key(&format!("lock-{n}"))).collect();
    let mut tries = Vec::new();
    for n in 0..24 {
        let locks = ground.bus.locks();
        let set = vec![keys[n % 4].clone(), keys[(n + 1) % 4].clone()];
        tries.push(tokio::spawn(async move { (set.clone(), take(&locks, &set, run()).await) }));
    }
    let mut won = 0;
    for one in tries {
        match one.await.unwrap() {
            (_, Ok(_)) => won += 1,
            (_, Err(BusError::Conflict { .. })) => {}
            (_, Err(other)) => panic!("{other}"),
        }
    }
    assert!(won >= 1);
    // Every record was written by somebody who wrote a neighbour at the same instant: revisions come in pairs.
    let now = ground.bus.locks().read(&keys).await.unwrap();
    let revisions: HashSet<u64> = now.iter().map(|held| held.revision).filter(|r| *r > 0).collect();
    let last = *revisions.iter().max().unwrap();
    let pair: Vec<_> = now.iter().filter(|held| held.revision == last || held.revision == last - 1).collect();
    assert_eq!(pair.len(), 2, "{now:?}");
    assert_eq!(pair[0].value.holder, pair[1].value.holder);
}

#[tokio::test]
async fn a_lock_written_twice_at_once_is_refused() {
    let ground = Ground::new().await;
    let key = lock_key("a");
    let twice = [Held { value: empty(&key), revision: 0 }, Held { value: empty(&key), revision: 0 }];
    assert!(matches!(ground.bus.locks().write_all(&twice).await, Err(BusError::Invalid { .. })));
    assert_eq!(ground.bus.locks().write_all(&[]).await.unwrap(), Vec::<u64>::new());
}

#[tokio::test]
async fn locks_are_held_over_a_killed_server() {
    let mut ground = Ground::new().await;
    let keys = [lock_key("a"), lock_key("b")];
    let run = run();
    let revisions = take(&ground.bus.locks(), &keys, run).await.unwrap();
    ground.kill_and_start_again().await;
    let read = eventually("the locks", || async { ground.bus.locks().read(&keys).await.ok() }).await;
    assert_eq!(read.iter().map(|h| h.revision).collect::<Vec<_>>(), revisions);
    assert!(read.iter().all(|h| h.value.holder.as_ref().is_some_and(|holder| holder.run == run)));
}

#[tokio::test]
async fn the_bucket_is_one_that_everybody_can_read() {
    let ground = Ground::new().await;
    let (key, run) = (lock_key("a"), run());
    take(&ground.bus.locks(), std::slice::from_ref(&key), run).await.unwrap();
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let bucket = js.get_key_value("LOCKS").await.unwrap();
    let value = bucket.get(key.bucket_key()).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<LockRecord>(&value).unwrap(), held_by(&key, run));
}
