//! The probe: a real runner with a real shell that prints a text. It shows that the ring turns, and measures it.

use crate::{
    attempt::stage::{Job, Stage},
    runner::Mode,
};
use proto::message::{AttemptOutcome, Failure, JobResult, ProbeSpec};

/// Prints `$1`, then `$2` bytes of noise in lines of 200, then the time `$3` times.
const SCRIPT: &str = r#"printf '%s\n' "$1"
[ "$2" = 0 ] || yes "$(printf '%0199d' 7)" | head -c "$2"
n=0
while [ "$n" -lt "$3" ]; do date +%s%N; sleep 0.02; n=$((n+1)); done"#;

pub(super) async fn perform(stage: &mut Stage, spec: &ProbeSpec) -> AttemptOutcome {
    let text = spec.echo.clone().unwrap_or_default();
    let job = Job {
        program: "/bin/sh".into(),
        // What was asked for are arguments, never part of the script.
        args: ["-c", SCRIPT, "probe", &text, &spec.noise_bytes.to_string(), &spec.ticks.to_string()].map(str::to_owned).to_vec(),
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
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
