//! Private modules: from the server that the configuration itself came from, with the run's login; from nowhere else.

use crate::{
    request,
    secrets::{command_lines, holders},
    with,
};
use serde_json::{Value, json};
use std::path::Path;
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
    listener::Listener,
};

const PASSWORD: &str = "canary-91c7d2-for-modules";
const NET: &[(&str, &str)] = &[("main.tf", "output \"name\" { value = \"from-the-private-module\" }\n")];

fn uses(source: &str) -> String {
    format!("module \"net\" {{\n  source = \"git::{source}\"\n}}\noutput \"name\" {{ value = module.net.name }}\n")
}

fn login() -> Value {
    json!({"git_auth": {"type": "http", "username": "robot", "password": PASSWORD}, "auto_approve": true})
}

/// Private folders that hold the password: of another fleet's run there is none.
fn left_in_memory() -> Vec<String> {
    let mut found = Vec::new();
    let memory = Path::new("/dev/shm");
    for entry in memory.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("navvy-git-") {
            // Somebody else's may go while it is looked at.
            let _ = holders(&entry.path(), &[PASSWORD.as_bytes()], &mut found);
        }
    }
    found
}

#[tokio::test]
async fn a_private_module_of_the_same_server_is_fetched_with_the_runs_login() -> anyhow::Result<()> {
    let git = GitServer::private("robot", PASSWORD)?;
    let net = git.repo("net", NET)?;
    let repo = git.repo("infra", &[("main.tf", &uses(&net.url))])?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    let id = fleet.client.deploy(&with(request(&repo), login())).await?;
    let watching = async {
        let mut seen = Vec::new();
        loop {
            seen.extend(command_lines().into_iter().filter(|line| line.contains(PASSWORD) && !line.contains("git_http_server.py")));
            let Ok(status) = fleet.client.status(&id).await else { continue };
            if status["ended_at"].is_string() {
                return (seen, status);
            }
        }
    };
    let (seen, status) = tokio::time::timeout(system_tests::PATIENCE, watching).await?;
    assert_eq!(status["status"], "success", "{status:#}");
    assert!(status["apply_output"].as_str().is_some_and(|outputs| outputs.contains("from-the-private-module")), "{status:#}");
    assert_eq!(seen, Vec::<String>::new(), "in a command line");
    assert!(!status.to_string().contains(PASSWORD) && !fleet.client.log(&id).await?.join("\n").contains(PASSWORD));
    let mut found = Vec::new();
    holders(fleet.dir.path(), &[PASSWORD.as_bytes()], &mut found)?;
    assert_eq!(found, Vec::<String>::new(), "on disk");
    assert_eq!(left_in_memory(), Vec::<String>::new(), "in memory");
    Ok(())
}

#[tokio::test]
async fn another_server_is_told_nothing_not_even_by_a_redirect() -> anyhow::Result<()> {
    let stranger = Listener::start().await?;
    let git = GitServer::private_and_partly_moved("robot", PASSWORD, &format!("http://{}", stranger.host))?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    let own = git.server.host();
    for (name, source) in [
        ("elsewhere", format!("http://{}/net.git", stranger.host)),
        ("disguised", format!("http://{}@{}/net.git", own.replace(':', "%3A"), stranger.host)),
        ("redirected", format!("http://{own}/moved/net.git")),
    ] {
        let before = stranger.heads().len();
        let repo = git.repo(name, &[("main.tf", &uses(&source))])?;
        let id = fleet.client.deploy(&with(request(&repo), login())).await?;
        let status = fleet.client.wait_for(&id, "failed").await?;
        assert_eq!(status["failed_phase"], "init", "{name}: {status:#}");
        assert!(stranger.heads().len() > before, "{name}: the stranger was asked: {status:#}");
    }
    for head in stranger.heads() {
        let secret = [PASSWORD, "cm9ib3Q6"].iter().any(|needle| head.contains(needle));
        assert!(!secret, "{head}");
    }
    Ok(())
}
