//! Stories about ending: exit codes, signals, leftovers, and a worker that dies first.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use crate::kit::{Ended, Story, content, example, lives, next, started, until};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use worker::attempt_log::is_held;
use worker::runner::{Exit, ExitRecord, OnOrphan, Outcome, RunnerError, RunnerEvent, StopCause};

const INT: i32 = Signal::SIGINT as i32;
const KILL: i32 = Signal::SIGKILL as i32;

fn end_of(exit: &Exit) -> (Option<i32>, Option<i32>) {
    (exit.code, exit.signal)
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    for captured in [false, true] {
        for (script, end) in [("exit 0", (Some(0), None)), ("exit 137", (Some(137), None)), ("kill -9 $$", (None, Some(KILL)))] {
            let story = Story::script(script);
            let story = if captured { story.captured(10) } else { story };
            let ended = story.run().await;
            assert_eq!(end_of(&ended.exit), end, "{script}");
            assert_eq!((ended.exit.leftovers, ended.exit.interrupted, ended.exit.timed_out), (0, false, false));
            assert!(ended.exit.usage.max_rss_bytes > 100_000, "{:?}", ended.exit.usage);
            let record = ExitRecord::read(&story.path("exit.json")).expect("reads").expect("is there");
            let Outcome::Exited { code, signal, log_len, .. } = record.outcome else { panic!("{record:?}") };
            assert_eq!(((code, signal), log_len), (end, ended.exit.log_len));
        }
    }
}

/// A tool and its child in one process group, each of which writes down the interrupts it gets.
const FAMILY: &str = r"
    cat > child.sh <<'END'
    trap 'echo int >> child-got' INT; echo $$ > child-ready
    while [ ! -e go ]; do sleep 0.01; done; echo ended > child-ended
END
    env --default-signal=INT sh child.sh &
    trap 'echo int >> tool-got' INT; echo $$ > tool-ready
    while [ ! -e go ]; do sleep 0.01; done
    wait; exit 5
";

#[tokio::test]
async fn an_interrupt_reaches_the_tool_alone_and_once() {
    let story = Story::script(FAMILY);
    let mut runner = story.start().await;
    started(&mut runner).await;
    content(&story.path("child-ready")).await;
    content(&story.path("tool-ready")).await;
    runner.interrupt().await.expect("the runner lives");
    runner.interrupt().await.expect("the runner lives");
    assert_eq!(next(&mut runner).await, Some(RunnerEvent::Signalled { signal: INT, cause: StopCause::Asked }));
    content(&story.path("tool-got")).await;
    fs::write(story.path("go"), "").expect("writes");
    let ended = story.end(runner).await;
    assert_eq!(end_of(&ended.exit), (Some(5), None));
    assert!(ended.exit.interrupted && !ended.exit.timed_out);
    assert_eq!(content(&story.path("tool-got")).await, "int", "two wishes, one signal");
    assert!(!story.path("child-got").exists() && story.path("child-ended").exists());
}

#[tokio::test]
async fn a_tool_that_ignores_every_wish_is_killed_with_its_children() {
    let story = Story::script("trap '' INT TERM; sleep 10000 & echo $! > child; while :; do sleep 0.01; done");
    let mut runner = story.start().await;
    started(&mut runner).await;
    let child = content(&story.path("child")).await;
    runner.interrupt().await.expect("the runner lives");
    runner.terminate().await.expect("the runner lives");
    runner.kill().await.expect("the runner lives");
    let ended = story.end(runner).await;
    assert_eq!((end_of(&ended.exit), ended.exit.leftovers), ((None, Some(KILL)), 0));
    assert!(!lives(&child));
    let signals = ended.events.iter().filter(|event| matches!(event, RunnerEvent::Signalled { .. })).count();
    assert_eq!(signals, 3, "{:?}", ended.events);
}

#[tokio::test]
async fn a_daemon_that_keeps_the_terminal_is_gone_before_the_exit_is_told() {
    for captured in [false, true] {
        let story = Story::script(
            "(trap '' HUP TERM; setsid sh -c 'echo $$ > daemon; sleep 10000' & ) ; until [ -s daemon ]; do sleep 0.01; done; echo bye >&2",
        );
        let story = if captured { story.captured(100) } else { story };
        let ended = story.run().await;
        assert_eq!((end_of(&ended.exit), ended.exit.leftovers), ((Some(0), None), 0));
        assert_eq!(ended.log, "bye\n", "what was written before is there");
        assert!(!lives(&content(&story.path("daemon")).await));
    }
}

/// Runs a command into a deadline that is long enough for it to have set its trap, however slow the machine is.
async fn past_its_deadline(trap: &str, grace: Option<Duration>) -> Ended {
    for millis in [100, 1000, 10_000, 60_000] {
        let story = Story::script(&format!("{trap}; echo x > ready; while :; do sleep 0.01; done")).with(|spec| {
            spec.deadline = Some(Duration::from_millis(millis));
            spec.grace = grace;
        });
        let ended = story.run().await;
        if story.path("ready").exists() {
            return ended;
        }
    }
    panic!("the command never came to set its trap");
}

