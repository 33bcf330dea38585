//! Stories about shell orders that come to their end: what stands in the log, what is around, what is told.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proto::orders::OrderEvent;
use worker::attempt_log::is_held;
use worker::runner::{ExitRecord, Runner, RunnerEvent};
use worker::shell::{Outcome, judge_unwatched};

use crate::kit::{content, example, exe, memory_kib, next, until};
use crate::orders_kit::{OrderStory, shells};

const CANARY: &str = "c4nary-Secret/Value+42=";

#[tokio::test]
async fn commands_run_in_sequence_and_stop_at_the_first_failure_in_every_shell() {
    let dir = tempfile::tempdir().expect("a folder");
    for shell in shells(dir.path()) {
        let story = OrderStory::new(&["echo one; echo two >&2", "cd /\nprintf 'a\\tb %s' \"$PWD\"", "pwd; exit 7", "echo never"]);
        let over = story.end(story.start_in(&shell).await).await;
        let folder = fs::canonicalize(story.path("")).expect("is there");
        let expected = format!(
            "$ echo one; echo two >&2\none\ntwo\nExit code: 0\n\
             $ cd /\nprintf 'a\\tb %s' \"$PWD\"\na\tb /\nExit code: 0\n\
             $ pwd; exit 7\n{}\nExit code: 7\n",
            folder.display()
        );
        assert_eq!(over.log, expected, "{}", shell.display());
        assert_eq!(over.failure(), ("exit_code", "command 3 of 4 ended with exit code 7"));
    }
}

#[tokio::test]
async fn an_order_succeeds_when_its_last_command_does() {
    let over = OrderStory::new(&["true", "printf end"]).run().await;
    assert_eq!(over.outcome, Outcome::Succeeded { commands: 2 });
    assert_eq!(over.log, "$ true\nExit code: 0\n$ printf end\nend\nExit code: 0\n");
    let killed = OrderStory::new(&["kill -9 $$"]).run().await;
    assert_eq!(killed.failure().0, "exit_code");
    assert!(killed.failure().1.ends_with("137, which a shell gives for signal 9"), "{killed:?}");
    let missing = OrderStory::new(&["no-such-program-anywhere"]).run().await;
    assert_eq!(missing.failure().1, "command 1 of 1 ended with exit code 127");
    assert!(missing.log.contains("not found"), "{}", missing.log);
}

#[tokio::test]
async fn output_and_errors_stand_in_the_order_they_were_written_in() {
    let over = OrderStory::new(&["n=0; while [ $n -lt 500 ]; do echo out $n; echo err $n >&2; n=$((n+1)); done"]).run().await;
    let lines: Vec<&str> = over.log.lines().skip(1).collect();
    let expected: Vec<String> = (0..500).flat_map(|n| [format!("out {n}"), format!("err {n}")]).collect();
    assert_eq!(lines[..1000], expected);
}

#[tokio::test]
async fn a_command_sees_no_terminal_and_nobody_who_answers() {
    let over = OrderStory::new(&["test -t 1 || test -t 2 || echo plain; cat; (: < /dev/tty) 2>/dev/null || echo nobody"]).run().await;
    assert!(over.log.ends_with("\nplain\nnobody\nExit code: 0\n"), "{}", over.log);
}

