//! Each role, killed in each phase, and started again: the run ends, and its effect happens once.

use crate::{request, with};
use serde_json::{Value, json};
use std::{fs, path::Path};
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
    git::{GitServer, Repo},
};

const PHASES: [&str; 5] = ["initializing", "cloning", "init", "plan", "apply"];

/// A configuration that writes its workspace's name when it is really applied, and takes a moment in each phase.
fn recording(effects: &Path) -> String {
    format!(
        r#"
resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "echo ${{terraform.workspace}} >> {} && sleep 2"
  }}
}}
"#,
        effects.display()
    )
}

/// Kills `role` as soon as the run is in the phase (or beyond it: phases may be short), and starts it again.
async fn kill_in(fleet: &mut Fleet, role: &str, phase: &str, id: &str) -> anyhow::Result<()> {
    let wanted = PHASES.iter().position(|known| *known == phase);
    eventually(&format!("run {id} to reach {phase}"), || async {
        let Ok(status) = fleet.client.status(id).await else { return Ok(None) };
        let now = PHASES.iter().position(|known| status["phase"] == *known);
        Ok((now >= wanted || status["ended_at"].is_string()).then_some(()))
    })
    .await?;
    fleet.kill(role)?;
    fleet.start(role).await
}

async fn sweep(role: &str) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo: Repo = git.repo("infra", &[("main.tf", &recording(&effects))])?;
    let wishes = Wishes::git(git.server.host())
        .set("NAVVY__SCHEDULER__LEASE", "6s")
        .set("NAVVY__SCHEDULER__SWEEP", "1s")
        .set("NAVVY__WORKER__HEARTBEAT", "1s");
    let mut fleet = Fleet::apart(wishes, &["w1"]).await?;
    for phase in PHASES {
        let body = with(request(&repo), json!({"auto_approve": true, "workspace": phase}));
        let id = fleet.client.deploy(&body).await?;
        kill_in(&mut fleet, role, phase, &id).await?;
        let status: Value = eventually(&format!("the run whose {role} was killed in {phase} to end"), || async {
            let Ok(status) = fleet.client.status(&id).await else { return Ok(None) };
            // Killed between the word to start and the tool's start, nobody can know: that is said, and not guessed.
            let settled = status["ended_at"].is_string() || (status["status"] == "unknown" && status["evidence"] != Value::Null);
            Ok(settled.then_some(status))
        })
        .await?;
        let applied = fs::read_to_string(&effects).unwrap_or_default().lines().filter(|line| *line == phase).count();
        match status["status"].as_str() {
            Some("success") => assert_eq!(applied, 1, "{role} killed in {phase}: {status:#}"),
            Some("unknown") => {
                assert!(role == "w1" && applied <= 1, "{role} killed in {phase}: {status:#}");
                // The truth may still come from the worker; until then the lock is held.
                fleet.client.wait_for(&id, "success").await.map(drop).or_else(|_| anyhow::Ok(()))?;
            }
            _ => panic!("{role} killed in {phase}: {status:#}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_gateway_killed_in_any_phase_costs_nothing() -> anyhow::Result<()> {
    sweep("gateway").await
}

#[tokio::test]
async fn a_scheduler_killed_in_any_phase_costs_nothing() -> anyhow::Result<()> {
    sweep("scheduler").await
}

#[tokio::test]
async fn a_worker_killed_in_any_phase_costs_at_most_another_attempt() -> anyhow::Result<()> {
    sweep("w1").await
}
