//! Cancel really stops: while waiting, during a plan, during an apply. Afterwards nobody holds a lock.

use crate::{HELLO, http_backend, request, slow_apply, with, world};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::fs;
use system_tests::{eventually, fixture::state_server};

#[tokio::test]
async fn a_run_that_waits_for_approval_is_cancelled_at_once() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    assert_eq!(fleet.client.say(&id, "cancel", &json!({})).await?.0, StatusCode::OK);
    fleet.client.wait_for(&id, "cancelled").await?;
    let (code, answer) = fleet.client.say(&id, "cancel", &json!({})).await?;
    assert_eq!((code, answer["status"].as_str()), (StatusCode::CONFLICT, Some("cancelled")));
    Ok(())
}

#[tokio::test]
async fn a_plan_that_hangs_on_a_state_lock_is_stopped() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let state = state_server(dir.path())?;
    // Somebody outside the fleet holds terraform's own lock, so that the plan waits.
    let lock = json!({"ID": "11111111-1111-1111-1111-111111111111", "Operation": "test", "Who": "somebody", "Version": "1", "Created": "2026-01-01T00:00:00Z", "Path": "", "Info": ""});
    let locked = reqwest::Client::new().request(Method::from_bytes(b"LOCK")?, format!("{}/state", state.url)).json(&lock).send().await?;
    assert!(locked.status().is_success());
    let (_git, repo, fleet) = world(&[("main.tf", &http_backend(&state.url))]).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for_phase(&id, "plan").await?;
    fleet.client.say(&id, "cancel", &json!({})).await?;
    let status = fleet.client.wait_for(&id, "cancelled").await?;
    assert_eq!(status["phase"], "completed");
    Ok(())
}

#[tokio::test]
async fn an_apply_is_interrupted_saves_its_state_and_frees_the_state_lock() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let state = state_server(dir.path())?;
    let effects = dir.path().join("effects");
    let (_git, repo, fleet) = world(&[("main.tf", &slow_apply(&effects, 120, Some(&state.url)))]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.client.say(&id, "cancel", &json!({})).await?;
    fleet.client.wait_for(&id, "cancelled").await?;
    let locks: serde_json::Value = reqwest::get(format!("{}/__locks", state.url)).await?.json().await?;
    assert!(locks.as_object().is_some_and(serde_json::Map::is_empty) || locks.as_array().is_some_and(Vec::is_empty), "{locks}");
    assert_eq!(fs::read_to_string(&effects)?.lines().count(), 1);
    Ok(())
}
