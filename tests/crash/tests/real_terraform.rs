//! The smaller lane: real terraform, its state on an http backend with a real lock, its effects lines in a file.

use anyhow::Context as _;
use crash_tests::family;
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};
use system_tests::{
    client::Client,
    eventually,
    fixture::{Fixture, state_server},
    fleet::{Fleet, Wishes},
    git::{GitServer, Repo},
};
use tempfile::TempDir;

/// Resources one after the other: a quick one, one that may take its time, and one that goes on while the file `hold` is
/// there. terraform writes the state of a running apply when a resource is done and the last write is 20 s old.
fn configuration(state: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"
terraform {{
  backend "http" {{
    address        = "{state}/state"
    lock_address   = "{state}/state"
    unlock_address = "{state}/state"
  }}
}}
variable "label" {{ type = string }}
resource "terraform_data" "first" {{
  triggers_replace = var.label
  provisioner "local-exec" {{
    command = "echo ${{var.label}} first >> {dir}/effects"
  }}
}}
resource "terraform_data" "second" {{
  triggers_replace = terraform_data.first.id
  provisioner "local-exec" {{
    command = "echo ${{var.label}} second >> {dir}/effects; [ ! -e {dir}/slow ] || sleep 21"
  }}
}}
resource "terraform_data" "third" {{
  triggers_replace = terraform_data.second.id
  provisioner "local-exec" {{
    command = "echo ${{var.label}} third >> {dir}/effects; n=0; while [ -e {dir}/hold ] && [ $n -lt 1800 ]; do sleep 0.1; n=$((n+1)); done"
  }}
}}
"#
    )
}

/// What a run does, whole.
const ALL: [&str; 3] = ["first", "second", "third"];

struct World {
    dir: TempDir,
    state: Fixture,
    _git: GitServer,
    repo: Repo,
    fleet: Fleet,
}

impl World {
    async fn open() -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let state = state_server(&dir.path().join("state"))?;
        let git = GitServer::start()?;
        let files = configuration(&state.url, dir.path());
        let repo = git.repo("infra", &[("main.tf", &files)])?;
        let wishes = Wishes::git(git.server.host())
            .set("NAVVY__SCHEDULER__LEASE", "6s")
            .set("NAVVY__SCHEDULER__SWEEP", "1s")
            .set("NAVVY__WORKER__HEARTBEAT", "1s");
        let fleet = Fleet::apart(Wishes { program: Some("navvy-crash"), ..wishes }, &["w1"]).await?;
        Ok(Self { dir, state, _git: git, repo, fleet })
    }

    fn client(&self) -> &Client {
        &self.fleet.client
    }

    async fn submit(&self, label: &str) -> anyhow::Result<String> {
        let body = json!({
            "tool": "terraform", "git_url": self.repo.url, "git_ref": "main", "auto_approve": true,
            "env_vars": {"TF_VAR_label": label}, "public_env": ["TF_VAR_label"],
        });
        self.client().deploy(&body).await
    }

    async fn arm(&mut self, role: &str, point: &str) -> anyhow::Result<()> {
        self.fleet.kill(role)?;
        let hits = self.hits();
        self.fleet.start_with(role, &[("NAVVY_FAILPOINT", point), ("NAVVY_FAILPOINT_HITS", &hits)]).await
    }

    fn hits(&self) -> String {
        self.dir.path().join("hits").display().to_string()
    }

    async fn until_dead(&mut self, role: &str) -> anyhow::Result<()> {
        let hits = self.hits();
        eventually("the process to die at its point", || async { Ok(fs::metadata(&hits).is_ok_and(|file| file.len() > 0).then_some(())) })
            .await?;
        self.fleet.kill(role)
    }

    /// What a run with this label has done.
    fn effects(&self, label: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("effects")).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix(label)).map(|done| done.trim().to_owned()).collect()
    }

    /// The resources in the backend's state.
    async fn resources(&self) -> anyhow::Result<usize> {
        let answer = reqwest::get(format!("{}/state", self.state.url)).await?;
        if !answer.status().is_success() {
            return Ok(0);
        }
        let state: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(state["resources"].as_array().map_or(0, Vec::len))
    }

    /// Worker, runner and terraform at once.
    fn lose_the_machine(&mut self) -> anyhow::Result<()> {
        let family = family::below(self.fleet.pid("w1").context("the worker runs")?);
        self.fleet.kill("w1")?;
        family::kill_all(&family);
        Ok(())
    }

    /// What an operator does with a state lock whose holder is dead.
    async fn force_unlock(&self) -> anyhow::Result<()> {
        let url = format!("{}/state", self.state.url);
        let http = reqwest::Client::new();
        let held = http.request(Method::from_bytes(b"LOCK")?, &url).json(&json!({"ID": "somebody"})).send().await?;
        anyhow::ensure!(held.status().as_u16() == 423, "terraform's lock should still be held: {}", held.status());
        let holder: Value = held.json().await?;
        let freed = http.request(Method::from_bytes(b"UNLOCK")?, &url).json(&holder).send().await?;
        anyhow::ensure!(freed.status().is_success(), "{}", freed.status());
        Ok(())
    }
}

