//! A command of ours sees nothing of the worker, and ends with everything it started.

use super::*;
use proto::git::AllowedHosts;

/// A stand-in for git: a shell script, because what is tested is how it is started and stopped.
fn with_script(script: &str) -> (tempfile::TempDir, Settings) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("home")).expect("a home");
    let program = dir.path().join("git");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut settings = Settings::new(dir.path(), AllowedHosts::default(), "/nonexistent");
    settings.program = program;
    (dir, settings)
}

fn invocation(settings: &Settings, limit: Duration) -> Invocation {
    Invocation { command: git(settings, None), operation: "trying", limit, watch: None }
}

#[tokio::test]
async fn the_environment_is_ours_alone() {
    let (_dir, settings) = with_script("env | sed 's/=.*//' | sort | tr '\\n' ' '");
    let ended = invocation(&settings, Duration::from_mins(1)).run(&Redactor::default(), &mut |_| {}).await.expect("it runs");
    let names = String::from_utf8(ended.stdout).expect("text");
    // The shell adds PWD and sometimes OLDPWD, SHLVL and _ by itself.
    let names: Vec<&str> = names.split_whitespace().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    let expected =
        ["GIT_ALLOW_PROTOCOL", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT", "HOME", "LC_ALL", "PATH"];
    assert_eq!(names, expected);
}

/// Whether a process runs, a zombie not counted.
fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

async fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_late_command_is_stopped_with_its_children() {
    let (_dir, settings) = with_script("sleep 600 & echo $! >&2; wait");
    let mut child = 0;
    // A busy machine may not even start the script within the first limit.
    for limit in [1, 8, 64].map(Duration::from_secs) {
        let mut sink = |line: &str| child = line.parse().expect("a process id");
        let result = invocation(&settings, limit).run(&Redactor::default(), &mut sink).await;
        assert!(matches!(result, Err(GitError::TimedOut { operation: "trying", .. })));
        if child > 1 {
            break;
        }
    }
    assert!(child > 1, "the child was seen");
    wait_until(|| !runs(child)).await;
}

#[tokio::test]
async fn a_dropped_command_is_stopped_with_its_children() {
    let (_dir, settings) = with_script("sleep 600 & echo $! >&2; wait");
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let running = tokio::spawn(async move {
        let mut sink = |line: &str| {
            sender.send(line.parse::<i32>().expect("a process id")).expect("somebody listens");
        };
        invocation(&settings, Duration::from_mins(10)).run(&Redactor::default(), &mut sink).await.is_ok()
    });
    let child = receiver.recv().await.expect("the child's id");
    assert!(runs(child));
    running.abort();
    wait_until(|| !runs(child)).await;
}

#[tokio::test]
async fn a_command_that_fills_the_disk_is_stopped() {
    let (dir, settings) = with_script("mkdir ../pack; head -c 100000 /dev/zero > ../pack/x; sleep 600");
    let mut invocation = invocation(&settings, Duration::from_mins(10));
    invocation.watch = Some(Watch { dir: dir.path().join("pack"), max_bytes: 50_000, what: "the repository".into() });
    let result = invocation.run(&Redactor::default(), &mut |_| {}).await;
    assert!(matches!(result, Err(GitError::TooLarge { .. })));
}

#[tokio::test]
async fn a_missing_program_is_said_clearly() {
    let (_dir, mut settings) = with_script("");
    settings.program = "/nonexistent/git".into();
    let result = invocation(&settings, Duration::from_mins(1)).run(&Redactor::default(), &mut |_| {}).await;
    let error = result.err().expect("it cannot run");
    assert!(error.to_string().contains("install git"), "{error}");
}

#[tokio::test]
async fn git_itself_refuses_every_other_way_to_speak() {
    let (dir, mut settings) = with_script("");
    settings.program = "git".into();
    let canary = dir.path().join("canary");
    let program = format!("ext::sh -c \"touch {}\"", canary.display());
    let here = format!("file://{}", dir.path().display());
    for address in [program.as_str(), here.as_str(), "ssh://git.invalid/x", "git://git.invalid/x", "ftp://git.invalid/x"] {
        let mut command = git(&settings, Some(Scheme::Https));
        command.args(["ls-remote", "--", address]);
        let invocation = Invocation { command, operation: "trying", limit: Duration::from_mins(1), watch: None };
        let ended = invocation.run(&Redactor::default(), &mut |_| {}).await.expect("it runs");
        assert!(!ended.success);
        assert!(ended.last.iter().any(|line| line.contains("not allowed")), "{address}: {:?}", ended.last);
    }
    assert!(!canary.exists());
}
