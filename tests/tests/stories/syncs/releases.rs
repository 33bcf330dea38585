//! Releases: versions that the real repository allocates, from staging to production and back.

use super::{Wanted, World, pairs};
use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};

async fn release(world: &World, body: &Value) -> anyhow::Result<String> {
    let (status, answer) = world.fleet.client.call(Method::POST, "/v1/releases", Some(body)).await?;
    anyhow::ensure!(status.as_u16() == 202, "{status} {answer:#}");
    Ok(answer["run_id"].as_str().context("a run")?.to_owned())
}

async fn made(world: &World, run: &str) -> anyhow::Result<(String, Value)> {
    let view = world.ended(run).await?;
    anyhow::ensure!(view["status"] == "success", "{view:#}");
    let release = view["syncs"]["release"].clone();
    Ok((release["tag"].as_str().context("a tag")?.to_owned(), release))
}

/// The world with a remote that the tags are pushed to.
async fn world() -> anyhow::Result<World> {
    World::with(Wanted::default()).await
}

#[tokio::test]
async fn from_staging_to_production_a_hotfix_without_the_branch_and_back() -> anyhow::Result<()> {
    let world = world().await?;
    let first = world.head()?;
    let (tag, _) = made(&world, &release(&world, &json!({"kind": "staging"})).await?).await?;
    assert_eq!(tag, "v1.0.0");
    let second = world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")])?;
    let run = release(&world, &json!({"kind": "staging"})).await?;
    assert_eq!(made(&world, &run).await?.0, "v1.0.1");
    assert_eq!(world.synced(&run).await?.get("platform/redis").map(String::as_str), Some("updated"));
    assert_eq!(world.deployed("staging", "redis").as_deref(), Some(second.as_str()));
    // Production takes a word, and the release that was tried in staging.
    let promote = json!({"kind": "production", "from": "v1.0.1", "confirm": "deploy"});
    let unconfirmed = json!({"kind": "production", "from": "v1.0.1"});
    let (status, answer) = world.fleet.client.call(Method::POST, "/v1/releases", Some(&unconfirmed)).await?;
    assert!(status.as_u16() == 400 && answer.to_string().contains("deploy"), "{status} {answer}");
    let run = release(&world, &promote).await?;
    let (tag, told) = made(&world, &run).await?;
    assert_eq!((tag.as_str(), &told["kind"], &told["commit"]), ("v1.1.0", &json!("production"), &json!(second)));
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(second.as_str()));
    // Asked for again: the same release, and nothing is deployed twice.
    let again = release(&world, &promote).await?;
    let (tag, told) = made(&world, &again).await?;
    assert_eq!((tag.as_str(), &told["existed"]), ("v1.1.0", &json!(true)));
    let skipped = [("platform/portal", "skipped"), ("platform/postgres", "skipped"), ("platform/redis", "skipped")];
    assert_eq!(world.synced(&again).await?, pairs(&skipped));
    // A hotfix of production, from a commit that never was on the branch.
    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    world.repo.git(&["checkout", "-q", "-b", "mend", "v1.1.0"])?;
    let mended = world.repo.commit(&[("platform/03.portal/compose.yaml", "services: {portal: {image: 'nginx:1.29.1'}}\n")])?;
    let run = release(&world, &json!({"kind": "hotfix", "from": "v1.1.0", "ref": "mend", "confirm": "deploy"})).await?;
    assert_eq!(made(&world, &run).await?.0, "v1.1.1");
    assert_eq!(world.synced(&run).await?.get("platform/portal").map(String::as_str), Some("updated"));
    assert_eq!(world.deployed("production", "portal").as_deref(), Some(mended.as_str()));
    // And back: no new tag, the older commit.
    let run = release(&world, &json!({"kind": "rollback", "from": "v1.1.0", "confirm": "deploy"})).await?;
    assert_eq!(world.synced(&run).await?.get("platform/portal").map(String::as_str), Some("updated"));
    assert_eq!(world.deployed("production", "portal").as_deref(), Some(second.as_str()));
    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    let tags = world.repo.git(&["tag", "--list", "v*"])?;
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["v1.0.0", "v1.0.1", "v1.1.0", "v1.1.1"]);
    for tag in tags.lines() {
        assert_eq!(world.repo.git(&["cat-file", "-t", tag])?, "tag", "{tag} is annotated");
    }
    assert_eq!(world.repo.git(&["rev-parse", "v1.0.0^{commit}"])?, first);
    let listed = world.fleet.client.get("/v1/releases").await?;
    assert!(listed.to_string().contains("v1.1.1"), "{listed:#}");
    Ok(())
}

#[tokio::test]
async fn two_promotes_at_once_make_one_release() -> anyhow::Result<()> {
    let world = world().await?;
    made(&world, &release(&world, &json!({"kind": "staging"})).await?).await?;
    let promote = json!({"kind": "production", "from": "v1.0.0", "confirm": "deploy"});
    let (one, two) = tokio::try_join!(release(&world, &promote), release(&world, &promote))?;
    assert_ne!(one, two);
    let (one, two) = (made(&world, &one).await?, made(&world, &two).await?);
    assert_eq!((one.0.as_str(), two.0.as_str()), ("v1.1.0", "v1.1.0"));
    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    assert_eq!(world.repo.git(&["tag", "--list", "v*"])?.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn two_hotfixes_at_once_get_two_versions() -> anyhow::Result<()> {
    let world = world().await?;
    made(&world, &release(&world, &json!({"kind": "staging"})).await?).await?;
    made(&world, &release(&world, &json!({"kind": "production", "from": "v1.0.0", "confirm": "deploy"})).await?).await?;
    for name in ["one", "two"] {
        world.repo.git(&["checkout", "-q", "-b", name, "main"])?;
        world.repo.commit(&[("README.md", name)])?;
    }
    let mend = |reference: &str| json!({"kind": "hotfix", "from": "v1.1.0", "ref": reference, "confirm": "deploy"});
    let (one, two) = (mend("one"), mend("two"));
    let (one, two) = tokio::try_join!(release(&world, &one), release(&world, &two))?;
    let mut tags = [made(&world, &one).await?.0, made(&world, &two).await?.0];
    tags.sort_unstable();
    assert_eq!(tags, ["v1.1.1", "v1.1.2"]);
    Ok(())
}

#[tokio::test]
async fn a_push_may_be_a_release_by_itself() -> anyhow::Result<()> {
    let world = World::with(Wanted { source: "auto_stage = true", ..Wanted::default() }).await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    assert_eq!(made(&world, &run).await?.0, "v1.0.0");
    let run = world.push(&[("docs/text.md", "nothing\n")]).await?;
    let view = world.ended(&run).await?;
    assert!(view["syncs"]["release"].is_null(), "a push that touches no service is no release: {view:#}");
    Ok(())
}

#[tokio::test]
async fn a_release_that_does_not_exist_is_a_failed_run_that_says_so() -> anyhow::Result<()> {
    let world = world().await?;
    let run = release(&world, &json!({"kind": "production", "from": "v9.9.9", "confirm": "deploy"})).await?;
    let view = world.ended(&run).await?;
    assert!(view["status"] == "failed" && view["failure"]["message"].to_string().contains("v9.9.9"), "{view:#}");
    Ok(())
}
