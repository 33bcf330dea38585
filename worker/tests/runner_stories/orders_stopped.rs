//! Stories about shell orders that are stopped: on request, at their time limit, with their runner.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use worker::runner::RunnerError;
use worker::shell::Outcome;

use crate::kit::{content, lives, until};
use crate::orders_kit::{OrderStory, Over, shells};

/// A process that ignores every wish, its grandchild, and a daemon in a session of its own.
const STUBBORN: &str = r"
    trap '' TERM HUP INT
    (sleep 10000 & echo $! > grandchild; wait) &
    setsid sh -c 'echo $$ > daemon; while :; do sleep 0.01; done' &
    until [ -s daemon ] && [ -s grandchild ]; do sleep 0.01; done
    echo $$ > ready
    while :; do sleep 0.01; done
";

/// Runs a command into a time limit that is long enough for it to be ready, however slow the machine is.
async fn past_its_time(command: &str) -> (OrderStory, Over, u64) {
    for seconds in [1, 10, 60] {
        let story = OrderStory::new(&[command, "echo never"]).with(|story| {
            story.time_limit = Duration::from_secs(seconds);
            story.bounds.grace = Duration::from_millis(100);
        });
        let over = story.run().await;
        if story.path("ready").exists() {
            return (story, over, seconds);
        }
    }
    panic!("the command never got ready");
}

#[tokio::test]
async fn the_time_limit_ends_grandchildren_daemons_and_those_that_ignore_it() {
    let (story, over, seconds) = past_its_time(STUBBORN).await;
    assert_eq!(over.outcome, Outcome::Stopped { timed_out: true });
    assert_eq!((over.exit.signal, over.exit.leftovers), (Some(Signal::SIGKILL as i32), 0));
    assert!(over.log.ends_with(&format!("\nCommand timed out after {seconds}s\n")), "{}", over.log);
    for name in ["ready", "grandchild", "daemon"] {
        assert!(!lives(&content(&story.path(name)).await), "{name}");
    }
}

#[tokio::test]
async fn the_time_limit_is_the_whole_orders_and_a_polite_command_ends_by_itself() {
    let (_, over, seconds) = past_its_time("trap 'echo saved; exit 0' TERM; echo x > ready; while :; do sleep 0.01; done").await;
    // Whether its shell or only the group's others got to print: nothing more was started.
    assert_eq!(over.outcome, Outcome::Stopped { timed_out: true }, "{}", over.log);
    assert!(over.log.ends_with(&format!("saved\nExit code: 0\nCommand timed out after {seconds}s\n")), "{}", over.log);
    assert_eq!(over.exit.code, Some(143));
}

#[tokio::test]
async fn a_stop_on_request_reaches_the_whole_group_and_the_driver_lives_to_say_how_it_ended() {
    let dir = tempfile::tempdir().expect("a folder");
    for shell in shells(dir.path()) {
        let command = "sleep 10000 & echo $! > child; trap 'echo cleaned up; exit 3' TERM; echo x > ready; wait; wait";
        let story = OrderStory::new(&[command, "echo never"]);
        let mut runner = story.start_in(&shell).await;
        content(&story.path("ready")).await;
        runner.interrupt().await.expect("the runner lives");
        runner.interrupt().await.expect("the runner lives");
        let over = story.end(runner).await;
        assert_eq!(over.outcome, Outcome::Stopped { timed_out: false }, "{}", shell.display());
        assert!(over.log.ends_with("\ncleaned up\nExit code: 3\n"), "{}: {}", shell.display(), over.log);
        assert!(!lives(&content(&story.path("child")).await));
    }
}

#[tokio::test]
async fn a_stop_on_request_kills_after_the_grace_and_a_kill_at_once() {
    for force in [false, true] {
        let story = OrderStory::new(&[STUBBORN]).with(|story| {
            story.bounds.grace = if force { Duration::from_hours(1) } else { Duration::from_millis(50) };
        });
        let mut runner = story.start().await;
        content(&story.path("ready")).await;
        let asked = if force { runner.kill().await } else { runner.interrupt().await };
        asked.expect("the runner lives");
        let over = story.end(runner).await;
        assert_eq!(over.outcome, Outcome::Stopped { timed_out: false });
        assert!(!lives(&content(&story.path("daemon")).await));
    }
}

#[tokio::test]
async fn a_daemon_that_was_left_behind_ends_with_its_order() {
    let story =
        OrderStory::new(&["setsid sh -c 'trap \"\" TERM; echo $$ > daemon; sleep 10000' & until [ -s daemon ]; do sleep 0.01; done"]);
    let over = story.run().await;
    assert_eq!(over.outcome, Outcome::Succeeded { commands: 1 });
    assert!(!lives(&content(&story.path("daemon")).await));
}

#[tokio::test]
async fn a_killed_runner_starts_no_further_command() {
    let story =
        OrderStory::new(&["echo $PPID > driver; echo $$ > tool; until [ -e go ]; do sleep 0.01; done; echo x > ended", "echo x > never"]);
    let mut runner = story.start().await;
    let (driver, tool) = (content(&story.path("driver")).await, content(&story.path("tool")).await);
    kill(Pid::from_raw(runner.pid() as i32), Signal::SIGKILL).expect("is killed");
    let lost = loop {
        match runner.next_event().await {
            Ok(event) => assert!(event.is_some(), "its end cannot be told"),
            Err(error) => break error,
        }
    };
    assert!(matches!(lost, RunnerError::Lost { .. }));
    until("the driver dies with its runner", || !lives(&driver)).await;
    fs::write(story.path("go"), "").expect("writes");
    until("the command ends by itself", || !lives(&tool)).await;
    assert!(story.path("ended").exists() && !story.path("never").exists());
}
