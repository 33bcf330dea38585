//! What the stories about runners share: a folder, a command, and the way from its start to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use worker::runner::{Exit, Mode, Runner, RunnerEvent, RunnerExe, RunnerSpec, StartFailure};

/// Generous: a loaded machine must not fail a story.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A command in a folder of its own.
pub(crate) struct Story {
    pub(crate) dir: TempDir,
    pub(crate) spec: RunnerSpec,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) log: String,
    pub(crate) captured: Vec<u8>,
    pub(crate) events: Vec<RunnerEvent>,
}

/// The example that stands in for `navvy`. It must be of the same build as this test: they speak bincode.
pub(crate) fn example() -> PathBuf {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(built_example).clone()
}

fn built_example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let example = target.join("examples/navvy_runner");
    let age = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    // `cargo test --test runner_stories` builds no examples; plain `cargo test` does.
    if age(&example) < age(&test) {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "worker", "--example", "navvy_runner"]);
        if target.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().is_ok_and(|status| status.success());
        assert!(built && example.exists(), "the example navvy_runner cannot be built");
    }
    example
}

pub(crate) fn exe() -> RunnerExe {
    RunnerExe { program: example(), args: vec!["runner".into()] }
}

impl Story {
    /// `/bin/sh -c script` on a terminal, with `$DIR` as its folder.
    pub(crate) fn script(script: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spec = RunnerSpec::new("/bin/sh", dir.path(), dir.path().join("attempt.log"));
        spec.args = vec!["-c".into(), script.into()];
        spec.env = vec![("PATH".into(), "/usr/bin:/bin".into()), ("DIR".into(), dir.path().display().to_string())];
        spec.exit_record = Some(dir.path().join("exit.json"));
        Self { dir, spec }
    }

    pub(crate) fn captured(mut self, capture_limit_bytes: u64) -> Self {
        self.spec.mode = Mode::Pipe { capture_limit_bytes };
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut RunnerSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.spec.log).expect("the log is text")
    }

    pub(crate) async fn start(&self) -> Runner {
        Runner::spawn(&self.spec, &exe()).await.expect("the runner starts")
    }

    pub(crate) async fn run(&self) -> Ended {
        self.end(self.start().await).await
    }

    /// Hears a runner to its end.
    pub(crate) async fn end(&self, mut runner: Runner) -> Ended {
        let (mut events, mut captured) = (Vec::new(), Vec::new());
        while let Some(event) = next(&mut runner).await {
            if let RunnerEvent::Captured { bytes } = &event {
                captured.extend_from_slice(bytes);
            }
            events.push(event);
        }
        runner.wait().await.expect("the runner is reaped");
        let Some(RunnerEvent::Exited(exit)) = events.last().cloned() else { panic!("no exit: {events:?}") };
        Ended { exit, log: self.log(), captured, events }
    }

    pub(crate) async fn fails_to_start(&self) -> StartFailure {
        let mut runner = self.start().await;
        match next(&mut runner).await {
            Some(RunnerEvent::Failed(failure)) => failure,
            other => panic!("it started: {other:?}"),
        }
    }
}

pub(crate) async fn next(runner: &mut Runner) -> Option<RunnerEvent> {
    let event = tokio::time::timeout(PATIENCE, runner.next_event()).await.expect("an event comes in time");
    event.expect("the runner lives")
}

/// Waits for the tool to run; returns its process id.
pub(crate) async fn started(runner: &mut Runner) -> u32 {
    match next(runner).await {
        Some(RunnerEvent::Started { pid }) => pid,
        other => panic!("not started: {other:?}"),
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a file holds something, and returns it without blanks around.
pub(crate) async fn content(path: &Path) -> String {
    let read = || fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    until(&format!("{} is written", path.display()), || !read().is_empty()).await;
    read()
}

/// True while the process exists and is not a zombie.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// A field of `/proc/<pid>/status` in KiB.
pub(crate) fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
