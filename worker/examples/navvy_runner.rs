//! What the tests of `worker::runner` start in the place of `navvy`: the runner itself, and a worker to be killed.
//!
//! `navvy_runner runner` is the runner (and, with one more word, its launcher). `navvy_runner worker PROGRAM FOLDER
//! finish|interrupt` starts PROGRAM in a runner with `FOLDER/log` and `FOLDER/exit.json`, prints the process ids of
//! runner and tool, and waits to be killed. `navvy_runner order FOLDER COMMAND...` does the same with a shell order in
//! `FOLDER/order` with the scratch `FOLDER/scratch`, `navvy_runner sync FOLDER ARGUMENT...` with the command of a sync in
//! `FOLDER/checkout`. Not shipped: examples are built for tests only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use worker::runner::{OnOrphan, Runner, RunnerEvent, RunnerExe, RunnerSpec};
use worker::shell;
use worker::sync::{command, environment::Variables};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    match words.as_slice() {
        ["runner", ..] => worker::runner::main(),
        ["worker", program, folder, on_orphan] => hold(program, &PathBuf::from(folder), on_orphan),
        ["order", folder, commands @ ..] => hold_order(&PathBuf::from(folder), commands),
        ["sync", folder, command @ ..] => hold_sync(&PathBuf::from(folder), command),
        _ => ExitCode::from(2),
    }
}

fn hold(program: &str, folder: &Path, on_orphan: &str) -> ExitCode {
    let mut spec = RunnerSpec::new(program, folder, folder.join("log"));
    spec.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spec.exit_record = Some(folder.join("exit.json"));
    spec.grace = Some(Duration::from_mins(10));
    spec.on_orphan = if on_orphan == "interrupt" { OnOrphan::Interrupt } else { OnOrphan::Finish };
    wait_to_be_killed(&spec)
}

fn hold_order(folder: &Path, commands: &[&str]) -> ExitCode {
    let commands: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
    let order = shell::Order {
        commands: &commands,
        cwd: &folder.join("order"),
        scratch: &folder.join("scratch"),
        env: &BTreeMap::new(),
        pass_env: &[],
        search_path: "/usr/bin:/bin",
        traceparent: None,
        time_limit: Duration::from_mins(10),
        bounds: &shell::Bounds::of(&service::settings::Limits::default()),
    };
    let mut spec = shell::prepare(&order, &folder.join("log")).expect("the order is prepared");
    spec.exit_record = Some(folder.join("exit.json"));
    wait_to_be_killed(&spec)
}

fn hold_sync(folder: &Path, command: &[&str]) -> ExitCode {
    let sync = serde_json::json!({
        "run": proto::RunId::fresh(proto::ShardNo(0)), "source": "infra", "git_url": "https://git.example.com/infra.git",
        "git_ref": "refs/heads/main", "commit": "a".repeat(40), "follows_branch": true, "environment": "staging",
        "service": {
            "service": "platform/postgres", "dir": "platform/01.postgres", "task": "postgres.sync",
            "executor": {"executor": "command"}, "reasons": []
        },
        "command": command, "timeout_s": 600, "force": false, "triggered_by": "a test"
    });
    let order = command::Order {
        sync: &serde_json::from_value(sync).expect("a sync"),
        checkout: &folder.join("checkout"),
        scratch: &folder.join("scratch"),
        variables: &Variables::default(),
        search_path: "/usr/bin:/bin",
        traceparent: None,
        bounds: &shell::Bounds::of(&service::settings::Limits::default()),
    };
    let mut spec = command::prepare(&order, &folder.join("log")).expect("the sync is prepared");
    spec.exit_record = Some(folder.join("exit.json"));
    wait_to_be_killed(&spec)
}

#[tokio::main(flavor = "current_thread")]
async fn wait_to_be_killed(spec: &RunnerSpec) -> ExitCode {
    let mut runner = Runner::spawn(spec, &RunnerExe::this_binary()).await.expect("the runner starts");
    let mut stdout = std::io::stdout();
    while let Ok(Some(event)) = runner.next_event().await {
        if let RunnerEvent::Started { pid } = event {
            writeln!(stdout, "{} {pid}", runner.pid()).expect("the test reads");
        }
    }
    std::future::pending().await
}