#[tokio::test]
async fn the_deadline_interrupts_first_and_kills_after_the_grace() {
    let polite = past_its_deadline("trap 'exit 5' INT", None).await;
    assert_eq!((end_of(&polite.exit), polite.exit.timed_out), ((Some(5), None), true));
    let stubborn = past_its_deadline("trap '' INT", Some(Duration::from_millis(10))).await;
    assert_eq!((end_of(&stubborn.exit), stubborn.exit.timed_out), ((None, Some(KILL)), true));
    let mut causes = stubborn.events.iter().filter_map(|event| match event {
        RunnerEvent::Signalled { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!((causes.next(), causes.next(), causes.next()), (Some(StopCause::Deadline), Some(StopCause::GraceOver), None));
}

#[tokio::test]
async fn dropping_the_handle_is_the_workers_death_and_does_not_kill() {
    let story = Story::script("echo $$ > tool; while [ ! -e go ]; do sleep 0.01; done; echo finished; exit 6");
    let mut runner = story.start().await;
    started(&mut runner).await;
    let tool = content(&story.path("tool")).await;
    drop(runner);
    assert!(lives(&tool));
    fs::write(story.path("go"), "").expect("writes");
    assert_eq!(story_end(&story).await, (Some(6), None));
    assert_eq!(story.log(), "finished\n");

    let plan =
        Story::script("trap 'exit 7' INT; echo $$ > tool; while :; do sleep 0.01; done").with(|spec| spec.on_orphan = OnOrphan::Interrupt);
    let mut runner = plan.start().await;
    started(&mut runner).await;
    content(&plan.path("tool")).await;
    drop(runner);
    assert_eq!(story_end(&plan).await, (Some(7), None));
}

/// Waits for the exit record that nobody hears about.
async fn story_end(story: &Story) -> (Option<i32>, Option<i32>) {
    content(&story.path("exit.json")).await;
    let record = ExitRecord::read(&story.path("exit.json")).expect("reads").expect("is there");
    let Outcome::Exited { code, signal, .. } = record.outcome else { panic!("{record:?}") };
    (code, signal)
}

/// A worker of its own process group, killed with its whole group while its tool runs.
async fn killed_worker(story: &Story, script: &str, on_orphan: &str) -> String {
    let tool = story.path("tool");
    fs::write(&tool, format!("#!/bin/sh\n{script}\n")).expect("writes");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o700)).expect("executable");
    let mut worker = tokio::process::Command::new(example())
        .args(["worker".as_ref(), tool.as_os_str(), story.dir.path().as_os_str(), on_orphan.as_ref()])
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    let mut words = String::new();
    BufReader::new(worker.stdout.take().expect("piped")).read_line(&mut words).await.expect("two process ids");
    content(&story.path("ready")).await;
    killpg(Pid::from_raw(worker.id().expect("lives") as i32), Signal::SIGKILL).expect("is killed");
    worker.wait().await.expect("is reaped");
    words.split_ascii_whitespace().last().expect("the tool's").to_owned()
}

#[tokio::test]
async fn a_tool_outlives_its_killed_worker_and_leaves_log_and_record() {
    let story = Story::script("");
    let script = "echo before; echo x > ready; while [ ! -e go ]; do sleep 0.01; done; echo after; exit 9";
    let tool = killed_worker(&story, script, "finish").await;
    assert!(lives(&tool) && is_held(&story.path("log")).expect("asks"), "a restarted worker sees that it still runs");
    assert_eq!(ExitRecord::read(&story.path("exit.json")).expect("reads"), None);
    fs::write(story.path("go"), "").expect("writes");
    assert_eq!(story_end(&story).await, (Some(9), None));
    until("the log is let go", || !is_held(&story.path("log")).expect("asks")).await;
    assert_eq!(fs::read_to_string(story.path("log")).expect("reads"), "before\nafter\n");
}

#[tokio::test]
async fn a_tool_without_side_effects_is_interrupted_when_its_worker_is_killed() {
    let story = Story::script("");
    let script = "trap 'echo stopped; exit 3' INT; echo x > ready; while :; do sleep 0.01; done";
    killed_worker(&story, script, "interrupt").await;
    assert_eq!(story_end(&story).await, (Some(3), None));
    assert_eq!(fs::read_to_string(story.path("log")).expect("reads"), "stopped\n");
}

#[tokio::test]
async fn a_killed_runner_means_an_unknown_end_and_no_record() {
    let story = Story::script("while :; do sleep 0.01; done");
    let mut runner = story.start().await;
    let tool = started(&mut runner).await.to_string();
    kill(Pid::from_raw(runner.pid() as i32), Signal::SIGKILL).expect("is killed");
    assert!(matches!(runner.next_event().await, Err(RunnerError::Lost { .. })));
    assert_eq!(ExitRecord::read(&story.path("exit.json")).expect("reads"), None);
    until("the terminal hangs up on the tool", || !lives(&tool)).await;
}

#[tokio::test]
async fn signals_to_the_runner_itself_change_nothing() {
    let story = Story::script("while [ ! -e go ]; do sleep 0.01; done; exit 4");
    let mut runner = story.start().await;
    started(&mut runner).await;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        kill(Pid::from_raw(runner.pid() as i32), signal).expect("is sent");
    }
    fs::write(story.path("go"), "").expect("writes");
    let ended = story.end(runner).await;
    assert_eq!((end_of(&ended.exit), ended.exit.interrupted), ((Some(4), None), false));
}
