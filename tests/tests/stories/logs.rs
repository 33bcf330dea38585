//! Any number of readers, live or later, from any place in the log, see the same bytes.

use crate::{HELLO, request, slow_apply, with, world};
use futures_util::future::try_join_all;
use serde_json::json;
use system_tests::{
    client::Event,
    eventually,
    fleet::{Fleet, Wishes},
    git::GitServer,
};

fn lines(events: &[Event]) -> Vec<(Option<String>, String)> {
    events.iter().filter(|event| event.name == "log").map(|event| (event.id.clone(), event.data.clone())).collect()
}

#[tokio::test]
async fn ten_live_readers_and_one_who_comes_later_see_the_same_lines() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let (_git, repo, fleet) = world(&[("main.tf", &slow_apply(&effects, 1, None))]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    let live = try_join_all((0..10).map(|_| fleet.client.events(&id, None, |_| false))).await?;
    let later = fleet.client.events(&id, None, |_| false).await?;
    assert!(lines(&later).iter().any(|(_, line)| line.contains("started-the-slow-part")));
    for reader in &live {
        assert_eq!(lines(reader), lines(&later));
        assert_eq!(reader.last().map(|event| event.name.as_str()), Some("end"));
    }
    // From any line on, the rest is the same.
    let all = lines(&later);
    for cut in [0, 1, all.len() / 2, all.len() - 1] {
        let rest = fleet.client.events(&id, all[cut].0.as_deref(), |_| false).await?;
        assert_eq!(lines(&rest), all[cut + 1..], "after line {cut}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_slows_nobody_and_loses_nothing() -> anyhow::Result<()> {
    let git = GitServer::start()?;
    let noisy = "resource \"terraform_data\" \"noise\" {\n  provisioner \"local-exec\" {\n    command = \"seq 1 60000\"\n  }\n}\n";
    let repo = git.repo("noisy", &[("main.tf", noisy)])?;
    let fleet = Fleet::up(Wishes::git(git.server.host())).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    // Opened and not read until the run is over.
    let url = format!("{}/deploy/{id}/logs", fleet.client.url);
    let slow = reqwest::Client::new().get(&url).bearer_auth(&fleet.client.token).send().await?;
    fleet.client.wait_for(&id, "success").await?;
    let fast = fleet.client.events(&id, None, |_| false).await?;
    let text = slow.text().await?;
    let slow_lines = text.lines().filter(|line| line.starts_with("data: ") && line.contains("terraform_data.noise (local-exec)")).count();
    let fast_lines = fast.iter().filter(|event| event.name == "log" && event.data.contains("terraform_data.noise (local-exec)")).count();
    assert!(fast_lines >= 60_000, "{fast_lines}");
    assert_eq!(slow_lines, fast_lines);
    Ok(())
}

#[tokio::test]
async fn the_command_line_follows_a_log_across_a_gateway_restart() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let effects = dir.path().join("effects");
    let git = GitServer::start()?;
    let repo = git.repo("infra", &[("main.tf", &slow_apply(&effects, 4, None))])?;
    let mut fleet = Fleet::apart(Wishes::git(git.server.host()), &["w1"]).await?;
    let id = fleet.client.deploy(&with(request(&repo), json!({"auto_approve": true}))).await?;
    let out = dir.path().join("followed");
    let mut follower = fleet.navvy(&["--color", "always", "logs", "-f", &id]).stdout(std::fs::File::create(&out)?).spawn()?;
    eventually("the apply to be at work", || async { Ok(effects.exists().then_some(())) }).await?;
    fleet.kill("gateway")?;
    fleet.start("gateway").await?;
    fleet.client.wait_for(&id, "success").await?;
    let status = tokio::task::spawn_blocking(move || follower.wait()).await??;
    assert!(status.success(), "{status}");
    let expected = fleet.client.log(&id).await?;
    let followed = std::fs::read_to_string(&out)?;
    assert_eq!(followed.lines().collect::<Vec<_>>(), expected, "no gap, no line twice");
    Ok(())
}

#[tokio::test]
async fn a_finished_log_is_there_for_whoever_asks_without_following() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let id = fleet.client.deploy(&request(&repo)).await?;
    fleet.client.wait_for(&id, "awaiting_approval").await?;
    let output = fleet.navvy(&["logs", &id]).output()?;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("Running terraform plan...") && text.contains("Waiting for approval..."), "{text}");
    Ok(())
}
