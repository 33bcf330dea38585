//! Releases, from the first staging release to a rollback: tags of a real repository, deployed by real tasks.

use super::{World, pairs};
use reqwest::Method;
use serde_json::{Value, json};

/// Orders a release, and waits for its end; what was made, and what was done with each service.
async fn release(world: &World, request: Value) -> anyhow::Result<(Value, std::collections::BTreeMap<String, String>)> {
    let (status, answer) = world.fleet.client.call(Method::POST, "/v1/releases", Some(&request)).await?;
    anyhow::ensure!(status.as_u16() == 202, "{request}: {answer:#}");
    let run = answer["run_id"].as_str().unwrap_or_default().to_owned();
    let done = world.synced(&run).await?;
    let view = world.fleet.client.get(&format!("/v1/runs/{run}")).await?;
    Ok((view["syncs"]["release"].clone(), done))
}

/// A public server takes pushes only where it is told to.
fn may_be_pushed_to(world: &World) -> anyhow::Result<()> {
    let bare = world.repo.git(&["remote", "get-url", "origin"])?;
    world.repo.git(&["--git-dir", bare.trim(), "config", "http.receivepack", "true"]).map(drop)
}

fn all(action: &'static str) -> std::collections::BTreeMap<String, String> {
    pairs(&[("platform/portal", action), ("platform/postgres", action), ("platform/redis", action)])
}

#[tokio::test]
async fn a_release_goes_from_staging_to_production_is_mended_and_rolled_back() -> anyhow::Result<()> {
    let world = World::new().await?;
    may_be_pushed_to(&world)?;
    let first = world.head()?;
    let (made, done) = release(&world, json!({"kind": "staging"})).await?;
    assert_eq!((&made["tag"], &made["commit"], done), (&json!("v1.0.0"), &json!(first), all("created")), "{made:#}");
    world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")])?;
    let second = world.head()?;
    let (made, done) = release(&world, json!({"kind": "staging"})).await?;
    assert_eq!((&made["tag"], &made["commit"]), (&json!("v1.0.1"), &json!(second)), "{made:#}");
    assert_eq!(done, pairs(&[("platform/portal", "skipped"), ("platform/postgres", "skipped"), ("platform/redis", "updated")]));

    let promote = json!({"kind": "production", "from": "v1.0.1", "confirm": "deploy", "triggered_by": "ann"});
    let (made, done) = release(&world, promote.clone()).await?;
    assert_eq!((&made["tag"], &made["commit"], done), (&json!("v1.1.0"), &json!(second), all("created")), "{made:#}");
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(second.as_str()));
    let (made, done) = release(&world, promote).await?;
    assert_eq!((&made["tag"], &made["existed"], done), (&json!("v1.1.0"), &json!(true), all("skipped")), "{made:#}");

    // A mend that never comes to the branch.
    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    world.repo.git(&["checkout", "-q", "-b", "mend", "v1.1.0"])?;
    std::fs::write(world.repo.work().join("platform/02.redis/compose.yaml"), "services: {redis: {image: 'redis:8.1'}}\n")?;
    world.repo.git(&["commit", "-q", "-a", "-m", "mend"])?;
    world.repo.git(&["push", "-q", "origin", "mend"])?;
    let mend = world.head()?;
    let (made, done) = release(&world, json!({"kind": "hotfix", "from": "v1.1.0", "ref": "mend", "confirm": "deploy"})).await?;
    assert_eq!((&made["tag"], &made["commit"]), (&json!("v1.1.1"), &json!(mend)), "{made:#}");
    assert_eq!(done["platform/redis"], "updated");
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(mend.as_str()));

    let (made, done) = release(&world, json!({"kind": "rollback", "from": "v1.1.0", "confirm": "deploy"})).await?;
    assert_eq!((&made["tag"], &made["kind"]), (&json!("v1.1.0"), &json!("rollback")), "{made:#}");
    assert_eq!(done["platform/redis"], "updated");
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(second.as_str()));

    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    let tags = world.repo.git(&["tag", "--list", "v*", "--format", "%(objecttype) %(refname:short) %(*objecttype)"])?;
    let expected = ["v1.0.0", "v1.0.1", "v1.1.0", "v1.1.1"].map(|tag| format!("tag {tag} commit"));
    assert_eq!(tags.lines().collect::<Vec<_>>(), expected, "annotated, each of the commit itself");
    let list = world.fleet.client.get("/v1/releases?environment=production").await?;
    let shown: Vec<&Value> = list["releases"].as_array().into_iter().flatten().map(|release| &release["tag"]).collect();
    assert_eq!(shown, ["v1.1.0", "v1.1.1", "v1.1.0", "v1.1.0"]);
    Ok(())
}

#[tokio::test]
async fn a_release_of_nothing_fails_and_makes_no_tag() -> anyhow::Result<()> {
    let world = World::new().await?;
    let request = json!({"kind": "production", "from": "v9.9.9", "confirm": "deploy"});
    let (status, answer) = world.fleet.client.call(Method::POST, "/v1/releases", Some(&request)).await?;
    assert_eq!(status.as_u16(), 202, "only the repository knows: {answer}");
    let view = world.ended(answer["run_id"].as_str().unwrap_or_default()).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    world.repo.git(&["fetch", "-q", "--tags", "origin"])?;
    assert_eq!(world.repo.git(&["tag", "--list"])?, "");
    Ok(())
}
