//! The whole way: request, plan, approval, apply by another worker than the planner, outputs, and what is shown of it.

use crate::{HELLO, request, with};
use serde_json::{Value, json};
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn any_worker_applies_exactly_the_plan_that_another_one_made() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let commit = repo.git(&["rev-parse", "HEAD"])?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()), &["first"]).await?;
    let body = with(
        request(&repo),
        json!({"env_vars": {"TF_VAR_greeting": "good morning", "TF_VAR_password": "correct horse battery"}, "public_env": ["TF_VAR_greeting"]}),
    );
    let id = fleet.client.deploy(&body).await?;

    let waiting = fleet.client.wait_for(&id, "awaiting_approval").await?;
    assert_eq!(waiting["phase"], "plan");
    assert_eq!(waiting["commit"], commit);
    let plan: Value = serde_json::from_str(waiting["plan_output"].as_str().expect("text"))?;
    assert_eq!((plan["adds"].as_u64(), plan["destroys"].as_u64()), (Some(1), Some(0)), "{plan}");
    assert!(
        waiting["init_log"].as_str().is_some_and(|log| log.contains("Cloning repository...") && log.contains("Running terraform init..."))
    );
    assert!(waiting["plan_log"].as_str().is_some_and(|log| log.contains("good morning")), "{waiting:#}");
    assert!(waiting["plan_log"].as_str().is_some_and(|log| log.contains('\u{1b}')), "the terminal's colours are kept");

    // Waiting holds no worker: the planner goes home, another one comes.
    assert!(fleet.stop("first").await?, "a drained worker ends well");
    fleet.start("second").await?;
    fleet.client.approve(&id).await?;
    let done = fleet.client.wait_for(&id, "success").await?;
    assert_eq!(done["phase"], "completed");
    assert!(done["ended_at"].is_string() && done["error"] == "");
    assert_eq!(done["approval"]["by"], "admin");
    let outputs: Value = serde_json::from_str(done["apply_output"].as_str().expect("text"))?;
    assert_eq!(outputs["greeting"]["value"], "good morning");
    assert!(!done.to_string().contains("correct horse"), "a sensitive output is masked");

    let jobs = fleet.client.get(&format!("/v1/runs/{id}/jobs")).await?;
    let worker = |n: usize| jobs["jobs"][n]["attempts"][0]["worker"].clone();
    assert_eq!((worker(0), worker(2)), (json!("first"), json!("second")), "{jobs:#}");
    let locks = fleet.client.get("/v1/locks").await?;
    assert!(locks["locks"].as_array().is_some_and(|all| all.iter().all(|lock| lock["holder"].is_null())), "{locks}");

    let log = fleet.client.log(&id).await?.join("\n");
    for line in [
        "Cloning repository...",
        "Running terraform plan...",
        "Waiting for approval...",
        "continuing with apply...",
        "Running terraform apply...",
        "Deployment completed successfully!",
    ] {
        assert!(log.contains(line), "{line} is missing in\n{log}");
    }
    Ok(())
}

#[tokio::test]
async fn auto_approve_needs_nobody_and_the_status_has_every_field_of_the_replaced_runner() -> anyhow::Result<()> {
    let (_git, repo, fleet) = crate::world(HELLO).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    let first = fleet.client.status(&id).await?;
    for field in [
        "deployment_id",
        "status",
        "phase",
        "started_at",
        "ended_at",
        "error",
        "init_log",
        "plan_log",
        "plan_output",
        "apply_log",
        "apply_output",
    ] {
        assert!(first.get(field).is_some(), "{field} is always there: {first}");
    }
    let done = fleet.client.wait_for(&id, "success").await?;
    assert_eq!(done["deployment_id"], id);
    let runs = fleet.client.get("/v1/runs?status=success").await?;
    assert_eq!(runs["runs"][0]["id"], id);
    let health = fleet.client.get("/health").await?;
    assert_eq!(health["status"], "healthy");
    Ok(())
}
