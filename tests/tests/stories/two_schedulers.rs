//! Two schedulers on the same runs: slower, perhaps, but every job is done once.

use crate::{request, with};
use serde_json::json;
use std::fs;
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn two_schedulers_share_the_work_and_one_may_die() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &crate::slow_apply(&effects, 1, None))])?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()).set("NAVVY__SCHEDULER__SWEEP", "1s"), &["w1"]).await?;
    fleet.start("scheduler-2").await?;
    let mut runs = Vec::new();
    for n in 0..4 {
        // Two pairs that share a lock each.
        let body = with(request(&repo), json!({"auto_approve": true, "workspace": format!("w{}", n % 2)}));
        runs.push(fleet.client.deploy(&body).await?);
    }
    fleet.client.wait_for(&runs[0], "success").await?;
    fleet.kill("scheduler")?;
    for run in &runs {
        fleet.client.wait_for(run, "success").await?;
    }
    assert_eq!(fs::read_to_string(&effects)?.lines().count(), runs.len(), "each applied once");
    Ok(())
}
