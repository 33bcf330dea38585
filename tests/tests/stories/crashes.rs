//! SIGKILL at every phase, and the process is started again: nothing is lost, nothing is done twice.

use crate::{HELLO, http_backend, request, slow_apply, with};
use serde_json::json;
use std::fs;
use system_tests::{
    eventually,
    fixture::state_server,
    fleet::{Fleet, Wishes},
    git::GitServer,
};

/// Workers are missed quickly, so that a test need not wait for a lease.
fn impatient(git: &GitServer) -> Wishes {
    Wishes::git(git.server.host())
        .set("NAVVY__SCHEDULER__LEASE", "6s")
        .set("NAVVY__SCHEDULER__SWEEP", "2s")
        .set("NAVVY__WORKER__HEARTBEAT", "1s")
}

#[tokio::test]
async fn gateway_and_scheduler_may_die_while_a_run_waits_plans_and_applies() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &slow_apply(&effects, 3, None))])?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;

    // Accepted while no scheduler lives: the answer is given, the run begins when one comes.
    fleet.kill("scheduler")?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    let status = fleet.client.status(&id).await?;
    assert_eq!((status["status"].as_str(), status["waiting_for"]["for"].as_str()), (Some("running"), Some("scheduler")), "{status:#}");
    fleet.start("scheduler").await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;

    // Both die while a person thinks.
    fleet.kill("gateway")?;
    fleet.kill("scheduler")?;
    fleet.start("scheduler").await?;
    fleet.start("gateway").await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    fleet.client.approve(&id).await?;

    // Both die in the middle of the apply, which goes on.
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.kill("scheduler")?;
    fleet.kill("gateway")?;
    fleet.start("gateway").await?;
    fleet.start("scheduler").await?;
    fleet.client.wait_for(&id, "success").await?;
    assert_eq!(fs::read_to_string(&effects)?.lines().count(), 1, "applied once");
    Ok(())
}

#[tokio::test]
async fn a_worker_killed_in_a_plan_costs_another_attempt() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let state = state_server(dir.path())?;
    let lock = json!({"ID": "22222222-2222-2222-2222-222222222222", "Operation": "test", "Who": "somebody", "Version": "1", "Created": "2026-01-01T00:00:00Z", "Path": "", "Info": ""});
    let url = format!("{}/state", state.url);
    let http = reqwest::Client::new();
    assert!(http.request(reqwest::Method::from_bytes(b"LOCK")?, &url).json(&lock).send().await?.status().is_success());
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &http_backend(&state.url))])?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for_phase(&id, "plan").await?;
    fleet.kill("w1")?;
    assert!(http.request(reqwest::Method::from_bytes(b"UNLOCK")?, &url).json(&lock).send().await?.status().is_success());
    fleet.start("w2").await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    let jobs = fleet.client.get(&format!("/v1/runs/{id}/jobs")).await?;
    let attempts = jobs["jobs"][0]["attempts"].as_array().expect("a list");
    let told: Vec<_> =
        attempts.iter().map(|a| (a["status"].as_str().unwrap_or_default(), a["worker"].as_str().unwrap_or_default())).collect();
    assert_eq!(told, [("lost", "w1"), ("succeeded", "w2")], "{jobs:#}");
    Ok(())
}

#[tokio::test]
async fn a_worker_killed_in_an_apply_leaves_it_unknown_until_it_comes_back_with_the_truth() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &slow_apply(&effects, 12, None))])?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.kill("w1")?;
    let unknown = fleet.client.wait_for(&id, "unknown").await?;
    assert_eq!(unknown["waiting_for"]["for"], "resolution", "{unknown:#}");
    let locks = fleet.client.get("/v1/locks").await?;
    assert_eq!(locks["locks"][0]["holder"]["run"], id, "an unknown run keeps its lock");
    // Another worker must not touch it; the one who knows comes back.
    fleet.start("w2").await?;
    fleet.start("w1").await?;
    fleet.client.wait_for(&id, "success").await?;
    assert_eq!(fs::read_to_string(&effects)?.lines().count(), 1, "applied once");
    Ok(())
}

#[tokio::test]
async fn an_unknown_run_is_settled_by_a_person() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &slow_apply(&effects, 30, None))])?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.kill("w1")?;
    fleet.client.wait_for(&id, "unknown").await?;
    let (code, _) = fleet.client.say(&id, "cancel", &json!({})).await?;
    assert_eq!(code, reqwest::StatusCode::CONFLICT, "there is nothing to stop");
    let settle = json!({"as": "failed", "reason": "looked at it"});
    fleet.client.settle(&id, &settle).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("looked at it")), "{status:#}");
    let locks = fleet.client.get("/v1/locks").await?;
    assert!(locks["locks"].as_array().is_some_and(|all| all.iter().all(|lock| lock["holder"].is_null())), "{locks}");
    Ok(())
}

#[tokio::test]
async fn everything_in_one_process_may_be_killed_and_started_again() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let mut fleet = Fleet::up(impatient(&git)).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    fleet.kill("up")?;
    fleet.start("up").await?;
    fleet.client.approve(&id).await?;
    fleet.client.wait_for(&id, "success").await?;
    Ok(())
}
