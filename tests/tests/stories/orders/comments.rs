//! The comment of a run on a small GitHub: made once, edited in place, whatever dies or is away.

use super::{Ring, after, job, note, order, until};
use crate::with;
use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::{RunId, subject};
use serde_json::{Value, json};
use std::{fs, net::TcpListener};
use system_tests::{eventually, fixture::Fixture, fleet::Wishes, git::GitServer};

const TOKEN: &str = "ghp_the-token-of-the-comments";

fn wishes(url: &str) -> Wishes {
    Wishes::default()
        .set("NAVVY__GATEWAY__GITHUB__API_URL", url)
        .set("NAVVY__GATEWAY__GITHUB__TOKEN", TOKEN)
        .set("NAVVY__GATEWAY__GITHUB__EDIT_INTERVAL", "1s")
}

fn github(listen: &str) -> anyhow::Result<Fixture> {
    Fixture::start("github_server.py", &["--token", TOKEN, "--listen", listen])
}

/// A ring with comments, and a repository whose orders have no need of its files.
async fn with_code(api: &str) -> anyhow::Result<(Ring, GitServer)> {
    let git = GitServer::private("x-access-token", TOKEN)?;
    git.repo("acme/infra", &[("README.md", "nothing\n")])?;
    let mut wishes = wishes(api)
        .set("NAVVY__GATEWAY__ORDERS__GIT_BASE", git.server.url.clone())
        .set("NAVVY__WORKER__CREDENTIALS__VARIABLES", "STORY_GIT_TOKEN")
        .set("STORY_GIT_TOKEN", TOKEN);
    wishes.git_hosts.push(git.server.host().to_owned());
    Ok((Ring::start(wishes, &["w1"]).await?, git))
}

fn git_job(orders: &[Value]) -> Value {
    let pull = json!({"git_repo": "acme/infra", "git_token_location": "env:::var:STORY_GIT_TOKEN", "pr_number": 42, "pr_comment_search_tag": "story"});
    with(job(orders), pull)
}

/// The comments of the pull request.
async fn comments(github: &Fixture) -> anyhow::Result<Vec<Value>> {
    let request = reqwest::Client::new().get(format!("{}/repos/acme/infra/issues/42/comments?per_page=100", github.url));
    let answer = request.bearer_auth(TOKEN).header("user-agent", "story").send().await?.error_for_status()?;
    Ok(answer.json().await?)
}

/// Waits until the pull request has a comment that says so.
async fn saying(github: &Fixture, text: &str) -> anyhow::Result<Value> {
    eventually(&format!("a comment with {text:?}"), || async {
        Ok(comments(github).await?.into_iter().find(|comment| comment["body"].as_str().is_some_and(|body| body.contains(text))))
    })
    .await
}

async fn faults(github: &Fixture, faults: Value) -> anyhow::Result<()> {
    reqwest::Client::new().post(format!("{}/__faults", github.url)).json(&faults).send().await?.error_for_status()?;
    Ok(())
}

fn last_line(comment: &Value) -> &str {
    comment["body"].as_str().and_then(|body| body.lines().last()).unwrap_or_default()
}

#[tokio::test]
async fn a_comment_is_made_edited_in_place_and_shows_the_end() -> anyhow::Result<()> {
    let github = github("127.0.0.1:0")?;
    let (ring, _git) = with_code(&github.url).await?;
    let orders = [order("vpc", &until(&ring.path("go"))), after(&["vpc"], order("rds", "exit 9"))];
    let run = ring.submit(&git_job(&orders)).await?;
    let first = saying(&github, "vpc: running").await?;
    assert!(first["body"].as_str().is_some_and(|body| body.starts_with("**Order Summary**") && body.contains("rds: queued")), "{first}");
    fs::write(ring.path("go"), "")?;
    assert_eq!(ring.ended(run).await?["status"], "failed");
    let last = saying(&github, "rds: failed").await?;
    assert_eq!((&last["id"], comments(&github).await?.len()), (&first["id"], 1), "one comment, edited in place");
    let body = last["body"].as_str().unwrap_or_default();
    assert!(body.contains("vpc: succeeded") && body.contains("failed after "), "{body}");
    for comment in [&first, &last] {
        let line = last_line(comment);
        assert!(line.starts_with(&format!("###story### #{run} #ada:")) && line.ends_with("-exec"), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn while_github_is_away_runs_go_on_and_the_comment_comes_later() -> anyhow::Result<()> {
    // An address where nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let (ring, _git) = with_code(&format!("http://{address}")).await?;
    let run = ring.submit(&git_job(&[order("vpc", &note(&ring.path("effects"), "vpc"))])).await?;
    assert_eq!(ring.ended(run).await?["status"], "success");
    assert_eq!(ring.lines("effects"), ["vpc"]);
    let github = github(&address)?;
    let comment = saying(&github, "vpc: succeeded").await?;
    assert!(last_line(&comment).contains(&run.to_string()));
    assert_eq!(comments(&github).await?.len(), 1);
    Ok(())
}

/// Who has claimed the run's comment, and until when.
async fn claim(ring: &Ring, run: RunId) -> anyhow::Result<bus::Held<Value>> {
    eventually("a gateway to have claimed the comment", || async {
        let held: bus::Held<Value> = ring.bus.notices().get(&subject::comment_key(run)).await?;
        Ok(Some(held).filter(|held| held.value["claim"].is_object()))
    })
    .await
}

#[tokio::test]
async fn a_gateway_that_dies_between_its_claim_and_the_comment_or_right_after_leaves_one_comment() -> anyhow::Result<()> {
    for made in [false, true] {
        let github = github("127.0.0.1:0")?;
        let (mut ring, _git) = with_code(&github.url).await?;
        if made {
            // It is made, and the gateway never learns that.
            faults(&github, json!([{"kind": "lost", "method": "POST"}])).await?;
        } else {
            kill(Pid::from_raw(github.pid().cast_signed()), Signal::SIGSTOP)?;
        }
        let run = ring.submit(&git_job(&[order("vpc", "true")])).await?;
        if made {
            eventually("the comment to be made", || async { Ok(comments(&github).await?.pop()) }).await?;
        } else {
            claim(&ring, run).await?;
        }
        ring.fleet.kill("gateway")?;
        kill(Pid::from_raw(github.pid().cast_signed()), Signal::SIGCONT)?;
        // Minutes pass: the claim is over.
        let mut held: bus::Held<Value> = ring.bus.notices().get(&subject::comment_key(run)).await?;
        for over in ["claim", "not_before"] {
            held.value.as_object_mut().context("a notice")?.remove(over);
        }
        ring.bus.notices().change(&subject::comment_key(run), &held).await?;
        ring.fleet.start("gateway").await?;
        assert_eq!(ring.ended(run).await?["status"], "success");
        saying(&github, "vpc: succeeded").await?;
        assert_eq!(comments(&github).await?.len(), 1, "made before: {made}");
    }
    Ok(())
}
