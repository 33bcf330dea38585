//! Objects come back as they were stored, or with an error.

use crate::support::{Ground, eventually, soon};
use bus::{Artifacts, BusError};
use proto::PoolName;
use sha2::{Digest as _, Sha256};
use std::io;
use tokio::io::AsyncReadExt as _;

async fn read(artifacts: &Artifacts, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    artifacts.get(name).await.map_err(io::Error::other)?.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn objects_of_every_length_come_back_as_they_were_stored() {
    let ground = Ground::new().await;
    let artifacts = ground.bus.artifacts(&PoolName::default());
    for length in [0_usize, 1, 128 * 1024, 128 * 1024 + 1, 1_000_003] {
        let bytes: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
        let name = format!("plan/{length}");
        let stored = artifacts.put(&name, bytes.as_slice()).await.unwrap();
        assert_eq!(stored.bytes, length as u64);
        assert_eq!(stored.sha256, hex::encode(Sha256::digest(&bytes)));
        assert!(artifacts.exists(&name).await.unwrap());
        assert_eq!(soon("the object", read(&artifacts, &name)).await.unwrap(), bytes, "{length}");
    }
}

#[tokio::test]
async fn an_object_is_replaced_and_removed() {
    let ground = Ground::new().await;
    let artifacts = ground.bus.artifacts(&PoolName::default());
    assert!(matches!(artifacts.get("a").await, Err(BusError::NotFound { .. })));
    assert!(!artifacts.exists("a").await.unwrap());
    artifacts.delete("a").await.unwrap();
    artifacts.put("a", &b"one"[..]).await.unwrap();
    artifacts.put("a", &b"two"[..]).await.unwrap();
    assert_eq!(read(&artifacts, "a").await.unwrap(), b"two");
    artifacts.delete("a").await.unwrap();
    assert!(matches!(artifacts.get("a").await, Err(BusError::NotFound { .. })));
    assert!(!artifacts.exists("a").await.unwrap());
}

#[tokio::test]
async fn an_object_with_a_missing_part_is_an_error_and_not_a_shorter_object() {
    let ground = Ground::new().await;
    let artifacts = ground.bus.artifacts(&PoolName::default());
    artifacts.put("a", vec![7_u8; 400_000].as_slice()).await.unwrap();
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let stream = js.get_stream("OBJ_ARTIFACTS_default").await.unwrap();
    stream.delete_message(2).await.unwrap();
    assert!(soon("an error", read(&artifacts, "a")).await.is_err());
}

#[tokio::test]
async fn objects_outlive_a_killed_server_and_can_be_stored_after_it() {
    let mut ground = Ground::new().await;
    let artifacts = ground.bus.artifacts(&PoolName::default());
    artifacts.put("before", &b"before"[..]).await.unwrap();
    ground.kill().await;
    let failed = soon("an error", artifacts.put("during", &b"during"[..])).await;
    assert!(failed.is_err_and(|error| error.retryable()));
    ground.start_again().await;
    let bytes = eventually("the object", || async { read(&artifacts, "before").await.ok() }).await;
    assert_eq!(bytes, b"before");
    artifacts.put("after", &b"after"[..]).await.unwrap();
    assert_eq!(read(&artifacts, "after").await.unwrap(), b"after");
}

#[tokio::test]
async fn another_client_reads_what_we_store_and_we_read_what_it_stores() {
    let ground = Ground::new().await;
    let ours = ground.bus.artifacts(&PoolName::default());
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let theirs = js.get_object_store("ARTIFACTS_default").await.unwrap();
    let bytes: Vec<u8> = (0..300_000).map(|n| (n * 11 % 253) as u8).collect();
    ours.put("plan/a", bytes.as_slice()).await.unwrap();
    let mut read_by_them = Vec::new();
    soon("the object", theirs.get("plan/a").await.unwrap().read_to_end(&mut read_by_them)).await.unwrap();
    assert_eq!(read_by_them, bytes);
    theirs.put("plan/b", &mut bytes.as_slice()).await.unwrap();
    assert_eq!(read(&ours, "plan/b").await.unwrap(), bytes);
    ours.delete("plan/b").await.unwrap();
    assert!(theirs.get("plan/b").await.is_err());
}

#[tokio::test]
async fn what_is_replaced_or_removed_takes_no_room_although_nothing_is_purged() {
    let ground = Ground::new().await;
    let artifacts = ground.bus.artifacts(&PoolName::default());
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let stored = || async { js.get_stream("OBJ_ARTIFACTS_default").await.unwrap().cached_info().state.clone() };
    for _ in 0..3 {
        artifacts.put("a", vec![7_u8; 1_000_000].as_slice()).await.unwrap();
    }
    let replaced = stored().await;
    // The chunks of the last one, what is stored about it, and an empty message for each that was replaced.
    assert_eq!(replaced.messages, 8 + 1 + 2);
    assert!(replaced.bytes < 1_100_000, "{replaced:?}");
    artifacts.delete("a").await.unwrap();
    assert!(stored().await.bytes < 10_000);
}
