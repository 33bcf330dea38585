//! What the stories about shell orders share: an order in a folder of its own, and what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service::settings::Limits;
use tempfile::TempDir;
use worker::runner::{Exit, Runner, RunnerEvent, RunnerSpec};
use worker::shell::{Bounds, End, Order, Outcome, Progress, Told, events_folder, judge, prepare, read_events};

use crate::kit::{exe, next};

/// An order that has not been started.
pub(crate) struct OrderStory {
    pub(crate) dir: TempDir,
    pub(crate) commands: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) time_limit: Duration,
    pub(crate) bounds: Bounds,
}

/// An order that is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) exit: Exit,
    pub(crate) log: String,
    pub(crate) outcome: Outcome,
    pub(crate) told: Told,
}

/// Every shell that is here, each under the name `sh` in a folder of its own.
pub(crate) fn shells(dir: &Path) -> Vec<PathBuf> {
    let places = ["/bin/dash", "/bin/bash", "/bin/busybox", "/usr/bin/busybox", "/usr/bin/mksh", "/bin/zsh"];
    let there = places.iter().map(Path::new).filter(|shell| shell.exists());
    let linked = there.enumerate().map(|(n, shell)| {
        let link = dir.join(n.to_string()).join("sh");
        fs::create_dir(link.parent().expect("a folder")).expect("makes");
        std::os::unix::fs::symlink(shell, &link).expect("links");
        link
    });
    linked.collect()
}

impl OrderStory {
    pub(crate) fn new(commands: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["order", "scratch"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        // What no story is about must not end it.
        let bounds = Bounds::of(&Limits { processes: 0, disk_bytes: 0, ..Limits::default() });
        Self {
            dir,
            commands: commands.iter().map(|command| (*command).to_owned()).collect(),
            env: BTreeMap::new(),
            secrets: Vec::new(),
            time_limit: Duration::from_mins(10),
            bounds,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A file of the order's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("order").join(name)
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("the log is text")
    }

    pub(crate) fn spec(&self) -> RunnerSpec {
        let (cwd, scratch) = (self.path(""), self.scratch());
        let order = Order {
            commands: &self.commands,
            cwd: &cwd,
            scratch: &scratch,
            env: &self.env,
            pass_env: &[],
            search_path: "/usr/bin:/bin",
            traceparent: None,
            time_limit: self.time_limit,
            bounds: &self.bounds,
        };
        let mut spec = prepare(&order, &self.dir.path().join("log")).expect("the order is prepared");
        spec.secrets.clone_from(&self.secrets);
        spec.exit_record = Some(self.dir.path().join("exit.json"));
        spec
    }

    pub(crate) async fn start(&self) -> Runner {
        Runner::spawn(&self.spec(), &exe()).await.expect("the runner starts")
    }

    /// The same with another shell for driver and commands.
    pub(crate) async fn start_in(&self, shell: &Path) -> Runner {
        let mut spec = self.spec();
        spec.args[2] = shell.display().to_string();
        spec.program = shell.to_owned();
        Runner::spawn(&spec, &exe()).await.expect("the runner starts")
    }

    pub(crate) async fn run(&self) -> Over {
        self.end(self.start().await).await
    }

    pub(crate) async fn end(&self, mut runner: Runner) -> Over {
        let mut last = None;
        while let Some(event) = next(&mut runner).await {
            last = Some(event);
        }
        runner.wait().await.expect("the runner is reaped");
        let Some(RunnerEvent::Exited(exit)) = last else { panic!("no exit: {last:?}") };
        let outcome = judge(&End::from(&exit), Progress::read(&self.scratch()), "running");
        let told = read_events(&events_folder(&self.scratch()), &str::to_owned);
        Over { exit, log: self.log(), outcome, told }
    }
}

impl Over {
    /// Kind and message of the failure.
    pub(crate) fn failure(&self) -> (&str, &str) {
        match &self.outcome {
            Outcome::Failed(failure) => (&failure.kind, &failure.message),
            other => panic!("no failure but {other:?}; the log: {}", self.log),
        }
    }
}
