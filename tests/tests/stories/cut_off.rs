//! NATS goes away in the middle of an apply: the apply is not killed, and what came of it is told when NATS is back.

use crate::{http_backend, request, with};
use serde_json::json;
use std::{fs, path::Path};
use system_tests::{
    eventually,
    fixture::state_server,
    fleet::{Fleet, Wishes},
    git::{GitServer, Repo},
};

fn impatient(git: &GitServer) -> Wishes {
    Wishes::git(git.server.host())
        .set("NAVVY__SCHEDULER__LEASE", "6s")
        .set("NAVVY__SCHEDULER__SWEEP", "2s")
        .set("NAVVY__WORKER__HEARTBEAT", "1s")
}

/// An apply that says and writes when it begins and when it ends.
fn begins_and_ends(git: &GitServer, effects: &Path, state: &str) -> anyhow::Result<Repo> {
    let (backend, file) = (http_backend(state), effects.display());
    let main = format!(
        r#"
{backend}
resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "echo began >> {file} && echo the-slow-part-began && sleep 5 && echo the-slow-part-ended && echo ended >> {file}"
  }}
}}
output "done" {{ value = "yes" }}
"#
    );
    git.repo("infra", &[("main.tf", &main)])
}

async fn until_effects(effects: &Path, wanted: &str) -> anyhow::Result<()> {
    eventually(&format!("`{wanted}` in the effects"), || async {
        Ok(fs::read_to_string(effects).unwrap_or_default().contains(wanted).then_some(()))
    })
    .await
}

/// A worker's report that nobody could take yet.
async fn until_spooled(fleet: &Fleet, worker: &str) -> anyhow::Result<()> {
    fn holds(dir: &Path) -> bool {
        fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
            let path = entry.path();
            path.file_name().is_some_and(|name| name == "report.json") || (path.is_dir() && holds(&path))
        })
    }
    let dir = fleet.dir.path().join(worker);
    eventually("the report on the worker's disk", || async { Ok(holds(&dir).then_some(())) }).await
}

async fn applied_once_and_told_whole(fleet: &Fleet, id: &str, effects: &Path) -> anyhow::Result<()> {
    assert_eq!(fs::read_to_string(effects)?, "began\nended\n", "applied once");
    let log = fleet.client.log(id).await?.join("\n");
    for part in ["the-slow-part-began", "the-slow-part-ended", "Apply complete!"] {
        assert!(log.contains(part), "the log has `{part}`: {log}");
    }
    assert!(!log.contains("missing here"), "the log has no gap: {log}");
    let locks = fleet.client.get("/v1/locks").await?;
    assert!(locks["locks"].as_array().is_some_and(|all| all.iter().all(|lock| lock["holder"].is_null())), "{locks}");
    Ok(())
}

#[tokio::test]
async fn an_apply_cut_off_from_nats_finishes_and_is_told_when_nats_is_back() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (effects, state) = (dir.path().join("effects"), state_server(dir.path())?);
    let git = GitServer::start()?;
    let repo = begins_and_ends(&git, &effects, &state.url)?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    until_effects(&effects, "began").await?;
    fleet.kill_nats()?;
    until_spooled(&fleet, "w1").await?;
    assert!(fs::read_to_string(&effects)?.contains("ended"), "nobody killed it");
    fleet.start_nats().await?;
    fleet.client.wait_for(&id, "success").await?;
    applied_once_and_told_whole(&fleet, &id, &effects).await
}

#[tokio::test]
async fn a_worker_restarted_before_nats_is_back_still_tells() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (effects, state) = (dir.path().join("effects"), state_server(dir.path())?);
    let git = GitServer::start()?;
    let repo = begins_and_ends(&git, &effects, &state.url)?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    until_effects(&effects, "began").await?;
    fleet.kill_nats()?;
    // In the middle of the tool's work: the runner goes on without its worker.
    fleet.kill("w1")?;
    fleet.spawn("w1").await?;
    until_effects(&effects, "ended").await?;
    fleet.start_nats().await?;
    fleet.client.wait_for(&id, "success").await?;
    applied_once_and_told_whole(&fleet, &id, &effects).await
}

#[tokio::test]
async fn a_result_that_comes_after_the_run_is_unknown_settles_it_and_until_then_the_evidence_is_shown() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (effects, state) = (dir.path().join("effects"), state_server(dir.path())?);
    let git = GitServer::start()?;
    let repo = begins_and_ends(&git, &effects, &state.url)?;
    let mut fleet = Fleet::apart(impatient(&git), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    // Its output has come so far that a reader sees it.
    fleet.client.events(&id, None, |event| event.data.contains("the-slow-part-began")).await?;
    fleet.kill_nats()?;
    until_spooled(&fleet, "w1").await?;
    fleet.kill("w1")?;
    fleet.start_nats().await?;
    let status = fleet.client.wait_for(&id, "unknown").await?;
    let run = fleet.client.get(&format!("/v1/runs/{id}")).await?;
    for evidence in [&status["evidence"], &run["evidence"]] {
        assert!(evidence["serial_before"].is_u64(), "the worker told it before anything was changed: {evidence:#}");
        assert!(evidence["check"].as_array().is_some_and(|checks| !checks.is_empty()), "{evidence:#}");
        let lines = evidence["last_lines"].as_array().expect("a list");
        assert!(lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains("the-slow-part-began"))), "{evidence:#}");
    }
    let picture = String::from_utf8(fleet.navvy(&["run", &id]).output()?.stdout)?;
    assert!(picture.contains("state serial before:") && picture.contains("the-slow-part-began"), "{picture}");
    fleet.start("w1").await?;
    fleet.client.wait_for(&id, "success").await?;
    applied_once_and_told_whole(&fleet, &id, &effects).await
}
