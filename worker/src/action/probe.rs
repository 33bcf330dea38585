//! The probe: a real runner with a real shell that prints a text. It shows that the ring turns, and measures it.

use crate::{
    attempt::stage::{Job, Stage},
    runner::Mode,
};
use proto::message::{AttemptOutcome, Failure, JobResult, ProbeSpec};

pub(super) async fn perform(stage: &mut Stage, spec: &ProbeSpec) -> AttemptOutcome {
    let text = spec.echo.clone().unwrap_or_default();
    let job = Job {
        program: "/bin/sh".into(),
        // The text is an argument, never part of the script.
        args: vec!["-c".to_owned(), "printf '%s\\n' \"$1\"".to_owned(), "probe".to_owned(), text],
        env: Vec::new(),
        cwd: stage.folder.path.clone(),
        mode: Mode::Pty { rows: 40, cols: 160 },
        effects: false,
    };
    let failed = |message: String| AttemptOutcome::Failed {
        failure: Failure { kind: "probe".to_owned(), phase: "initializing".to_owned(), message, next_action: String::new() },
    };
    match stage.run(job).await {
        Ok(ended) if ended.exit.code == Some(0) => AttemptOutcome::Succeeded { result: JobResult::Nothing },
        Ok(ended) if ended.exit.interrupted => AttemptOutcome::Stopped { clean: true, timed_out: ended.exit.timed_out },
        Ok(ended) => failed(format!("the shell ended with {:?}", ended.exit.code)),
        Err(error) => failed(error.to_string()),
    }
}
