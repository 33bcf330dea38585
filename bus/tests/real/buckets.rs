//! Workers, sealed secrets and keys: put, read, listed, gone, and still so after the server was killed.

use crate::support::words::{heartbeat, run, seat};
use crate::support::{Ground, eventually, soon};
use bus::{BusError, FleetEvent, KeyPair, seal_to};
use proto::message::Sealed;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

#[tokio::test]
async fn workers_are_listed_while_they_are_there() {
    let ground = Ground::new().await;
    let fleet = ground.bus.fleet();
    assert_eq!(fleet.list().await.unwrap(), []);
    for (worker, slots) in [("a", 1), ("b", 2), ("a", 3)] {
        fleet.beat(&heartbeat(worker, slots)).await.unwrap();
    }
    let mut listed = fleet.list().await.unwrap();
    listed.sort_by(|x, y| x.worker.cmp(&y.worker));
    assert_eq!(listed, [heartbeat("a", 3), heartbeat("b", 2)]);
    fleet.leave(&seat("a")).await.unwrap();
    assert_eq!(fleet.list().await.unwrap(), [heartbeat("b", 2)]);
}

#[tokio::test]
async fn who_follows_the_fleet_hears_of_every_worker_also_after_the_server_was_killed() {
    let mut ground = Ground::new().await;
    let fleet = ground.bus.fleet();
    fleet.beat(&heartbeat("a", 1)).await.unwrap();
    let mut watch = fleet.watch().await.unwrap();
    assert_eq!(soon("a", watch.next()).await, Some(FleetEvent::Put(heartbeat("a", 1))));
    assert_eq!(soon("the end", watch.next()).await, Some(FleetEvent::CaughtUp));
    fleet.beat(&heartbeat("b", 1)).await.unwrap();
    assert_eq!(soon("b", watch.next()).await, Some(FleetEvent::Put(heartbeat("b", 1))));
    ground.kill_and_start_again().await;
    eventually("a heartbeat", || async { fleet.beat(&heartbeat("c", 1)).await.ok() }).await;
    eventually("a goodbye", || async { fleet.leave(&seat("a")).await.ok() }).await;
    let mut heard = HashSet::new();
    while heard.len() < 2 {
        match soon("the watch", watch.next()).await.unwrap() {
            FleetEvent::Put(h) if h.worker.as_str() == "c" => drop(heard.insert("c came")),
            FleetEvent::Gone(seat) if seat.worker.as_str() == "a" => drop(heard.insert("a went")),
            FleetEvent::Put(_) | FleetEvent::Gone(_) | FleetEvent::CaughtUp => {}
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_silent_for_too_long_is_gone() {
    let ground = Ground::new().await;
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let mut impatient = js.get_stream("KV_FLEET").await.unwrap().cached_info().config.clone();
    impatient.max_age = std::time::Duration::from_secs(1);
    impatient.duplicate_window = impatient.max_age;
    js.update_stream(impatient).await.unwrap();
    let fleet = ground.bus.fleet();
    let mut watch = fleet.watch().await.unwrap();
    assert_eq!(soon("the end of nothing", watch.next()).await, Some(FleetEvent::CaughtUp));
    fleet.beat(&heartbeat("a", 1)).await.unwrap();
    assert_eq!(soon("its heartbeat", watch.next()).await, Some(FleetEvent::Put(heartbeat("a", 1))));
    assert_eq!(soon("its end", watch.next()).await, Some(FleetEvent::Gone(seat("a"))));
    assert_eq!(fleet.list().await.unwrap(), []);
    fleet.beat(&heartbeat("a", 2)).await.unwrap();
    assert_eq!(soon("its return", watch.next()).await, Some(FleetEvent::Put(heartbeat("a", 2))));
}

#[tokio::test]
async fn sealed_secrets_are_stored_sealed_and_gone_when_removed() {
    let ground = Ground::new().await;
    let (secrets, run, pair) = (ground.bus.sealed(), run(), KeyPair::generate());
    let sealed = seal_to(&pair.public_hex(), &run.to_string(), b"hunter2").unwrap();
    assert_eq!(secrets.get(run).await.unwrap(), None);
    secrets.delete(run).await.unwrap();
    secrets.put(run, &sealed).await.unwrap();
    let read = secrets.get(run).await.unwrap().unwrap();
    assert_eq!(pair.open(&read, &run.to_string()).unwrap(), b"hunter2");
    secrets.delete(run).await.unwrap();
    secrets.delete(run).await.unwrap();
    assert_eq!(secrets.get(run).await.unwrap(), None);
    secrets.put(run, &sealed).await.unwrap();
    assert_eq!(secrets.get(run).await.unwrap(), Some(sealed));
}

#[tokio::test]
async fn a_bundle_is_created_once_and_listed_until_it_is_removed() {
    let ground = Ground::new().await;
    let (secrets, run, pair) = (ground.bus.sealed(), run(), KeyPair::generate());
    let [first, second] = [b"one", b"two"].map(|plain| seal_to(&pair.public_hex(), "c", plain).unwrap());
    secrets.create(run, &first).await.unwrap();
    let twice = secrets.create(run, &second).await;
    assert!(matches!(twice, Err(BusError::Conflict { .. })), "{twice:?}");
    assert_eq!(secrets.get(run).await.unwrap(), Some(first));
    assert_eq!(secrets.list().await.unwrap(), [run]);
    secrets.delete(run).await.unwrap();
    assert_eq!(secrets.list().await.unwrap(), []);
    secrets.create(run, &second).await.unwrap();
    assert_eq!(secrets.get(run).await.unwrap(), Some(second));
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    name: String,
}

fn key(name: &str) -> Key {
    Key { name: name.to_owned() }
}

#[tokio::test]
async fn keys_are_created_once_listed_by_prefix_and_removed() {
    let mut ground = Ground::new().await;
    let keys = ground.bus.keys();
    keys.create("api.1", &key("one")).await.unwrap();
    let twice = keys.create("api.1", &key("other")).await;
    assert!(matches!(twice, Err(BusError::Conflict { .. })), "{twice:?}");
    keys.put("api.2", &key("two")).await.unwrap();
    keys.put("api.2", &key("zwei")).await.unwrap();
    keys.put("sealing.public", &key("s")).await.unwrap();
    let listed = keys.list::<Key>("api.").await.unwrap();
    assert_eq!(listed, [("api.1".to_owned(), key("one")), ("api.2".to_owned(), key("zwei"))]);
    keys.delete("api.1").await.unwrap();
    assert_eq!(keys.get::<Key>("api.1").await.unwrap(), None);
    keys.create("api.1", &key("again")).await.unwrap();
    ground.kill_and_start_again().await;
    let read = eventually("the key", || async { keys.get::<Key>("api.1").await.ok() }).await;
    assert_eq!(read, Some(key("again")));
    let wild = keys.get::<Key>("api.*").await;
    assert!(matches!(wild, Err(BusError::Invalid { .. })), "{wild:?}");
}

#[tokio::test]
async fn a_key_of_another_shape_is_an_error_and_not_an_absence() {
    let ground = Ground::new().await;
    let keys = ground.bus.keys();
    keys.put("api.1", &17).await.unwrap();
    let read = keys.get::<Key>("api.1").await;
    assert!(matches!(read, Err(BusError::Corrupt { .. })), "{read:?}");
}

#[tokio::test]
async fn a_heartbeat_under_another_worker_s_key_counts_for_nothing() {
    let ground = Ground::new().await;
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let forged = serde_json::to_vec(&heartbeat("a", 1)).unwrap();
    for key in ["worker.default.b", "worker.gpu.a", "worker.a"] {
        js.publish(format!("$KV.FLEET.{key}"), forged.clone().into()).await.unwrap().await.unwrap();
    }
    let fleet = ground.bus.fleet();
    assert_eq!(fleet.list().await.unwrap(), []);
    let mut watch = fleet.watch().await.unwrap();
    assert_eq!(soon("the end of nothing", watch.next()).await, Some(FleetEvent::CaughtUp));
}

#[tokio::test]
async fn of_two_gateways_that_tell_the_same_one_is_told_that_the_other_does() {
    let ground = Ground::new().await;
    let (notices, key) = (ground.bus.notices(), proto::subject::comment_key(run()));
    let (mut ours, theirs) = (notices.get::<String>(&key).await.unwrap(), notices.get::<String>(&key).await.unwrap());
    assert_eq!((ours.value.as_str(), ours.revision), ("", 0));
    ours.value = "mine".to_owned();
    ours.revision = notices.change(&key, &ours).await.unwrap();
    assert!(matches!(notices.change(&key, &theirs).await, Err(BusError::Conflict { .. })));
    ours.value = "done".to_owned();
    notices.change(&key, &ours).await.unwrap();
    assert_eq!(notices.list::<String>().await.unwrap(), [(key, "done".to_owned())]);
}

#[tokio::test]
async fn bundles_of_a_run_in_pages_are_listed_as_one_run_and_removed_page_by_page() {
    let ground = Ground::new().await;
    let (sealed, run) = (ground.bus.sealed(), run());
    let page = |n: u32| Sealed { key_id: n.to_string(), encapsulated: String::new(), ciphertext: String::new() };
    for n in 0..3 {
        sealed.put_page(run, n, &page(n)).await.unwrap();
    }
    assert_eq!(sealed.page(run, 2).await.unwrap(), Some(page(2)));
    assert_eq!(sealed.list().await.unwrap(), [run]);
    for n in 0..3 {
        sealed.delete_page(run, n).await.unwrap();
    }
    assert_eq!((sealed.page(run, 2).await.unwrap(), sealed.list().await.unwrap()), (None, Vec::new()));
}
