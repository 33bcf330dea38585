//! What fails says where, why, and what to do.

use crate::{HELLO, request, with, world};
use serde_json::json;
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn each_step_that_fails_is_named() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    let bad_init = r#"terraform { required_version = ">= 99.0" }"#;
    let bad_plan = r#"output "x" { value = var.not_there }"#;
    let bad_apply = "resource \"terraform_data\" \"x\" {\n  provisioner \"local-exec\" {\n    command = \"exit 3\"\n  }\n}\n";
    for (name, content, phase, prefix) in [
        ("bad-module", r#"module "x" { source = "./nowhere" }"#, "init", "Init failed:"),
        ("bad-plan", bad_plan, "plan", "Plan failed:"),
        ("bad-apply", bad_apply, "apply", "Apply failed:"),
    ] {
        let repo = git.repo(name, &[("main.tf", content)])?;
        let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
        let status = fleet.client.wait_for(&id, "failed").await?;
        assert_eq!((status["phase"].as_str(), status["failed_phase"].as_str()), (Some("completed"), Some(phase)), "{name}: {status:#}");
        assert!(status["error"].as_str().is_some_and(|error| error.starts_with(prefix)), "{name}: {}", status["error"]);
    }
    let absent = with(request(&git.repo("no-tool", HELLO)?), json!({"tool_version": "9.9.9"}));
    let status = fleet.client.wait_for(&fleet.client.deploy(&absent).await?, "failed").await?;
    assert_eq!(status["failed_phase"], "init", "{status:#}");
    assert!(status["error"].as_str().is_some_and(|error| error.contains("terraform 9.9.9")), "{status:#}");
    let repo = git.repo("bad-version", &[("main.tf", bad_init)])?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("99.0")), "{status:#}");
    Ok(())
}

#[tokio::test]
async fn a_path_that_does_not_exist_and_a_link_out_of_the_checkout_are_refused() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    std::os::unix::fs::symlink("/etc", repo.work().join("out"))?;
    repo.commit(&[("sub/x.tf", "")])?;
    for (path, text) in [("nowhere", "Path does not exist: nowhere"), ("out", "out")] {
        let id = fleet.client.deploy(&with(request(&repo), json!({"path": path}))).await?;
        let status = fleet.client.wait_for(&id, "failed").await?;
        assert!(status["error"].as_str().is_some_and(|error| error.contains(text)), "{path}: {status:#}");
    }
    let id = fleet.client.deploy(&with(request(&repo), json!({"tfvars_files": ["out/hostname"]}))).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(
        status["error"].as_str().is_some_and(|error| error.contains("the symbolic link out leads out of the repository")),
        "{status:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_time_limit_is_interrupted() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let (_git, repo, fleet) = world(&[("main.tf", &crate::slow_apply(&effects, 300, None))]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true, "timeout": 1}))).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("time limit")), "{status:#}");
    Ok(())
}
