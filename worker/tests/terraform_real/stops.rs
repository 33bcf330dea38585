//! Stops and accidents between and in the steps: what was not begun is not begun, what was lost is said to be lost.

use crate::plain::Plain;
use crate::servers::StateServer;
use crate::site::Site;
use std::time::Duration;
use worker::terraform::{CommandError, PluginCache, ToolCommand, Unfinished};

const FAKE: &str = "case $1 in show) echo '{\"format_version\":\"1.2\"}';; output) echo '{}';; plan) for a; do case $a in -out=*) echo x > \"${a#-out=}\";; esac; done;; esac";

async fn site() -> Site {
    Site::new(&[("main.tf", "")]).await.with_fake(FAKE)
}

#[tokio::test]
async fn after_a_stop_nothing_more_is_begun() {
    let mut commands = Plain::new(&[]);
    commands.accident = |command| (command.args[0] == "plan").then_some(CommandError::Stopped);
    let end = site().await.plan(&mut commands).await.expect_err("stopped");
    assert!(matches!(end, Unfinished::Stopped { clean: true }));
    assert_eq!(commands.ran(), ["init"]);
}

#[tokio::test]
async fn a_lost_plan_failed_and_a_lost_apply_is_unclear() {
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let mut commands = Plain::new(&[]);
    commands.accident = |command| (command.args[0] == "plan").then(|| CommandError::Lost("the runner died".to_owned()));
    let end = site().await.plan(&mut commands).await.expect_err("lost");
    assert!(matches!(&end, Unfinished::Failed(failure) if failure.kind == "runner_lost"), "{end:?}");

    commands.accident = |command| command.effects.then(|| CommandError::Lost("the runner died".to_owned()));
    let end = site().await.apply(&mut commands, &planned).await.expect_err("lost");
    assert!(matches!(&end, Unfinished::Unclear(unclear) if unclear.evidence.seen.contains("the runner died")), "{end:?}");
}

#[tokio::test]
async fn outputs_that_cannot_be_read_do_not_undo_an_apply() {
    let planned = site().await.plan(&mut Plain::new(&[])).await.expect("planned");
    let stopped: fn(&ToolCommand) -> Option<CommandError> = |command| (command.args[0] == "output").then_some(CommandError::Stopped);
    let too_much: fn(&ToolCommand) -> Option<CommandError> =
        |command| (command.args[0] == "output").then_some(CommandError::TooMuch { limit: 1 });
    for accident in [stopped, too_much] {
        let mut commands = Plain::new(&[]);
        commands.accident = accident;
        let result = site().await.apply(&mut commands, &planned).await.expect("applied");
        assert_eq!(result.outputs, "");
        assert!(commands.log.contains("The outputs could not be read"), "{}", commands.log);
    }
}

#[tokio::test]
async fn init_goes_on_without_a_cache_that_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = PluginCache::open(folder.path(), Duration::ZERO).expect("opened");
    let held = std::fs::OpenOptions::new().append(true).create(true).open(folder.path().join(".navvy-lock")).expect("opened");
    held.lock().expect("free");
    let mut waits = site().await;
    waits.setup.plugin_cache = Some(cache);
    let mut commands = Plain::new(&[]);
    waits.plan(&mut commands).await.expect("planned");
    assert!(commands.log.contains("» The provider cache is busy: going on without it\n"), "{}", commands.log);
    assert!(!commands.commands[0].env.iter().any(|(name, _)| name == "TF_PLUGIN_CACHE_DIR"));
}

#[tokio::test]
async fn init_is_tried_again_when_a_cached_provider_is_running_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let busy = "if [ $1 = init ] && [ -n \"$TF_PLUGIN_CACHE_DIR\" ]; then echo 'open x: text file busy'; exit 1; fi";
    let mut site = Site::new(&[("main.tf", "")]).await.with_fake(&format!("{busy}\n{FAKE}"));
    site.setup.plugin_cache = Some(PluginCache::open(folder.path(), Duration::from_mins(5)).expect("opened"));
    let mut commands = Plain::new(&[]);
    site.plan(&mut commands).await.expect("planned");
    assert_eq!(commands.ran(), ["init", "init", "plan", "show"]);
}

#[tokio::test]
async fn a_backend_elsewhere_is_not_warned_about() {
    let server = StateServer::start();
    let site = Site::new(&[("main.tf", "terraform {\n  backend \"http\" {}\n}")]).await.with_backend(server.backend("quiet"));
    let mut commands = Plain::new(&[]);
    site.plan(&mut commands).await.expect("planned");
    assert!(!commands.log.contains("names no backend"), "{}", commands.log);
}
