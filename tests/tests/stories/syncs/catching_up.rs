//! What got lost on the way is caught up with, and nothing goes back in time.

use super::{World, actions, pairs};

#[tokio::test]
async fn a_push_that_was_never_told_of_is_synced_by_the_next_one() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.push(&[("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:18'}}\n")]).await?;
    world.synced(&run).await?;
    // The forge was down, or the delivery was dropped.
    world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")])?;
    let run = world.push(&[("platform/03.portal/compose.yaml", "services: {portal: {image: 'nginx:2'}}\n")]).await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/portal", "created"), ("platform/redis", "created")]));
    Ok(())
}

#[tokio::test]
async fn a_push_that_was_lost_behind_one_that_came_late_is_synced_too() -> anyhow::Result<()> {
    let world = World::new().await?;
    let first = world.head()?;
    let second = world.repo.commit(&[("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:18'}}\n")])?;
    world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")])?;
    // The branch has moved on when the first is looked at; of the second nobody ever tells.
    let run = world.forge.pushed(&first, &second, &[]).await?.run()?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/postgres", "created")]));
    let run = world.push(&[("platform/03.portal/compose.yaml", "services: {portal: {image: 'nginx:2'}}\n")]).await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/portal", "created"), ("platform/redis", "created")]));
    Ok(())
}

#[tokio::test]
async fn of_deliveries_in_the_wrong_order_the_newest_commit_is_deployed() -> anyhow::Result<()> {
    let world = World::new().await?;
    let file = "platform/02.redis/compose.yaml";
    let first = world.head()?;
    let second = world.repo.commit(&[(file, "services: {redis: {image: 'redis:8'}}\n")])?;
    let third = world.repo.commit(&[(file, "services: {redis: {image: 'redis:9'}}\n")])?;
    let later = world.forge.pushed(&second, &third, &[file]).await?.run()?;
    world.synced(&later).await?;
    let earlier = world.forge.pushed(&first, &second, &[file]).await?.run()?;
    let view = world.ended(&earlier).await?;
    assert_eq!(actions(&view), pairs(&[("platform/redis", "skipped")]), "{view:#}");
    assert_eq!(world.deployed("staging", "redis").as_deref(), Some(third.as_str()));
    // What was left alone is still known as it is: one that is late again does not put it back either.
    let again = world.forge.pushed(&first, &third, &[file]).await?.run()?;
    assert_eq!(actions(&world.ended(&again).await?), pairs(&[("platform/redis", "skipped")]));
    assert_eq!(world.deployed("staging", "redis").as_deref(), Some(third.as_str()));
    Ok(())
}

#[tokio::test]
async fn a_broken_mapping_leaves_the_last_good_one_in_force() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    world.synced(&run).await?;
    let broken = "version: 1\nservices:\n  platform/portal:\n    affter: [platform/postgres]\n";
    let run =
        world.push(&[("navvy.yaml", broken), ("platform/03.portal/compose.yaml", "services: {portal: {image: 'nginx:2'}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!(actions(&view), pairs(&[("platform/portal", "created")]), "{view:#}");
    let notes = view["syncs"]["notes"].to_string();
    assert!(notes.contains("navvy.yaml:4:") && notes.contains("after"), "{notes}");
    Ok(())
}
