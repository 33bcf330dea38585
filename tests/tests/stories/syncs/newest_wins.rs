//! Syncs of the same service that wait are one sync, of the newest commit; others wait for nobody.

use super::{Wanted, World, actions, job, pairs};

/// Syncs wait until a file is there, so that what comes meanwhile waits behind them.
const HELD: &str =
    r#"["sh", "-c", "touch $OUTSIDE/{service}.began; until [ -e $OUTSIDE/{service}.go ]; do sleep 0.05; done; exec invoke {task}"]"#;

#[tokio::test]
async fn of_syncs_that_wait_for_the_same_service_the_newest_is_done() -> anyhow::Result<()> {
    let world = World::with(Wanted { command: Some(HELD), ..Wanted::default() }).await?;
    let redis = |version: u32| format!("services: {{redis: {{image: 'redis:{version}'}}}}\n");
    let file = "platform/02.redis/compose.yaml";
    let first = world.push(&[(file, &redis(8))]).await?;
    world.job(&first, "platform/redis", "running").await?;
    let second = world.push(&[(file, &redis(9))]).await?;
    world.job(&second, "platform/redis", "blocked").await?;
    let third = world.push(&[(file, &redis(10))]).await?;
    // The second is not needed any more: it ends while the first still runs.
    let view = world.ended(&second).await?;
    assert_eq!((view["status"].as_str(), actions(&view)), (Some("success"), pairs(&[("platform/redis", "superseded")])), "{view:#}");
    let by = &job(&view, "platform/redis")?["sync"]["superseded_by"];
    assert_eq!(by.as_str(), Some(third.as_str()));
    std::fs::write(world.path("redis.go"), "")?;
    assert_eq!(world.synced(&first).await?, pairs(&[("platform/redis", "created")]));
    assert_eq!(world.synced(&third).await?, pairs(&[("platform/redis", "updated")]));
    assert_eq!(world.deployed("staging", "redis").as_deref(), Some(world.head()?.as_str()));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_busy_keeps_no_other_from_being_synced() -> anyhow::Result<()> {
    let world = World::with(Wanted { command: Some(HELD), ..Wanted::default() }).await?;
    let slow = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    world.job(&slow, "platform/redis", "running").await?;
    std::fs::write(world.path("postgres.go"), "")?;
    let both = world
        .push(&[
            ("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:18'}}\n"),
            ("platform/02.redis/README.md", "r"),
        ])
        .await?;
    world.job(&both, "platform/postgres", "succeeded").await?;
    world.job(&both, "platform/redis", "blocked").await?;
    let locks = world.fleet.client.get("/v1/locks").await?;
    assert!(locks.to_string().contains("staging/platform/redis") && !locks.to_string().contains("staging/platform/postgres"), "{locks:#}");
    std::fs::write(world.path("redis.go"), "")?;
    world.synced(&slow).await?;
    world.synced(&both).await?;
    Ok(())
}
