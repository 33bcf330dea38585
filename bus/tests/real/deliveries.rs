//! What gateways keep about requests: each delivery once, newest first; one run a deployment; each nonce once.

use crate::support::Ground;
use bus::{BusError, Held};
use proto::SourceId;

fn source(name: &str) -> SourceId {
    name.parse().unwrap()
}

fn conflict(result: &Result<(), BusError>) -> bool {
    matches!(result, Err(BusError::Conflict { .. }))
}

#[tokio::test]
async fn a_delivery_is_stored_once_also_after_the_server_was_killed() {
    let mut ground = Ground::new().await;
    let deliveries = ground.bus.deliveries();
    assert_eq!(deliveries.last_of::<String>(&source("a"), "d1").await.unwrap(), None);
    deliveries.create("a.d1.b1", &"first").await.unwrap();
    assert!(conflict(&deliveries.create("a.d1.b1", &"again").await));
    ground.kill_and_start_again().await;
    let deliveries = ground.connect().await.deliveries();
    assert!(conflict(&deliveries.create("a.d1.b1", &"again").await));
    assert_eq!(deliveries.get::<String>("a.d1.b1").await.unwrap().as_deref(), Some("first"));
    deliveries.create("a.d1.b2", &"another body").await.unwrap();
    let last = deliveries.last_of::<String>(&source("a"), "d1").await.unwrap();
    assert_eq!(last, Some(("a.d1.b2".to_owned(), "another body".to_owned())));
    assert_eq!(deliveries.last_of::<String>(&source("b"), "d1").await.unwrap(), None);
    let wild = deliveries.create("a.*.b1", &"x").await;
    assert!(matches!(wild, Err(BusError::Invalid { .. })), "{wild:?}");
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_in_pages() {
    let ground = Ground::new().await;
    let deliveries = ground.bus.deliveries();
    for n in 0..600_u32 {
        let of = if n % 100 == 0 { "rare" } else { "busy" };
        deliveries.put(&format!("{of}.d{n}.b"), &n).await.unwrap();
    }
    // What is stored again stands where it was stored last.
    deliveries.put("busy.d1.b", &1_u32).await.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = deliveries.before::<u32>(None, before, 250, |_| true).await.unwrap();
        seen.extend(page.found.into_iter().map(|stored| stored.record));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<u32> = std::iter::once(1).chain((0..600).rev().filter(|n| *n != 1)).collect();
    assert_eq!(seen, expected);
    let rare = deliveries.before::<u32>(Some(&source("rare")), None, 100, |_| true).await.unwrap();
    assert_eq!(rare.found.iter().map(|stored| stored.record).collect::<Vec<_>>(), [500, 400, 300, 200, 100, 0]);
    assert_eq!(rare.next, None);
    let few = deliveries.before::<u32>(None, None, 2, |n| n % 7 == 0).await.unwrap();
    assert_eq!(
        few.found.iter().map(|stored| (stored.record, stored.key.as_str())).collect::<Vec<_>>(),
        [(595, "busy.d595.b"), (588, "busy.d588.b")]
    );
    let rest = deliveries.before::<u32>(None, few.next, 1, |n| n % 7 == 0).await.unwrap();
    assert_eq!(rest.found[0].record, 581);
}

#[tokio::test]
async fn of_two_who_change_a_deployment_one_does() {
    let ground = Ground::new().await;
    let deployments = ground.bus.deployments();
    let none: Held<Option<u32>> = deployments.get("0f", "aa").await.unwrap();
    assert_eq!((none.value, none.revision), (None, 0));
    deployments.change("0f", "aa", &1_u32, 0).await.unwrap();
    assert!(conflict(&deployments.change("0f", "aa", &2_u32, 0).await));
    let held: Held<Option<u32>> = deployments.get("0f", "aa").await.unwrap();
    deployments.change("0f", "aa", &2_u32, held.revision).await.unwrap();
    deployments.change("1f", "aa", &3_u32, 0).await.unwrap();
    deployments.change("2f", "bb", &4_u32, 0).await.unwrap();
    assert_eq!(deployments.find::<u32>("0f").await.unwrap(), Some(2));
    assert_eq!(deployments.find::<u32>("3f").await.unwrap(), None);
    let listed = deployments.list::<u32>("aa", 0, 9).await.unwrap();
    assert_eq!((listed.found, listed.next), (vec![2, 3], None));
    assert!(matches!(deployments.find::<u32>("*").await, Err(BusError::Invalid { .. })));
}

#[tokio::test]
async fn deployments_of_a_place_are_listed_in_pages_to_the_last() {
    let ground = Ground::new().await;
    let deployments = ground.bus.deployments();
    for n in 0..700_u32 {
        deployments.change(&format!("d{n}"), if n % 7 == 3 { "bb" } else { "aa" }, &n, 0).await.unwrap();
    }
    let (all, few): (Vec<u32>, Vec<u32>) = (0..700).partition(|n| n % 7 != 3);
    // More than one request brings, in one page; in pages that end with the last, and in such that do not.
    for limit in [1_000, 600, 599, 300, 299, 64] {
        let (mut seen, mut from) = (Vec::new(), 0);
        loop {
            let page = deployments.list::<u32>("aa", from, limit).await.unwrap();
            assert!(page.found.len() == limit || page.next.is_none(), "{limit}");
            seen.extend(page.found);
            let Some(next) = page.next else { break };
            from = next;
        }
        assert_eq!(seen, all, "{limit}");
    }
    assert_eq!(deployments.list::<u32>("bb", 0, 1_000).await.unwrap().found, few);
    let none = deployments.list::<u32>("cc", 0, 1_000).await.unwrap();
    assert_eq!((none.found.len(), none.next), (0, None));
}

#[tokio::test]
async fn a_nonce_is_good_once() {
    let ground = Ground::new().await;
    let (one, other) = ("a".repeat(64), "b".repeat(64));
    ground.bus.nonces().take(&one).await.unwrap();
    assert!(conflict(&ground.bus.nonces().take(&one).await));
    ground.bus.nonces().take(&other).await.unwrap();
    assert!(matches!(ground.bus.nonces().take("a.*").await, Err(BusError::Invalid { .. })));
}
