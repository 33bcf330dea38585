//! A reference is resolved once, to a commit, whatever it is called.

use crate::{HELLO, request, with, world};
use serde_json::json;
use system_tests::{
    fleet::{Fleet, Wishes},
    git::GitServer,
};

#[tokio::test]
async fn branches_tags_and_commits_lead_to_their_commit() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let old = repo.git(&["rev-parse", "HEAD"])?;
    repo.git(&["tag", "light"])?;
    repo.git(&["tag", "-a", "heavy", "-m", "annotated"])?;
    repo.git(&["branch", "$(id)"])?;
    repo.git(&["push", "-q", "--tags", "origin", "$(id)"])?;
    let new = repo.commit(&[("later.tf", "")])?;
    assert_ne!(old, new);
    let mut runs = Vec::new();
    for reference in [old.as_str(), &old[..8], "light", "heavy", "$(id)", "refs/tags/heavy", "main"] {
        // Plans of one directory come one after another; different workspaces do not wait.
        let body = with(request(&repo), json!({"git_ref": reference, "workspace": format!("w{}", runs.len())}));
        runs.push((reference.to_owned(), fleet.client.deploy(&body).await?));
    }
    for (reference, id) in runs {
        let status = fleet.client.wait_for(&id, "awaiting_approval").await?;
        let expected = if reference == "main" { &new } else { &old };
        assert_eq!(status["commit"].as_str(), Some(expected.as_str()), "{reference}");
    }
    let id = fleet.client.deploy(&with(request(&repo), json!({"git_ref": "no-such-branch", "workspace": "none"}))).await?;
    let status = fleet.client.wait_for(&id, "failed").await?;
    assert!(status["error"].as_str().is_some_and(|error| error.contains("no-such-branch")), "{status:#}");
    assert_eq!(status["failed_phase"], "cloning");
    Ok(())
}

#[tokio::test]
async fn a_private_repository_opens_to_the_right_password_only() -> anyhow::Result<()> {
    let git = GitServer::private("robot", "right-password-9")?;
    let repo = git.repo("private", HELLO)?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    for (password, expected) in [("right-password-9", "awaiting_approval"), ("wrong-password-9", "failed")] {
        let auth = json!({"type": "http", "username": "robot", "password": password});
        let id = fleet.client.deploy(&with(request(&repo), json!({"git_auth": auth, "workspace": expected.replace('_', "-")}))).await?;
        let status = fleet.client.wait_for(&id, expected).await?;
        assert!(!status.to_string().contains(password));
        if expected == "failed" {
            assert!(status["error"].as_str().is_some_and(|error| error.starts_with("Git clone failed:")), "{status:#}");
        }
    }
    Ok(())
}
