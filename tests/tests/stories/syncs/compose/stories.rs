//! What arrives, what is called, what is left alone, and what fails by itself.

use super::{REDIS, Site, append};
use crate::syncs::{actions, job, kept_by, pairs};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt as _};
use system_tests::eventually;

#[tokio::test]
async fn a_push_brings_a_service_to_its_host_once_and_shows_what_docker_says() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let canary = "c4nary/Token+77=";
    append(&site.world.path("sync.env"), &format!("REGISTRY_TOKEN={canary}\n"))?;
    site.host.docker_ends(&format!("echo 'pulling with {canary}'; grep VAULT_SECRET_ID env; echo 'warned with {canary}' >&2"));
    let run = site.world.push(&[("platform/02.redis/conf/redis.conf", "port 6380\n")]).await?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "created")]));
    let head = site.world.head()?;
    let files = site.place("redis-staging/files/platform/02.redis");
    assert_eq!(fs::read_to_string(files.join("compose.yaml"))?, REDIS);
    assert_eq!(fs::read_to_string(files.join("conf/redis.conf"))?, "port 6380\n");
    assert!(!files.join("README.md").exists() && !site.place("redis-staging/files/.navvy-complete").exists());
    assert!(!site.place("postgres-staging").exists() && !site.place("portal-staging").exists(), "what was not changed is not there");
    let up = [
        &["compose", "-p", "platform-redis-staging", "-f", "files/platform/02.redis/compose.yaml", "--env-file", "env"][..],
        &["up", "-d", "--remove-orphans", "--build", "--force-recreate"],
    ];
    assert_eq!(site.host.docker_calls(), [up.concat()]);
    let env = fs::read_to_string(site.place("redis-staging/env"))?;
    let line = |name: &str| env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert_eq!((line("GREETING"), line("ENV"), line("IAC_DEPLOY_REF")), (Some("'this is $5 # now'"), Some("staging"), Some(head.as_str())));
    assert!(
        line("IAC_CONFIG_HASH").is_some_and(|hash| hash.starts_with("v2:")) && line("NAVVY_DEPLOYED_HASH") == line("IAC_CONFIG_HASH"),
        "{env}"
    );
    assert_eq!(fs::metadata(site.place("redis-staging/env"))?.permissions().mode() & 0o777, 0o600);
    let log = site.world.fleet.client.log(&run).await?.join("\n");
    assert!(log.contains("pulling with ***") && log.contains("warned with ***"), "{log}");
    assert!(job(&site.world.ended(&run).await?, "platform/redis")?["sync"]["details"].to_string().contains(&head));

    // Nothing has changed: docker is not called, but where it is forced. What was given by hand stays, and is masked.
    append(&site.place("redis-staging/env"), "VAULT_SECRET_ID=secret-id-c4nary-72\n")?;
    let sync = json!({"services": ["platform/redis"]});
    let run = site.world.forge.post("/sync", &sync).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "skipped")]));
    assert_eq!(site.projects(), [] as [String; 0]);
    let forced = json!({"env": "staging", "ref": "main", "services": ["platform/redis"], "force": true});
    let run = site.world.forge.post("/deploy", &forced).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "updated")]));
    assert_eq!(site.projects(), ["platform-redis-staging"]);
    assert!(site.world.fleet.client.log(&run).await?.join("\n").contains("VAULT_SECRET_ID=***"));
    assert!(fs::read_to_string(site.place("redis-staging/env"))?.contains("VAULT_SECRET_ID=secret-id-c4nary-72"));
    assert_eq!(kept_by(&site.world, &run, &[canary, "c4nary"]).await?, [] as [String; 0]);
    Ok(())
}

#[tokio::test]
async fn a_docker_that_fails_for_one_service_fails_that_one_and_the_next_push_deploys_it() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.host.docker_ends("case \"$*\" in *redis*) echo 'no space left on device' >&2; exit 17;; esac");
    let run = site.world.push(&[("libs/more.txt", "x")]).await?;
    let view = site.world.ended(&run).await?;
    assert_eq!(view["status"], "failed", "{view:#}");
    assert_eq!(actions(&view), pairs(&[("platform/portal", "created"), ("platform/postgres", "created"), ("platform/redis", "failed")]));
    let failure = &job(&view, "platform/redis")?["sync"]["failure"];
    assert_eq!(failure["kind"], "compose_failed", "{view:#}");
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(message.contains("exit code 17") && message.contains("no space left on device"), "{message}");
    let mut projects = site.projects();
    projects.sort_unstable();
    assert_eq!(projects, ["platform-portal-staging", "platform-postgres-staging", "platform-redis-staging"]);

    site.host.docker_ends("");
    let run = site.world.push(&[("libs/more.txt", "y")]).await?;
    let expected = [("platform/portal", "skipped"), ("platform/postgres", "skipped"), ("platform/redis", "updated")];
    assert_eq!(site.world.synced(&run).await?, pairs(&expected));
    assert_eq!(site.projects(), ["platform-redis-staging"]);
    Ok(())
}

#[tokio::test]
async fn a_host_that_shows_another_key_gets_nothing() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.host.known_hosts("other_host_key");
    let run = site.world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:9'}}\n")]).await?;
    let view = site.world.ended(&run).await?;
    let failure = &job(&view, "platform/redis")?["sync"]["failure"];
    assert_eq!(failure["kind"], "remote_unreadable", "{view:#}");
    assert!(failure["message"].to_string().contains("Host key verification failed"), "{view:#}");
    assert!(!site.host.path("services").exists());
    assert_eq!(site.projects(), [] as [String; 0]);
    Ok(())
}

#[tokio::test]
async fn a_worker_killed_while_docker_runs_does_not_know_and_the_host_does() -> anyhow::Result<()> {
    let settings = "[scheduler]\nlease = \"3s\"\nsweep = \"1s\"\n[worker]\nheartbeat = \"500ms\"\nslots = 1\n";
    let mut site = Site::with(settings, &["alpha"]).await?;
    let (begun, go) = (site.world.path("begun"), site.world.path("go"));
    site.host.docker_ends(&format!("exec >/dev/null 2>&1; touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), go.display()));
    let run = site.world.push(&[("platform/02.redis/conf/redis.conf", "port 6380\n")]).await?;
    eventually("docker to be called", || async { Ok(begun.exists().then_some(())) }).await?;
    site.world.fleet.kill("alpha")?;
    site.world.fleet.start("alpha").await?;
    let view = site.world.unknown(&run).await?;
    assert_eq!(actions(&view), pairs(&[("platform/redis", "unknown")]), "{view:#}");
    assert!(!fs::read_to_string(site.place("redis-staging/env"))?.contains("NAVVY_DEPLOYED_HASH"), "not deployed yet");
    fs::write(go, "")?;
    eventually("the host to end it by itself", || async {
        Ok(fs::read_to_string(site.place("redis-staging/env"))?.contains("NAVVY_DEPLOYED_HASH").then_some(()))
    })
    .await?;
    site.world.fleet.client.settle(&run, &json!({"as": "succeeded", "reason": "looked at the host"})).await?;
    // The host wrote down that it went well, so nothing is done again.
    let again = site.world.forge.post("/sync", &json!({"services": ["platform/redis"]})).await?.run()?;
    assert_eq!(site.world.synced(&again).await?, pairs(&[("platform/redis", "skipped")]));
    assert_eq!(site.projects(), ["platform-redis-staging"]);
    Ok(())
}
