//! A worker that is killed in the middle of a deployment: nobody guesses, and nobody deploys again by himself.

use super::{PLAIN, Site, Wanted, deployment::Deploying};
use crate::syncs::{actions, job, pairs};
use serde_json::json;
use system_tests::eventually;

#[tokio::test]
async fn a_worker_killed_in_a_deployment_says_that_it_does_not_know() -> anyhow::Result<()> {
    let settings = "[scheduler]\nlease = \"3s\"\nsweep = \"1s\"\n[worker]\nheartbeat = \"500ms\"\n";
    let mut site = Site::with(PLAIN, "", Wanted { workers: &["alpha"], settings, ..Wanted::default() }).await?;
    site.has_all();
    site.dokploy.state().deploying = Deploying::Done(u32::MAX);
    let run = site.world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    eventually("the deployment to have begun", || async { Ok((site.deployments("redis") == 1).then_some(())) }).await?;
    site.world.fleet.kill("alpha")?;
    site.world.fleet.start("alpha").await?;
    let view = site.world.unknown(&run).await?;
    assert_eq!(actions(&view), pairs(&[("platform/redis", "unknown")]), "{view:#}");
    // It goes on in Dokploy meanwhile, and ends well. Nobody has deployed it again.
    if let Some(service) = site.dokploy.state().services.get_mut("platform-staging-redis") {
        service.deployments.iter_mut().for_each(|deployment| deployment.how = Deploying::Done(1));
    }
    site.dokploy.state().deploying = Deploying::Done(1);
    assert_eq!(site.deployments("redis"), 1);

    // Another service is not held up; this one waits for a person.
    let other = site.world.push(&[("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:18'}}\n")]).await?;
    assert_eq!(site.world.synced(&other).await?, pairs(&[("platform/postgres", "updated")]));
    site.world.fleet.client.settle(&run, &json!({"as": "failed", "reason": "looked at Dokploy"})).await?;
    assert_eq!(site.world.ended(&run).await?["status"], "failed");
    assert_eq!(site.deployments("redis"), 1, "settling deploys nothing");

    // Nobody saw it deployed, so the next sync deploys once more, and says so.
    let again = site.world.forge.post("/sync", &json!({"services": ["platform/redis"]})).await?.run()?;
    assert_eq!(site.world.synced(&again).await?, pairs(&[("platform/redis", "updated")]));
    let view = site.world.ended(&again).await?;
    assert!(job(&view, "platform/redis")?["sync"]["details"].is_string(), "{view:#}");
    assert_eq!(site.deployments("redis"), 2);
    site.dokploy.operations();
    Ok(())
}
