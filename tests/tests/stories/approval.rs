//! Approvals: rejected, expired, repeated, for another plan.

use crate::{HELLO, request, world};
use reqwest::StatusCode;
use serde_json::json;
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn a_rejected_plan_is_cancelled_and_says_who() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    assert_eq!(fleet.client.say(&id, "reject", &json!({})).await?.0, StatusCode::OK);
    let status = fleet.client.wait_for(&id, "cancelled").await?;
    assert_eq!((status["error"].as_str(), status["approval"]["state"].as_str()), (Some(""), Some("rejected")));
    let (code, answer) = fleet.client.say(&id, "approve", &json!({})).await?;
    assert_eq!((code, answer["status"].as_str()), (StatusCode::CONFLICT, Some("cancelled")), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_approval_expires() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let wishes = Wishes::git(git.server.host()).set("NAVVY__SCHEDULER__APPROVAL_TTL", "1s").set("NAVVY__SCHEDULER__SWEEP", "1s");
    let fleet = Fleet::up(wishes).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    let status = fleet.client.wait_for(&id, "cancelled").await?;
    assert_eq!(status["approval"]["state"], "expired");
    Ok(())
}

#[tokio::test]
async fn approving_twice_is_once_and_another_plan_is_refused() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    let (code, answer) = fleet.client.say(&id, "approve", &json!({"plan_sha256": "0".repeat(64)})).await?;
    assert_eq!((code, answer["code"].as_str()), (StatusCode::CONFLICT, Some("plan_changed")), "{answer}");
    for _ in 0..2 {
        assert_eq!(fleet.client.say(&id, "approve", &json!({})).await?.0, StatusCode::OK);
    }
    fleet.client.wait_for(&id, "success").await?;
    Ok(())
}
