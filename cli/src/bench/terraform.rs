//! The same configuration through Navvy and by hand: what Navvy costs.

use super::{fleet::BenchFleet, report::TerraformCost};
use anyhow::Context as _;
use proto::{RunId, view::RunStatus};
use serde_json::json;
use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// Runs both `runs` times, in turns, and compares the medians.
pub(super) async fn compare(fleet: &BenchFleet, git_url: &str, path: &str, runs: usize) -> anyhow::Result<TerraformCost> {
    let tool = if Command::new("terraform").arg("version").stdout(Stdio::null()).status().await.is_ok() { "terraform" } else { "tofu" };
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for n in 0..runs {
        by_hand.push(once_by_hand(tool, git_url, path).await?);
        ours.push(once_through_navvy(fleet, tool, git_url, path, n).await?);
    }
    let (ours, by_hand) = (median(ours), median(by_hand));
    Ok(TerraformCost {
        tool: tool.to_owned(),
        path: path.to_owned(),
        runs,
        through_navvy_ms: ours.as_secs_f64() * 1e3,
        by_hand_ms: by_hand.as_secs_f64() * 1e3,
        ratio: ours.as_secs_f64() / by_hand.as_secs_f64(),
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

async fn once_through_navvy(fleet: &BenchFleet, tool: &str, git_url: &str, path: &str, n: usize) -> anyhow::Result<Duration> {
    let body = json!({"tool": tool, "git_url": git_url, "git_ref": "main", "path": path, "auto_approve": true, "workspace": "default"});
    let began = Instant::now();
    let answer = fleet.post("/deploy", &body).await?;
    let run: RunId = answer["deployment_id"].as_str().context("an id")?.parse()?;
    loop {
        if let Some(view) = fleet.bus.views().get(run).await?
            && view.status.is_terminal()
        {
            anyhow::ensure!(view.status == RunStatus::Success, "run {n} through Navvy: {:?}", view.failure);
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a person would type.
async fn once_by_hand(tool: &str, git_url: &str, path: &str) -> anyhow::Result<Duration> {
    let dir = std::env::temp_dir().join(format!("navvy-bench-hand-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&dir)?;
    let began = Instant::now();
    let result = async {
        step(&dir, "git", &["clone", "-q", "--branch", "main", git_url, "checkout"]).await?;
        let work = dir.join("checkout").join(path);
        step(&work, tool, &["init", "-input=false"]).await?;
        step(&work, tool, &["plan", "-input=false", "-out=tfplan"]).await?;
        step(&work, tool, &["apply", "-input=false", "tfplan"]).await?;
        step(&work, tool, &["output", "-json"]).await
    };
    let result = result.await.map(|()| began.elapsed());
    std::fs::remove_dir_all(&dir)?;
    result
}

async fn step(dir: &Path, program: &str, args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(dir)
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_IN_AUTOMATION", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = command.status().await.with_context(|| format!("start {program}"))?;
    anyhow::ensure!(status.success(), "{program} {args:?}: {status}");
    Ok(())
}