#[tokio::test]
async fn the_environment_is_the_orders_and_nothing_of_the_worker() {
    let story = OrderStory::new(&["env -0 | sort -z | tr '\\0\\n' '\\n?' > names; env -i true"]);
    let story = story.env("GREETING", "hello=world\nagain").env("_navvy", "mine").env("n", "5");
    let over = story.run().await;
    assert_eq!(over.outcome, Outcome::Succeeded { commands: 1 }, "{}", over.log);
    let text = fs::read_to_string(story.path("names")).expect("reads");
    let mut found: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for shells_own in ["PWD", "OLDPWD", "SHLVL", "_"] {
        found.remove(shells_own);
    }
    let scratch = story.scratch();
    let place = |name: &str| scratch.join(name).display().to_string();
    let (events, home, temporary) = (place("events"), place("home"), place("tmp"));
    let expected = [
        ("AWS_EXE_SYS_EVENTS_DIR", events.as_str()),
        ("GREETING", "hello=world?again"),
        ("HOME", &home),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/bin:/bin"),
        ("TERM", "dumb"),
        ("TMPDIR", &temporary),
        ("_navvy", "mine"),
        ("n", "5"),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_secret_is_masked_in_commands_and_output_and_stands_in_no_argument() {
    let echo = format!("echo {CANARY}; echo \"$TOKEN\"");
    let own = r"for pid in $$ $PPID; do tr '\0' '\n' < /proc/$pid/cmdline; done > arguments";
    let story = OrderStory::new(&[&echo, own]).env("TOKEN", CANARY).with(|story| story.secrets = vec![CANARY.to_owned()]);
    let over = story.run().await;
    assert!(over.log.starts_with("$ echo ***; echo \"$TOKEN\"\n***\n***\nExit code: 0\n"), "{}", over.log);
    let arguments = fs::read_to_string(story.path("arguments")).expect("reads");
    assert!(arguments.contains("_navvy_no") && !arguments.contains(CANARY) && !arguments.contains("arguments"), "{arguments}");
    let file = fs::metadata(story.scratch().join("commands/1")).expect("is there");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_commands_drop_into_the_events_folder_is_told() {
    let over = OrderStory::new(&[
        r#"printf '{"event_type":"vpc","status":"created","id":7}' > "$AWS_EXE_SYS_EVENTS_DIR/02.json""#,
        r#"echo '{}' > "$AWS_EXE_SYS_EVENTS_DIR/01-begin.json"; echo '{"half":' > "$AWS_EXE_SYS_EVENTS_DIR/03.json"; exit 4"#,
    ])
    .run()
    .await;
    let event = |event_type: &str, status: &str, data| OrderEvent { event_type: event_type.to_owned(), status: status.to_owned(), data };
    let expected = [event("01-begin", "info", serde_json::json!({})), event("vpc", "created", serde_json::json!({"id": 7}))];
    assert_eq!(over.told.events, expected, "also of an order that failed");
    assert!(over.told.warnings.len() == 1 && over.told.warnings[0].contains("03.json"), "{:?}", over.told.warnings);
}

/// Runs far more than its log takes, and watches the runner's memory meanwhile.
#[tokio::test]
async fn a_flood_of_output_is_bounded_in_log_and_memory() {
    let limit = 1 << 20;
    let story = OrderStory::new(&["yes 'a line of a command that never stops talking' | head -c 100000000", "echo next"]);
    let mut spec = story.spec();
    spec.log_limit_bytes = limit;
    let mut runner = Runner::spawn(&spec, &exe()).await.expect("starts");
    let (runner_pid, mut peak) = (runner.pid(), 0);
    let exit = loop {
        peak = peak.max(memory_kib(runner_pid, "VmHWM:").unwrap_or(0));
        match next(&mut runner).await {
            Some(RunnerEvent::Exited(exit)) => break exit,
            Some(_) => {}
            None => panic!("no exit"),
        }
    };
    assert_eq!(exit.code, Some(0));
    assert!(exit.log_dropped > 90_000_000 && exit.log_len < limit + 64 * 1024, "{exit:?}");
    assert!(story.log().contains("[log truncated at 1048576 bytes"));
    assert!((1..100_000).contains(&peak), "{peak} KiB");
}

/// Kills the worker of an order, with its group, in the middle; returns the judgement of a later worker.
async fn judged_after_the_worker_died(last: &str) -> (Outcome, String) {
    let story = OrderStory::new(&[]);
    let mut worker = tokio::process::Command::new(example())
        .args(["order".as_ref(), story.dir.path().as_os_str()])
        .args(["echo begun > begun; until [ -e go ]; do sleep 0.01; done", last])
        .process_group(0)
        .stdout(Stdio::null())
        .spawn()
        .expect("the worker starts");
    content(&story.path("begun")).await;
    killpg(Pid::from_raw(worker.id().expect("lives") as i32), Signal::SIGKILL).expect("is killed");
    worker.wait().await.expect("is reaped");
    let (log, exit) = (story.dir.path().join("log"), story.dir.path().join("exit.json"));
    assert!(is_held(&log).expect("asks"), "a restarted worker sees that the order still runs");
    assert_eq!(ExitRecord::read(&exit).expect("reads"), None);
    fs::write(story.path("go"), "").expect("writes");
    until("the order is over", || !is_held(&log).expect("asks")).await;
    let record = ExitRecord::read(&exit).expect("reads").expect("is there");
    (judge_unwatched(&record.outcome, &story.scratch(), "running"), story.log())
}

#[tokio::test]
async fn an_order_outlives_its_killed_worker_and_its_genuine_end_is_told() {
    let (outcome, log) = judged_after_the_worker_died("echo after").await;
    assert_eq!(outcome, Outcome::Succeeded { commands: 2 });
    assert!(log.ends_with("$ echo after\nafter\nExit code: 0\n"), "{log}");
    let (outcome, _) = judged_after_the_worker_died("exit 9").await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.kind.as_str(), failure.message.as_str()), ("exit_code", "command 2 of 2 ended with exit code 9"));
}