/// The machine is lost in the middle of the apply; nobody applies again until a person has looked.
async fn machine_lost(after_state_write: bool) -> anyhow::Result<()> {
    let mut world = World::open().await?;
    fs::write(world.dir.path().join("hold"), "")?;
    if after_state_write {
        fs::write(world.dir.path().join("slow"), "")?;
    }
    let id = world.submit("one").await?;
    eventually("the third resource to be under way", || async { Ok((world.effects("one") == ALL).then_some(())) }).await?;
    if after_state_write {
        eventually("a state write", || async { Ok((world.resources().await? > 0).then_some(())) }).await?;
        fs::remove_file(world.dir.path().join("slow"))?;
    } else {
        assert_eq!(world.resources().await?, 0);
    }
    world.lose_the_machine()?;
    let unknown = world.client().wait_for(&id, "unknown").await?;
    assert_eq!(unknown["waiting_for"]["for"], "resolution", "{unknown:#}");
    world.fleet.start("w1").await?;
    let run = world.client().get(&format!("/v1/runs/{id}")).await?;
    assert!(run["evidence"]["check"].as_array().is_some_and(|check| !check.is_empty()), "{run:#}");

    // Somebody else waits, and does not get in.
    let next = world.submit("two").await?;
    eventually("the next run to wait for the lock", || async {
        let status = world.client().status(&next).await?;
        Ok((status["waiting_for"]["for"] == "lock").then_some(()))
    })
    .await?;
    assert_eq!(world.effects("one"), ALL, "nothing is done again by itself");

    fs::remove_file(world.dir.path().join("hold"))?;
    world.force_unlock().await?;
    let settle = json!({"as": "failed", "reason": "the machine is gone, its state lock was freed"});
    world.client().settle(&id, &settle).await?;
    world.client().wait_for(&id, "failed").await?;
    world.client().wait_for(&next, "success").await?;
    assert_eq!((world.effects("one").len(), world.effects("two").len()), (3, 3));
    assert_eq!(world.resources().await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_machine_lost_before_the_first_state_write_is_unknown_and_nothing_is_applied_twice() -> anyhow::Result<()> {
    machine_lost(false).await
}

#[tokio::test]
async fn a_machine_lost_after_a_state_write_is_unknown_and_nothing_is_applied_twice() -> anyhow::Result<()> {
    machine_lost(true).await
}

#[tokio::test]
async fn processes_that_die_where_decisions_are_written_cost_nothing() -> anyhow::Result<()> {
    let mut world = World::open().await?;
    let points = [
        ("scheduler", "scheduler.locks.wanted.true"),
        ("scheduler", "scheduler.answer.due.Go"),
        ("scheduler", "scheduler.committed.AttemptEnded:2"),
        ("scheduler", "scheduler.committed.RunEnded"),
        ("w1", "worker.effects.asking"),
        ("w1", "worker.tool.ended"),
        ("w1", "worker.report.written:2"),
        ("gateway", "gateway.admitted"),
    ];
    for (n, (role, point)) in points.into_iter().enumerate() {
        let _ = fs::remove_file(world.hits());
        world.arm(role, point).await?;
        let label = format!("run{n}");
        let accepted = world.submit(&label).await;
        world.until_dead(role).await?;
        world.fleet.start(role).await?;
        let id = if let Ok(id) = accepted {
            id
        } else {
            // Accepted, and not told so: the list has it.
            let runs = world.client().get("/v1/runs").await?;
            runs["runs"][0]["id"].as_str().context("the run is in the list")?.to_owned()
        };
        world.client().wait_for(&id, "success").await.with_context(|| point.to_owned())?;
        assert_eq!(world.effects(&label), ALL, "{point}");
        assert_eq!(world.resources().await?, 3, "{point}");
    }
    Ok(())
}
