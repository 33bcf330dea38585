//! What a worker finds of its former life: reports that were not delivered, tools that still run, attempts that died
//! with it. Nothing is guessed: what the runner wrote down is told, what nobody wrote down is told as unclear.

use super::{
    deliver,
    folder::{Folder, Record},
};
use crate::{
    attempt_log,
    crew::Crew,
    runner::{ExitRecord, Outcome},
    shell,
    sync::{self, command},
    terraform::{self, Exit, Streamed, Unfinished},
};
use proto::message::{AttemptOutcome, Evidence, Failure, JobResult};
use proto::terraform::ApplyResult;
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc, time::Duration};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Takes up every attempt of the former process. Each is on the heartbeat's list from now on until it is settled.
pub(crate) fn take_up(crew: &Arc<Crew>) -> io::Result<usize> {
    let folders = crew.folders.list()?;
    let found = folders.len();
    for folder in folders {
        let crew = crew.clone();
        // One folder an attempt, and nothing else runs yet.
        let Some(enlisted) = crew.enlist(folder.id) else { continue };
        crew.tasks.clone().spawn("take up an attempt", async move {
            settle(crew, folder).await;
            drop(enlisted);
        });
    }
    Ok(found)
}

async fn settle(crew: Arc<Crew>, folder: Folder) {
    let id = folder.id;
    match (folder.report(), folder.record()) {
        (Ok(Some(report)), _) => {
            tracing::info!(attempt = %id, "delivering a report of the former process");
            deliver::spooled(crew, folder, report).await;
        }
        (Ok(None), Ok(Some(record))) => {
            wait_for_runner(&folder).await;
            let outcome = outcome_of(&folder, &record);
            tracing::info!(attempt = %id, outcome = crate::action::outcome_word(&outcome), "settling an attempt of the former process");
            let report = crew.report(id, proto::message::ReportWhat::Ended(outcome));
            if let Err(error) = folder.write_report(&report) {
                tracing::warn!(attempt = %id, %error, "the report cannot be written down");
            }
            deliver::spooled(crew, folder, report).await;
        }
        (Err(error), _) | (_, Err(error)) => tracing::error!(attempt = %id, %error, "an attempt's folder cannot be read; it is left"),
        (Ok(None), Ok(None)) => {}
    }
}

