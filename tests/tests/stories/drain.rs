//! SIGTERM: what runs is finished, nothing new is taken, and nobody waits for the one who goes.

use crate::{HELLO, request, slow_apply, with};
use serde_json::json;
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn a_worker_told_to_stop_finishes_its_apply_and_takes_nothing_new() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let slow = git.repo("slow", &[("main.tf", &slow_apply(&effects, 12, None))])?;
    let quick = git.repo("quick", HELLO)?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()).set("NAVVY__WORKER__SLOTS", "4"), &["w1"]).await?;
    let first = fleet.client.deploy(&with(request(&slow), json!({"auto_approve": true}))).await?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.tell_to_stop("w1")?;
    eventually("a draining worker", || async {
        let workers = fleet.client.get("/v1/workers").await?;
        Ok(workers["workers"].as_array().is_some_and(|all| all.iter().any(|w| w["draining"] == true)).then_some(()))
    })
    .await?;
    // Three of its slots were waiting for orders when it was told.
    fleet.start("w2").await?;
    let second = fleet.client.deploy(&request(&quick)).await?;
    fleet.client.wait_for(&second, "awaiting_approval").await?;
    let jobs = fleet.client.get(&format!("/v1/runs/{second}/jobs")).await?;
    let attempts = jobs["jobs"][0]["attempts"].as_array().expect("a list");
    assert_eq!((attempts.len(), attempts[0]["worker"].as_str()), (1, Some("w2")), "{jobs:#}");
    assert!(fleet.wait("w1").await?, "it ends well");
    fleet.client.wait_for(&first, "success").await?;
    assert_eq!(std::fs::read_to_string(&effects)?.lines().count(), 1);
    Ok(())
}

#[tokio::test]
async fn gateway_and_scheduler_end_well_when_told_and_a_run_goes_on_with_the_next() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let repo = git.repo("infra", HELLO)?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()), &["w1"]).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    for role in ["scheduler", "gateway"] {
        assert!(fleet.stop(role).await?, "{role} ends well");
        fleet.start(role).await?;
    }
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    Ok(())
}
