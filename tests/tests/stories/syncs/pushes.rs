//! A push syncs exactly the services that it changed, and every choice has its reason.

use super::{Wanted, World, actions, job, pairs, skipped};
use system_tests::forge::ZERO;

#[tokio::test]
async fn a_push_syncs_what_it_changed_and_what_is_deployed_already_is_skipped() -> anyhow::Result<()> {
    let world = World::new().await?;
    let redis = "services:\n  redis:\n    image: redis:8\n";
    let run = world
        .push(&[
            ("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:18'}}\n"),
            ("platform/02.redis/compose.yaml", redis),
        ])
        .await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/postgres", "created"), ("platform/redis", "created")]));
    let head = world.head()?;
    assert_eq!(world.deployed("staging", "postgres").as_deref(), Some(head.as_str()), "it is told the commit, not a branch");
    assert_eq!(world.deployed("staging", "portal"), None);
    // A comment in a file beside the compose file: the service is asked, and says that nothing has changed.
    let run = world
        .push(&[
            ("platform/02.redis/README.md", "About redis.\n"),
            ("platform/01.postgres/compose.yaml", "services: {postgres: {image: 'postgres:19'}}\n"),
        ])
        .await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/postgres", "updated"), ("platform/redis", "skipped")]));
    let view = world.ended(&run).await?;
    assert_eq!(view["syncs"]["compared"]["from"], "diff");
    assert_eq!(view["syncs"]["changed_files"], 2);
    let reasons =
        view["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "platform/redis").unwrap()["sync"]["reasons"].to_string();
    assert!(reasons.contains("platform/02.redis/README.md"), "{reasons}");
    Ok(())
}

#[tokio::test]
async fn a_library_concerns_every_service_the_bootstrap_none_and_apps_have_their_own_way() -> anyhow::Result<()> {
    let world = World::with(Wanted { files: &[("bootstrap/02.vault/compose.yaml", "services: {}\n")], ..Wanted::default() }).await?;
    let run = world
        .push(&[
            ("libs/notes.txt", "n"),
            ("bootstrap/02.vault/compose.yaml", "services: {vault: {}}\n"),
            ("finance/app/compose.yaml", "x"),
            ("README.md", "r"),
        ])
        .await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["status"], "success", "{view:#}");
    let all = [("platform/portal", "created"), ("platform/postgres", "created"), ("platform/redis", "created")];
    assert_eq!(actions(&view), pairs(&all));
    let skipped = skipped(&view);
    assert!(skipped.iter().any(|(what, why)| what.contains("bootstrap") && why.contains("hand")), "{skipped:?}");
    assert!(skipped.iter().any(|(what, _)| what.contains("finance")), "{skipped:?}");
    Ok(())
}

#[tokio::test]
async fn a_push_that_concerns_nobody_is_a_run_that_says_so() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.push(&[("docs/readme.md", "text\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!((view["status"].as_str(), actions(&view)), (Some("success"), pairs(&[])), "{view:#}");
    assert!(!skipped(&view).is_empty(), "it says why: {view:#}");
    Ok(())
}

#[tokio::test]
async fn events_that_are_no_push_to_the_branch_are_ignored_with_the_reason() -> anyhow::Result<()> {
    let world = World::new().await?;
    let head = world.head()?;
    let forge = &world.forge;
    for (event, payload, why) in [
        ("ping", serde_json::json!({"zen": "Keep it logically awesome.", "repository": {"id": 4711, "full_name": "acme/infra"}}), "event"),
        ("push", forge.push("refs/heads/feature", ZERO, &head, &[]), "reason"),
        ("push", forge.push("refs/heads/main", &head, ZERO, &[]), "reason"),
        ("push", forge.push("refs/tags/v1.0.0", ZERO, &head, &[]), "reason"),
    ] {
        let answer = forge.deliver(event, &payload).await?;
        assert_eq!((answer.status.as_u16(), answer.body["status"].as_str()), (202, Some("ignored")), "{event}: {}", answer.body);
        assert!(answer.body[why].is_string(), "{event}: {}", answer.body);
    }
    let runs = world.fleet.client.get("/v1/runs").await?;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(0), "{runs:#}");
    Ok(())
}

#[tokio::test]
async fn services_are_synced_after_those_they_build_on() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = world.push(&[("libs/more.txt", "x")]).await?;
    let view = world.ended(&run).await?;
    let before = &job(&view, "platform/postgres")?["n"];
    assert_eq!(job(&view, "platform/portal")?["needs"], serde_json::json!([before]));
    assert_eq!(job(&view, "platform/redis")?["needs"], serde_json::json!([0]), "it waits for nobody");
    Ok(())
}
