//! Versions: `POST /deploy` and `POST /sync` as the clients of the replaced service call them.

use super::{World, actions, job, pairs};
use serde_json::json;

#[tokio::test]
async fn a_tag_is_deployed_to_an_environment_and_asking_again_is_answered_from_what_was_done() -> anyhow::Result<()> {
    let world = World::new().await?;
    world.repo.git(&["tag", "-a", "v1.2.4", "-m", "Staging release v1.2.4"])?;
    world.repo.git(&["push", "-q", "origin", "v1.2.4"])?;
    let tagged = world.head()?;
    world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:9'}}\n")])?;
    let request = json!({"env": "production", "tag": "v1.2.4", "triggered_by": "github-actions"});
    let answer = world.forge.post("/deploy", &request).await?;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    for (field, value) in [("env", "production"), ("tag", "v1.2.4"), ("triggered_by", "github-actions")] {
        assert_eq!(answer.body[field], value, "{}", answer.body);
    }
    let id = answer.body["deployment_id"].as_str().unwrap_or_default().to_owned();
    let all = [("platform/portal", "created"), ("platform/postgres", "created"), ("platform/redis", "created")];
    assert_eq!(world.synced(&answer.run()?).await?, pairs(&all));
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(tagged.as_str()), "the tag's commit, not the branch's");
    assert_eq!(world.deployed("staging", "redis"), None);
    let again = world.forge.post("/deploy", &request).await?;
    assert_eq!(
        (again.status.as_u16(), &again.body["cached"], &again.body["deployment_id"]),
        (200, &json!(true), &json!(id)),
        "{}",
        again.body
    );
    let status = world.fleet.client.get(&format!("/deploy/{id}/status")).await?;
    assert_eq!(status["success"], json!(true), "{status:#}");
    Ok(())
}

#[tokio::test]
async fn a_tag_that_was_moved_is_not_deployed_as_the_release_that_it_was() -> anyhow::Result<()> {
    let world = World::new().await?;
    let tag = |more: &'static [&'static str]| {
        world.repo.git(&[&["tag", "-a", "v1.2.4", "-m", "a release"], more].concat())?;
        world.repo.git(&[&["push", "-q", "origin", "v1.2.4"], more].concat())
    };
    tag(&[])?;
    let was = world.head()?;
    let deploy = async |force: bool| -> anyhow::Result<_> {
        let request = json!({"env": "production", "tag": "v1.2.4", "services": ["platform/redis"], "force": force});
        world.ended(&world.forge.post("/deploy", &request).await?.run()?).await
    };
    assert_eq!(deploy(false).await?["status"], "success");
    world.repo.commit(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:9'}}\n")])?;
    tag(&["--force"])?;
    let now = world.head()?;
    // Of other services, or the result of the first time would be told.
    let request = json!({"env": "production", "tag": "v1.2.4", "services": ["platform/redis", "platform/postgres"]});
    let view = world.ended(&world.forge.post("/deploy", &request).await?.run()?).await?;
    assert_eq!(actions(&view), pairs(&[("platform/postgres", "created"), ("platform/redis", "failed")]));
    let failure = &job(&view, "platform/redis")?["sync"]["failure"];
    assert_eq!(failure["kind"], "tag_moved", "{failure:#}");
    assert!(failure["message"].to_string().contains(&was) && failure["message"].to_string().contains(&now), "{failure:#}");
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(was.as_str()));
    assert_eq!(deploy(true).await?["status"], "success", "whoever forces it has looked");
    assert_eq!(world.deployed("production", "redis").as_deref(), Some(now.as_str()));
    Ok(())
}

#[tokio::test]
async fn a_version_of_a_service_that_is_not_in_it_fails_and_says_which() -> anyhow::Result<()> {
    let world = World::new().await?;
    let request = json!({"env": "production", "ref": "main", "services": ["platform/redis", "platform/postgers"]});
    let view = world.ended(&world.forge.post("/deploy", &request).await?.run()?).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    assert!(view.to_string().contains("did you mean `platform/postgres`"), "{view:#}");
    assert_eq!(world.deployed("production", "redis"), None);
    Ok(())
}

#[tokio::test]
async fn named_services_are_synced_unknown_ones_refused_and_the_bootstrap_left_alone() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    world.synced(&run).await?;
    let answer = world.forge.post("/sync", &json!({"services": ["platform/postgres"]})).await?;
    assert_eq!(world.synced(&answer.run()?).await?, pairs(&[("platform/postgres", "created")]));
    let unknown = world.forge.post("/sync", &json!({"services": ["platform/postgres", "platform/nothing"]})).await?;
    assert_eq!(unknown.status.as_u16(), 400, "{}", unknown.body);
    assert!(unknown.body.to_string().contains("platform/nothing"), "{}", unknown.body);
    let bootstrap = world.forge.post("/sync", &json!({"services": ["bootstrap/vault", "platform/postgres"]})).await?;
    assert!(bootstrap.body["skipped"].to_string().contains("bootstrap/vault"), "{}", bootstrap.body);
    assert_eq!(world.synced(&bootstrap.run()?).await?, pairs(&[("platform/postgres", "skipped")]));
    let all = world.forge.post("/sync", &json!({"all": true})).await?;
    assert_eq!(world.synced(&all.run()?).await?.len(), 3);
    let none = world.forge.post("/sync", &json!({})).await?;
    assert_eq!((none.status.as_u16(), none.body["error"].as_str()), (400, Some("No services specified")), "{}", none.body);
    Ok(())
}