/// The tool of a dead worker may still run: its runner holds the log until it has ended. A log that cannot be asked about
/// counts as held.
async fn wait_for_runner(folder: &Folder) {
    while attempt_log::is_held(&folder.log()).unwrap_or(true) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn outcome_of(folder: &Folder, record: &Record) -> AttemptOutcome {
    if !record.effects {
        return AttemptOutcome::Unclear { evidence: unclear("the worker was restarted while it prepared", record) };
    }
    match ExitRecord::read(&folder.exit_record()).map(|record| record.map(|record| record.outcome)) {
        Ok(Some(recorded)) if record.work == crate::action::SHELL => {
            shell::judge_unwatched(&recorded, &folder.path.join("scratch"), &record.effects_phase).of_attempt(JobResult::Order)
        }
        Ok(Some(recorded)) if is_sync(record) => judged_sync(folder, record, &recorded),
        Ok(Some(Outcome::Exited { code, signal, interrupted, timed_out, leftovers, .. })) => {
            // Processes that even SIGKILL did not end make it unclear, whatever the exit code says (I16).
            let code = code.filter(|_| leftovers == 0);
            judged(folder, record, Exit { code, signal, interrupted }, timed_out)
        }
        Ok(Some(Outcome::NotStarted { reason })) => AttemptOutcome::Failed {
            failure: Failure {
                kind: record.effects_phase.clone(),
                phase: record.effects_phase.clone(),
                message: reason,
                next_action: "nothing was changed; submit the request again".to_owned(),
            },
        },
        // What the worker did by itself, without a runner, died with it.
        Ok(None) if is_sync(record) && record.tool != crate::action::COMMAND => {
            AttemptOutcome::Unclear { evidence: unclear("the worker was restarted in the middle of the deployment", record) }
        }
        Ok(None) => {
            AttemptOutcome::Unclear { evidence: unclear("the worker and the tool's runner died; nobody saw how the tool ended", record) }
        }
        Err(error) => AttemptOutcome::Unclear { evidence: unclear(&error.to_string(), record) },
    }
}

fn is_sync(record: &Record) -> bool {
    record.work == crate::action::SYNC
}

/// The same judgement as for a sync's command that was watched.
fn judged_sync(folder: &Folder, record: &Record, recorded: &Outcome) -> AttemptOutcome {
    match tail(folder) {
        Ok(tail) => command::judge_unwatched(recorded, &folder.path.join("scratch"), &command::end_of(&tail)),
        Err(error) => AttemptOutcome::Unclear { evidence: unclear(&format!("the log cannot be read: {error}"), record) },
    }
}

/// The same judgement as for an apply that was watched.
fn judged(folder: &Folder, record: &Record, exit: Exit, timed_out: bool) -> AttemptOutcome {
    let tail = match tail(folder) {
        Ok(tail) => tail,
        Err(error) => return AttemptOutcome::Unclear { evidence: unclear(&format!("the log cannot be read: {error}"), record) },
    };
    let ran = Streamed { exit, tail };
    match terraform::judge_unwatched(record.effects_phase == "destroy", &record.tool, &ran, folder.errored_state()) {
        // The secrets died with the worker, so the outputs cannot be asked for any more.
        Ok(()) => AttemptOutcome::Succeeded {
            result: JobResult::Apply(ApplyResult { outputs: String::new(), serial_before: record.serial_before }),
        },
        Err(Unfinished::Failed(failure)) => AttemptOutcome::Failed { failure },
        Err(Unfinished::Stopped { clean }) => AttemptOutcome::Stopped { clean, timed_out },
        Err(Unfinished::NotStarted { reason }) => AttemptOutcome::Unclear { evidence: unclear(&reason, record) },
        Err(Unfinished::Unclear(told)) => {
            AttemptOutcome::Unclear { evidence: Evidence { serial_before: record.serial_before, ..told.evidence } }
        }
    }
}

/// How much of the log's end is looked at to say how the tool ended, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;

fn tail(folder: &Folder) -> io::Result<Vec<u8>> {
    let file = File::open(folder.log())?;
    let len = file.metadata()?.len();
    let from = len.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; (len - from) as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

fn unclear(seen: &str, record: &Record) -> Evidence {
    let check = if is_sync(record) {
        sync::checks()
    } else {
        vec!["the state's serial and whether terraform's state lock is held".to_owned(), "the last lines of the log".to_owned()]
    };
    Evidence { seen: seen.to_owned(), serial_before: record.serial_before, check, ..Evidence::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::sync::SyncAction;

    /// What a restarted worker says of a sync that this tool did, with this exit record and log.
    fn found(tool: &str, effects: bool, exit: Option<&str>, log: &str) -> AttemptOutcome {
        let dir = tempfile::tempdir().expect("a folder");
        let id: proto::ids::AttemptId = serde_json::from_value(serde_json::json!({
            "run": proto::RunId::fresh(proto::ShardNo(0)), "job": 1, "attempt": 1
        }))
        .expect("an id");
        let folder = Folder { id, path: dir.path().to_owned() };
        std::fs::write(folder.log(), log).expect("written");
        if let Some(exit) = exit {
            std::fs::write(folder.exit_record(), exit).expect("written");
        }
        let work = crate::action::SYNC.to_owned();
        let record = Record { id, work, effects_phase: sync::PHASE.to_owned(), effects, serial_before: None, tool: tool.to_owned() };
        outcome_of(&folder, &record)
    }

    fn exited(code: i32) -> String {
        format!(
            r#"{{"format":1,"ended_at_unix_ms":0,"outcome":"exited","code":{code},"signal":null,"timed_out":false,"interrupted":false,"log_len":0,"leftovers":0}}"#
        )
    }

    #[test]
    fn a_sync_by_a_command_is_judged_by_what_its_runner_wrote_down() {
        let log = "x\n{\"action\":\"skipped\",\"details\":\"the same\"}\n";
        let outcome = found(crate::action::COMMAND, true, Some(&exited(0)), log);
        let AttemptOutcome::Succeeded { result: JobResult::Sync(result) } = &outcome else { panic!("{outcome:?}") };
        assert_eq!((result.action, result.details.as_str()), (SyncAction::Skipped, "the same"));
        let outcome = found(crate::action::COMMAND, true, Some(&exited(4)), log);
        assert!(matches!(&outcome, AttemptOutcome::Failed { failure } if failure.message.contains("exit code 4")), "{outcome:?}");
    }

    #[test]
    fn a_sync_whose_end_nobody_wrote_down_is_unclear() {
        for (tool, effects, seen) in [
            (crate::action::COMMAND, true, "the worker and the tool's runner died"),
            ("dokploy", true, "in the middle of the deployment"),
            ("docker", true, "in the middle of the deployment"),
            ("dokploy", false, "while it prepared"),
        ] {
            let outcome = found(tool, effects, None, "");
            let AttemptOutcome::Unclear { evidence } = &outcome else { panic!("{outcome:?}") };
            assert!(evidence.seen.contains(seen) && !format!("{evidence:?}").contains("terraform"), "{evidence:?}");
        }
    }
}
