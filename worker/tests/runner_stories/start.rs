//! Stories about starting: what a tool finds around itself, and why one did not start.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::{Story, content, example, next, started};
use worker::attempt_log::is_held;
use worker::runner::{ExitRecord, Outcome, Runner, RunnerError, RunnerExe, StartStep};

#[tokio::test]
async fn the_environment_is_exactly_the_given_one() {
    for captured in [false, true] {
        let story = Story::script("").with(|spec| {
            spec.program = "/usr/bin/env".into();
            spec.args.clear();
            spec.env = vec![("ONLY".into(), "this one".into()), ("AND".into(), "that=x\ny".into())];
        });
        let story = if captured { story.captured(4096) } else { story };
        let ended = story.run().await;
        let text = if captured { String::from_utf8(ended.captured).expect("text") } else { ended.log };
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["AND=that=x", "ONLY=this one", "y"]);
    }
}

#[tokio::test]
async fn a_tool_has_its_own_session_no_stray_files_and_no_way_to_more_rights() {
    let script = r#"
        read -r pid name state parent group session rest < /proc/self/stat
        echo "group=$((group == $$)) session=$((session == $$))"
        ls /proc/self/fd | tr '\n' ' '; echo
        grep -E "SigBlk|NoNewPrivs" /proc/self/status
        echo "files=$(ulimit -n) core=$(ulimit -c) size=$(ulimit -f)"
    "#;
    let limits = |spec: &mut worker::runner::RunnerSpec| {
        spec.limits.open_files = 77;
        spec.limits.file_size_bytes = Some(512 * 100);
    };
    let expected = "group=1 session=1\n0 1 2 3 \nSigBlk:\t0000000000000000\nNoNewPrivs:\t1\nfiles=77 core=0 size=100\n";
    assert_eq!(Story::script(script).with(limits).run().await.log, expected);
    let captured = Story::script(script).with(limits).captured(4096).run().await.captured;
    assert_eq!(String::from_utf8_lossy(&captured), expected);
}

#[tokio::test]
async fn the_deafness_of_its_runner_is_not_handed_down() {
    // Not through a shell: dash takes every block off by itself.
    let story = Story::script("").with(|spec| {
        spec.program = "/bin/grep".into();
        spec.args = vec!["SigBlk".into(), "/proc/self/status".into()];
    });
    assert_eq!(story.run().await.log, "SigBlk:\t0000000000000000\n");
}

#[tokio::test]
async fn the_log_may_grow_beyond_the_file_size_of_the_tool() {
    let story = Story::script("head -c 200000 /dev/zero | tr '\\0' x").with(|spec| spec.limits.file_size_bytes = Some(1000));
    assert!(story.run().await.exit.log_len >= 200_000);
}

#[tokio::test]
async fn a_worker_with_ignored_signals_hands_none_down() {
    let story = Story::script("");
    let tool = story.path("tool");
    fs::write(&tool, "#!/bin/sh\ngrep SigIgn /proc/self/status > \"$PWD/ignored\"\n").expect("writes");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o700)).expect("executable");
    let mut worker = tokio::process::Command::new("/bin/sh")
        .args(["-c", "trap '' HUP INT QUIT TERM; exec \"$@\"", "sh"])
        .args([example().as_os_str(), "worker".as_ref(), tool.as_os_str(), story.dir.path().as_os_str(), "finish".as_ref()])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts");
    let line = content(&story.path("ignored")).await;
    let mask = u64::from_str_radix(line.split_ascii_whitespace().last().expect("a mask"), 16).expect("hex");
    assert_eq!(mask & (1 | (1 << 1) | (1 << 2) | (1 << 14)), 0, "SIGHUP, SIGINT, SIGQUIT and SIGTERM are not ignored: {line}");
    worker.kill().await.expect("the worker ends");
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_path() {
    let story = Story::script("").with(|spec| spec.program = "/opt/none/terraform".into());
    let failure = story.fails_to_start().await;
    assert!(failure.is_missing_program());
    assert_eq!(failure.to_string(), "cannot execute /opt/none/terraform: No such file or directory (os error 2)");
    let record = ExitRecord::read(&story.path("exit.json")).expect("reads").expect("is there");
    assert_eq!(record.outcome, Outcome::NotStarted { reason: failure.to_string() });
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    let story = Story::script("");
    let file = story.path("file");
    fs::write(&file, "#!/no/such/interpreter\n").expect("writes");
    let with_program = |program: &std::path::Path| {
        let mut other = Story::script("");
        other.spec.program = program.to_owned();
        other
    };
    let plain = with_program(&file).fails_to_start().await;
    assert_eq!((plain.step, plain.errno), (StartStep::Execute, 13), "not executable: {plain}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("executable");
    let script = with_program(&file).captured(10).fails_to_start().await;
    assert!(script.to_string().contains("interpreter") && !script.is_missing_program(), "{script}");
    let relative = with_program("bin/sh".as_ref()).fails_to_start().await;
    assert!(relative.to_string().contains("absolute"), "{relative}");
    let nowhere = Story::script("echo ran").with(|spec| spec.cwd = "/no/such/folder".into()).fails_to_start().await;
    assert_eq!((nowhere.step, nowhere.errno), (StartStep::EnterFolder, 2), "no silent other folder: {nowhere}");
}

#[tokio::test]
async fn a_log_that_is_held_keeps_a_second_tool_from_starting() {
    let story = Story::script("while [ ! -e go ]; do sleep 0.01; done");
    let mut first = story.start().await;
    started(&mut first).await;
    assert!(is_held(&story.spec.log).expect("asks"));
    let failure = story.fails_to_start().await;
    assert_eq!(failure.step, StartStep::OpenLog);
    fs::write(story.path("go"), "").expect("writes");
    assert_eq!(story.end(first).await.exit.code, Some(0));
    assert!(!is_held(&story.spec.log).expect("asks"));
    assert!(ExitRecord::read(&story.path("exit.json")).expect("reads").is_some(), "the first one's record stays");
}

#[tokio::test]
async fn a_runner_that_is_no_runner_is_an_error() {
    let story = Story::script("");
    let missing = RunnerExe { program: "/no/navvy".into(), args: Vec::new() };
    assert!(matches!(Runner::spawn(&story.spec, &missing).await, Err(RunnerError::Spawn { .. })));
    let silent = RunnerExe { program: "/bin/cat".into(), args: vec!["/dev/null".into()] };
    if let Ok(mut runner) = Runner::spawn(&story.spec, &silent).await {
        assert!(matches!(runner.next_event().await, Err(RunnerError::Lost { .. })));
    }
}

#[tokio::test]
async fn the_event_after_the_last_is_none() {
    let story = Story::script("exit 0");
    let mut runner = story.start().await;
    while next(&mut runner).await.is_some() {}
    assert!(next(&mut runner).await.is_none());
}
