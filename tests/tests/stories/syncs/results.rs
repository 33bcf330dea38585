//! A run of syncs says which service did what, and one that fails keeps no other from its own.

use super::{Wanted, World, actions, job, pairs};

/// A task that fails for postgres as the original's did: with exit code 0.
const FAILS: &str =
    r#"["sh", "-c", "if [ {service} = postgres ]; then echo 'no module named dotenv' >&2; exit 3; fi; exec invoke {task}"]"#;

#[tokio::test]
async fn one_failing_service_does_not_stop_the_others_but_those_that_build_on_it() -> anyhow::Result<()> {
    let world = World::with(Wanted { command: Some(FAILS), ..Wanted::default() }).await?;
    let run = world.push(&[("libs/more.txt", "x")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    let expected = [("platform/portal", "skipped"), ("platform/postgres", "failed"), ("platform/redis", "created")];
    assert_eq!(actions(&view), pairs(&expected));
    let failure = &job(&view, "platform/postgres")?["sync"]["failure"];
    assert!(failure["kind"].is_string() && failure["next_action"].is_string(), "{failure:#}");
    Ok(())
}

#[tokio::test]
async fn a_task_that_says_that_it_failed_has_failed_whatever_its_exit_code() -> anyhow::Result<()> {
    let says = r#"["sh", "-c", "echo '{{\"action\": \"failed\", \"details\": \"the registry said no\"}}' > $NAVVY_RESULT"]"#;
    let world = World::with(Wanted { command: Some(says), ..Wanted::default() }).await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    assert!(job(&view, "platform/redis")?["sync"]["failure"]["message"].to_string().contains("the registry said no"), "{view:#}");
    Ok(())
}

#[tokio::test]
async fn no_secret_of_the_services_is_seen_in_any_log() -> anyhow::Result<()> {
    let leaks = r#"["sh", "-c", "echo the key is $API_KEY; exec invoke {task}"]"#;
    let world = World::with(Wanted { command: Some(leaks), ..Wanted::default() }).await?;
    let file = world.path("sync.env");
    let canary = "canary-3f9a1c77d2";
    std::fs::write(&file, format!("{}API_KEY={canary}\n", std::fs::read_to_string(&file)?))?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["status"], "success", "{view:#}");
    let log = world.fleet.client.log(&run).await?.join("\n");
    assert!(log.contains("the key is") && !log.contains(canary), "{log}");
    Ok(())
}
