//! What the tests of `worker::runner` start in the place of `navvy`: the runner itself, and a worker to be killed.
//!
//! `navvy_runner runner` is the runner (and, with one more word, its launcher). `navvy_runner worker PROGRAM FOLDER
//! finish|interrupt` starts PROGRAM in a runner with `FOLDER/log` and `FOLDER/exit.json`, prints the process ids of
//! runner and tool, and waits to be killed. Not shipped: examples are built for tests only.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use worker::runner::{OnOrphan, Runner, RunnerEvent, RunnerExe, RunnerSpec};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    match words.as_slice() {
        ["runner", ..] => worker::runner::main(),
        ["worker", program, folder, on_orphan] => hold(program, &PathBuf::from(folder), on_orphan),
        _ => ExitCode::from(2),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn hold(program: &str, folder: &std::path::Path, on_orphan: &str) -> ExitCode {
    let mut spec = RunnerSpec::new(program, folder, folder.join("log"));
    spec.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spec.exit_record = Some(folder.join("exit.json"));
    spec.grace = Some(Duration::from_mins(10));
    spec.on_orphan = if on_orphan == "interrupt" { OnOrphan::Interrupt } else { OnOrphan::Finish };
    let mut runner = Runner::spawn(&spec, &RunnerExe::this_binary()).await.expect("the runner starts");
    let mut stdout = std::io::stdout();
    while let Ok(Some(event)) = runner.next_event().await {
        if let RunnerEvent::Started { pid } = event {
            writeln!(stdout, "{} {pid}", runner.pid()).expect("the test reads");
        }
    }
    std::future::pending().await
}
