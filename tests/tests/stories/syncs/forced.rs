//! Branches that are forced elsewhere, new branches, and what a forge does not list.

use super::{World, actions, pairs};
use system_tests::forge::ZERO;

#[tokio::test]
async fn a_forced_push_syncs_what_differs_from_what_was_there() -> anyhow::Result<()> {
    let world = World::new().await?;
    let first = world.head()?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/redis", "created")]));
    let gone = world.head()?;
    world.repo.git(&["reset", "-q", "--hard", &first])?;
    std::fs::write(world.repo.work().join("platform/03.portal/compose.yaml"), "services: {portal: {image: 'nginx:2'}}\n")?;
    world.repo.git(&["commit", "-qam", "another way"])?;
    world.repo.git(&["push", "-qf", "origin", "HEAD"])?;
    let mut payload = world.forge.push("refs/heads/main", &gone, &world.head()?, &[]);
    payload["forced"] = serde_json::json!(true);
    let run = world.forge.deliver("push", &payload).await?.run()?;
    // Redis went back to what it was, and the portal is new: the forge listed neither.
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/portal", "created"), ("platform/redis", "updated")]));
    Ok(())
}

#[tokio::test]
async fn a_branch_that_is_put_back_is_followed_back() -> anyhow::Result<()> {
    let world = World::new().await?;
    let first = world.head()?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    world.synced(&run).await?;
    let bad = world.head()?;
    world.repo.git(&["reset", "-q", "--hard", &first])?;
    world.repo.git(&["push", "-qf", "origin", "HEAD"])?;
    let mut payload = world.forge.push("refs/heads/main", &bad, &first, &[]);
    payload["forced"] = serde_json::json!(true);
    let run = world.forge.deliver("push", &payload).await?.run()?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/redis", "updated")]));
    assert_eq!(world.deployed("staging", "redis").as_deref(), Some(first.as_str()));
    Ok(())
}

#[tokio::test]
async fn where_there_is_nothing_to_compare_with_everything_is_looked_at() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.forge.pushed(ZERO, &world.head()?, &[]).await?.run()?;
    let view = world.ended(&run).await?;
    assert_eq!(actions(&view).len(), 3, "{view:#}");
    assert_eq!(view["syncs"]["compared"]["from"], "everything");
    // Of a commit that nobody has any more the forge's list is all there is. It is believed only when it is whole.
    let never = "1".repeat(40);
    let run = world.forge.pushed(&never, &world.head()?, &["platform/02.redis/compose.yaml"]).await?.run()?;
    let view = world.ended(&run).await?;
    assert_eq!(actions(&view), pairs(&[("platform/redis", "skipped")]), "{view:#}");
    assert_eq!(view["syncs"]["compared"]["from"], "payload");
    Ok(())
}

#[tokio::test]
async fn files_that_the_forge_does_not_list_are_found_all_the_same() -> anyhow::Result<()> {
    let world = World::new().await?;
    let before = world.head()?;
    let after = world.repo.commit(&[("platform/03.portal/compose.yaml", "services: {portal: {image: 'nginx:2'}}\n")])?;
    let run = world.forge.pushed(&before, &after, &["README.md"]).await?.run()?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/portal", "created")]));
    Ok(())
}
