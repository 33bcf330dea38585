//! A Dokploy that is not well, or does not say the truth: the service's job fails and says so, and nothing is deployed blindly.

use super::{KEY, Site, deployment::Deploying, stand_in::Fault};
use crate::syncs::{actions, kept_by, pairs};
use system_tests::eventually;

#[tokio::test]
async fn a_service_that_cannot_be_read_fails_alone_and_nothing_is_deployed_over_it() -> anyhow::Result<()> {
    let site = Site::plain("").await?;
    site.has_all();
    site.ails("compose.one", "redis", Fault::Status(502));
    let run = site.world.push(&[("libs/more.txt", "x")]).await?;
    let view = site.world.ended(&run).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    let expected = [("platform/portal", "updated"), ("platform/postgres", "updated"), ("platform/redis", "failed")];
    assert_eq!(actions(&view), pairs(&expected));
    let (kind, message) = Site::failure(&view, "platform/redis")?;
    assert!(kind == "remote_unreadable" && message.contains("nothing is deployed") && message.contains("502"), "{view:#}");
    assert_eq!((site.deployments("redis"), site.deployments("postgres"), site.deployments("portal")), (0, 1, 1));

    // No storm: of the next push it is put off without being asked about, and nothing of the others is deployed again.
    site.dokploy.operations();
    let early = site.world.push(&[("libs/more.txt", "y")]).await?;
    let view = eventually("redis to be put off", || async {
        let view = site.world.fleet.client.get(&format!("/v1/runs/{early}")).await?;
        Ok((view["waiting_for"]["for"] == "remote").then_some(view))
    })
    .await?;
    let expected = [("platform/portal", "skipped"), ("platform/postgres", "skipped"), ("platform/redis", "blocked")];
    assert_eq!(actions(&view), pairs(&expected), "{view:#}");
    assert_eq!(site.asked_about("redis"), [] as [String; 0]);
    assert_eq!((site.deployments("redis"), site.deployments("postgres"), site.deployments("portal")), (0, 1, 1));

    // Who names it is not held up, and what was put off is left to that run. What was given by hand is still there.
    site.is_well();
    let run = site.world.forge.post("/sync", &serde_json::json!({"services": ["platform/redis"]})).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "updated")]));
    assert_eq!(actions(&site.world.ended(&early).await?)["platform/redis"], "superseded");
    assert_eq!(site.deployments("redis"), 1);
    let env = site.dokploy.state().services["platform-staging-redis"].text("env").to_owned();
    assert!(env.contains("VAULT_ROLE_ID=role-c4nary-71") && env.contains("VAULT_SECRET_ID=secret-id-c4nary-72"), "{env}");
    assert_eq!(kept_by(&site.world, &run, &["c4nary"]).await?, [] as [String; 0]);
    site.dokploy.operations();
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_cut_short_makes_nothing_twice() -> anyhow::Result<()> {
    let site = Site::plain("").await?;
    site.has_all();
    site.dokploy.fails("project.all", &[Fault::CutShort]);
    let run = site.world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n")]).await?;
    let view = site.world.ended(&run).await?;
    assert_eq!(Site::failure(&view, "platform/redis")?.0, "remote_unreadable", "{view:#}");
    assert_eq!(site.dokploy.operations(), ["project.all"]);
    assert_eq!(site.deployments("redis"), 0);
    assert_eq!(site.dokploy.state().services.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_dokploy_that_says_yes_is_not_believed_and_what_it_says_is_masked() -> anyhow::Result<()> {
    let site = Site::plain("verify_timeout = \"1s\"\n").await?;
    site.has_all();
    let push = |image: &'static str| {
        let site = &site;
        async move {
            let compose = format!("services: {{redis: {{image: 'redis:{image}'}}}}\n");
            let run = site.world.push(&[("platform/02.redis/compose.yaml", &compose)]).await?;
            Ok::<_, anyhow::Error>((site.world.ended(&run).await?, run))
        }
    };
    // It deploys, and shows another identity than the one that it was given.
    site.dokploy.state().lie = Some("IAC_CONFIG_HASH=000000000000".to_owned());
    let (view, _) = push("8").await?;
    let (kind, message) = Site::failure(&view, "platform/redis")?;
    assert!(kind == "deploy_not_effective" && message.contains("identity"), "{view:#}");
    assert_eq!(site.deployments("redis"), 1);
    // It says that it deploys, and does nothing.
    site.dokploy.state().lie = None;
    site.dokploy.state().deploying = Deploying::Nothing;
    let (view, _) = push("9").await?;
    assert_eq!(Site::failure(&view, "platform/redis")?.0, "deploy_not_effective", "{view:#}");
    assert_eq!(site.deployments("redis"), 1);
    // It fails, and its reason holds a secret.
    site.dokploy.state().deploying = Deploying::Fails;
    let (view, run) = push("10").await?;
    let (kind, message) = Site::failure(&view, "platform/redis")?;
    assert!(kind == "deploy_failed" && message.contains("pull access denied for ***"), "{view:#}");
    assert_eq!(kept_by(&site.world, &run, &[KEY, "c4nary"]).await?, [] as [String; 0]);
    // None of these counts as deployed: the next sync of the same commit deploys.
    site.dokploy.state().deploying = Deploying::Done(1);
    let run = site.world.forge.post("/sync", &serde_json::json!({"services": ["platform/redis"]})).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "updated")]));
    let run = site.world.forge.post("/sync", &serde_json::json!({"services": ["platform/redis"]})).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "skipped")]));
    site.dokploy.operations();
    Ok(())
}
