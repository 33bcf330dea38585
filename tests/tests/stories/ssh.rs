//! Git over ssh: a key and a pinned host, for the repository and for the modules that lie on the same server.

use crate::{
    secrets::{command_lines, holders},
    with,
};
use serde_json::{Value, json};
use system_tests::{
    fleet::{Fleet, Wishes},
    ssh::{self, SshServer},
};

fn request(server: &SshServer, url: &str, right: bool) -> anyhow::Result<Value> {
    let key = server.private_key()?;
    let auth = json!({"type": "ssh", "username": ssh::user()?, "private_key": key, "known_hosts": server.known_hosts(right)?});
    Ok(json!({"tool": "terraform", "git_url": url, "git_ref": "main", "git_auth": auth}))
}

/// A line of the key that nothing else has.
fn canary(server: &SshServer) -> anyhow::Result<String> {
    let key = server.private_key()?;
    // The first line of an unencrypted key is the same for all of them.
    Ok(key.lines().nth(2).expect("a key has lines").to_owned())
}

#[tokio::test]
async fn a_deployment_over_ssh_with_a_module_of_the_same_server() -> anyhow::Result<()> {
    let server = SshServer::start()?;
    let net = server.repo("net", &[("main.tf", "output \"name\" { value = \"over-ssh\" }\n")])?;
    let uses = format!("module \"net\" {{\n  source = \"git::{}\"\n}}\noutput \"name\" {{ value = module.net.name }}\n", net.url);
    let repo = server.repo("infra", &[("main.tf", &uses)])?;
    let canary = canary(&server)?;
    let fleet = Fleet::up(Wishes::git(&server.host()).set("NAVVY__LOG__LEVEL", "debug")).await?;
    let id = fleet.client.deploy(&with(request(&server, &repo.url, true)?, json!({"auto_approve": true}))).await?;
    let status = fleet.client.wait_for(&id, "success").await?;
    assert!(status["apply_output"].as_str().is_some_and(|outputs| outputs.contains("over-ssh")), "{status:#}");
    let log = fleet.client.log(&id).await?.join("\n");
    let run = fleet.client.get(&format!("/v1/runs/{id}")).await?.to_string();
    assert!(![status.to_string(), log, run].iter().any(|text| text.contains(&canary)), "shown");
    let mut found = Vec::new();
    holders(fleet.dir.path(), &[canary.as_bytes()], &mut found)?;
    assert_eq!(found, Vec::<String>::new(), "on disk");
    assert!(!command_lines().iter().any(|line| line.contains(&canary)), "in a command line");
    Ok(())
}

#[tokio::test]
async fn another_host_key_than_the_pinned_one_ends_it_before_anything_is_read() -> anyhow::Result<()> {
    let server = SshServer::start()?;
    let repo = server.repo("infra", crate::HELLO)?;
    let fleet = Fleet::up(Wishes::git(&server.host())).await?;
    let id = fleet.client.deploy(&request(&server, &repo.url, false)?).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert_eq!(status["failed_phase"], "cloning", "{status:#}");
    let error = status["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("Git clone failed: ") && error.contains("known_hosts"), "{error}");
    assert!(!status["next_action"].as_str().unwrap_or_default().is_empty());
    assert!(!status.to_string().contains(&canary(&server)?));
    Ok(())
}

#[tokio::test]
async fn a_module_of_the_same_server_with_another_host_key_is_not_fetched() -> anyhow::Result<()> {
    let (server, other) = (SshServer::start()?, SshServer::start()?);
    // Another port of the same machine: the run's key is not offered there.
    let uses = format!("module \"net\" {{\n  source = \"git::{}\"\n}}\n", other.url("net"));
    other.repo("net", &[("main.tf", "")])?;
    let repo = server.repo("infra", &[("main.tf", &uses)])?;
    let fleet = Fleet::up(Wishes::git(&server.host())).await?;
    let id = fleet.client.deploy(&request(&server, &repo.url, true)?).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert_eq!(status["failed_phase"], "init", "{status:#}");
    assert!(!status.to_string().contains(&canary(&server)?));
    Ok(())
}
