//! A permission is taken from a worker while it applies: what it did is not lost, and is told once it may be told.

use crate::{request, slow_apply};
use std::fs;
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
    git::GitServer,
};

/// A fleet in which somebody has just approved, and the apply is at work.
async fn applying(effects: &std::path::Path, git: &GitServer) -> anyhow::Result<(Fleet, String)> {
    let repo = git.repo("infra", &[("main.tf", &slow_apply(effects, 4, None))])?;
    let wishes = Wishes::git(git.server.host())
        .set("NAVVY__SCHEDULER__LEASE", "6s")
        .set("NAVVY__SCHEDULER__SWEEP", "2s")
        .set("NAVVY__WORKER__HEARTBEAT", "1s");
    let fleet = Fleet::apart(wishes, &["w1"]).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    fleet.client.approve(&id).await?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    Ok((fleet, id))
}

/// How often a worker said that it lacks a permission.
fn faults(fleet: &Fleet) -> anyhow::Result<usize> {
    let log = fs::read_to_string(fleet.log_path("w1"))?;
    Ok(log.lines().filter(|line| line.contains("ERROR") && line.contains("configuration fault: NATS does not permit this")).count())
}

#[tokio::test]
async fn an_outcome_that_may_not_be_reported_stays_on_disk_until_it_may() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let (mut fleet, id) = applying(&effects, &git).await?;
    let whole = fleet.forbid("worker.default", "inbox.*.*.report.default.*").await?;
    assert!(!fleet.ended("w1").await?, "a worker that cannot report has failed");
    let log = fs::read_to_string(fleet.log_path("w1"))?;
    let faults =
        log.lines().filter(|line| line.contains("ERROR") && line.contains("configuration fault: NATS does not permit this")).count();
    assert_eq!(faults, 1, "said once, and not in a loop: {log}");
    assert!(log.contains("report.default.w1") && log.contains("user `worker.default`"), "{log}");
    fleet.client.wait_for(&id, "unknown").await?;

    fleet.reconfigure(&whole).await?;
    fleet.start("w1").await?;
    fleet.client.wait_for(&id, "success").await?;
    assert_eq!(fs::read_to_string(&effects)?.lines().count(), 1, "applied once");
    Ok(())
}

#[tokio::test]
async fn a_log_that_may_not_be_sent_holds_up_no_result_and_is_archived() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let (mut fleet, id) = applying(&effects, &git).await?;
    fleet.forbid("worker.default", "log.default.*.*.*.*").await?;
    fleet.client.wait_for(&id, "success").await?;
    assert!(!fleet.ended("w1").await?, "a worker whose output nobody sees has failed");
    assert_eq!(faults(&fleet)?, 1, "said once, and not in a loop");
    let log = fleet.client.log(&id).await?;
    assert!(log.iter().any(|line| line.contains("started-the-slow-part")), "{log:#?}");
    Ok(())
}
