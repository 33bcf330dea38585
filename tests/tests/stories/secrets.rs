//! A canary goes through everything a secret goes through, and is then looked for in every place that can hold a byte.

use crate::{request, with};
use serde_json::json;
use std::{fs, path::Path};
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

const CANARY: &str = "canary-4f2b9c-do-not-show";

/// The canary raw and in base64.
const NEEDLES: [&[u8]; 2] = [CANARY.as_bytes(), b"Y2FuYXJ5LTRmMmI5Yy1kby1ub3Qtc2hvd"];

/// Files below `dir` that hold one of the needles. Deleted and ignored files are not there to be found.
pub(crate) fn holders(dir: &Path, needles: &[&[u8]], found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            holders(&path, needles, found)?;
        } else if path.is_file() {
            let bytes = fs::read(&path)?;
            if needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == *needle)) {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(())
}

/// Command lines of every process of this machine.
pub(crate) fn command_lines() -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let read = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    processes.flatten().filter_map(read).collect()
}

#[tokio::test]
async fn a_secret_is_nowhere_but_in_the_tool() -> anyhow::Result<()> {
    let git = GitServer::private("robot", CANARY)?;
    // The tool prints it raw, in base64 and inside JSON; all of that must be masked in the log.
    let leaky = r#"
variable "secret" {}
variable "shown" { default = "no" }
resource "terraform_data" "leak" {
  input = var.shown
  provisioner "local-exec" {
    command     = "echo raw:$SECRET; printf %s \"$SECRET\" | base64; printf '{\"k\":\"%s\"}\n' \"$SECRET\"; printf 'can'; sleep 0.2; printf '%s\n' \"$${SECRET#can}\""
    environment = { SECRET = var.secret }
  }
}
output "secret" {
  value     = var.secret
  sensitive = true
}
output "open" { value = "seen" }
"#;
    let repo = git.repo("leaky", &[("main.tf", leaky)])?;
    let fleet = Fleet::up(Wishes::git(git.server.host()).set("NAVVY__LOG__LEVEL", "debug")).await?;
    let auth = json!({"type": "http", "username": "robot", "password": CANARY});
    let body = with(
        request(&repo),
        json!({"auto_approve": true, "git_auth": auth, "env_vars": {"TF_VAR_secret": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY}}),
    );
    let id = fleet.client.deploy(&body).await?;
    let watching = async {
        let mut seen = Vec::new();
        loop {
            seen.extend(command_lines().into_iter().filter(|line| line.contains(CANARY)));
            let Ok(status) = fleet.client.status(&id).await else { continue };
            if status["ended_at"].is_string() {
                return (seen, status);
            }
        }
    };
    let (seen, status) = tokio::time::timeout(system_tests::PATIENCE, watching).await?;
    assert_eq!(status["status"], "success", "{status:#}");
    // The git server of this test is told its password on its command line; nobody else may be.
    let seen: Vec<_> = seen.into_iter().filter(|line| !line.contains("git_http_server.py")).collect();
    assert_eq!(seen, Vec::<String>::new(), "in a command line");
    assert!(!status.to_string().contains(CANARY), "in the status");
    assert!(status["apply_output"].as_str().is_some_and(|outputs| outputs.contains("seen")));
    let log = fleet.client.log(&id).await?.join("\n");
    assert!(log.contains("raw:***"), "{log}");
    assert!(!log.contains(CANARY) && !log.contains("Y2FuYXJ5"), "in the log");
    let run = fleet.client.get(&format!("/v1/runs/{id}")).await?;
    assert!(!run.to_string().contains(CANARY), "in the run");

    // Every stream, bucket, object, folder and log of the fleet lies below its folder.
    let mut found = Vec::new();
    holders(fleet.dir.path(), &NEEDLES, &mut found)?;
    assert_eq!(found, Vec::<String>::new(), "on disk");
    Ok(())
}
