//! Whatever dies: what was accepted is synced, and nothing is synced twice.

use super::{Wanted, World, actions, pairs};
use serde_json::json;
use system_tests::eventually;

/// A sync that is counted, and waits to be let on.
const COUNTED: &str =
    r#"["sh", "-c", "echo {service} >> $OUTSIDE/effects; until [ -e $OUTSIDE/go ]; do sleep 0.05; done; exec invoke {task}"]"#;

#[tokio::test]
async fn a_delivery_that_comes_again_is_one_run() -> anyhow::Result<()> {
    let world = World::new().await?;
    let before = world.head()?;
    let after = world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")])?;
    let body = serde_json::to_vec(&world.forge.push("refs/heads/main", &before, &after, &[]))?;
    let first = world.forge.deliver_as("delivery-1", "push", &body).await?;
    world.synced(&first.run()?).await?;
    let replay = world.forge.deliver_as("delivery-1", "push", &body).await?;
    assert_eq!((replay.status.as_u16(), &replay.body["status"]), (202, &json!("duplicate")), "{}", replay.body);
    let other_id = world.forge.deliver_as("delivery-2", "push", &body).await?;
    assert_eq!(other_id.status.as_u16(), 202, "{}", other_id.body);
    let runs = world.fleet.client.get("/v1/runs").await?;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs:#}");
    Ok(())
}

#[tokio::test]
async fn a_push_that_was_accepted_is_synced_whoever_is_killed_meanwhile() -> anyhow::Result<()> {
    let mut world = World::with(Wanted { workers: &["alpha", "beta"], command: Some(COUNTED), ..Wanted::default() }).await?;
    world.fleet.kill("scheduler")?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    world.fleet.kill("gateway")?;
    world.fleet.start("scheduler").await?;
    world.fleet.start("gateway").await?;
    world.job(&run, "platform/redis", "running").await?;
    world.fleet.kill("scheduler")?;
    world.fleet.start("scheduler").await?;
    std::fs::write(world.path("go"), "")?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/redis", "created")]));
    assert_eq!(std::fs::read_to_string(world.path("effects"))?, "redis\n");
    Ok(())
}

#[tokio::test]
async fn a_worker_lost_in_a_sync_is_not_guessed_about_and_the_others_go_on() -> anyhow::Result<()> {
    let settings = "[scheduler]\nlease = \"3s\"\nsweep = \"1s\"\n[worker]\nheartbeat = \"500ms\"\nslots = 1\n";
    let mut world = World::with(Wanted { workers: &["alpha"], command: Some(COUNTED), settings, ..Wanted::default() }).await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    eventually("the sync to have begun", || async { Ok(world.path("effects").exists().then_some(())) }).await?;
    // The machine is gone, with all that ran on it: what the runner started may still run, and nobody can say.
    world.fleet.kill("alpha")?;
    let view = world.unknown(&run).await?;
    assert_eq!(actions(&view), pairs(&[("platform/redis", "unknown")]), "{view:#}");
    std::fs::write(world.path("go"), "")?;
    world.fleet.start("beta").await?;
    let other = world.push(&[("platform/01.postgres/compose.yaml", "services: {postgres: {}}\n")]).await?;
    assert_eq!(world.synced(&other).await?, pairs(&[("platform/postgres", "created")]), "a service that is not lost");
    let locks = world.fleet.client.get("/v1/locks").await?;
    assert!(locks.to_string().contains("staging/platform/redis"), "its lock stays held: {locks:#}");
    world.fleet.client.settle(&run, &json!({"as": "failed", "reason": "looked at the host"})).await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    Ok(())
}
