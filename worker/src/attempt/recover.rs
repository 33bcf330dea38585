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
};
use proto::message::{AttemptOutcome, Evidence, Failure, JobResult};
use proto::terraform::ApplyResult;
use std::{io, sync::Arc, time::Duration};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Takes up every attempt of the former process. Each is on the heartbeat's list from now on until it is settled.
pub(crate) fn take_up(crew: &Arc<Crew>) -> io::Result<usize> {
    let folders = crew.folders.list()?;
    let found = folders.len();
    for folder in folders {
        let crew = crew.clone();
        let enlisted = crew.enlist(folder.id);
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
            if keeps_state(&folder) {
                tracing::error!(attempt = %id, folder = %folder.path.display(), "a state file that could not be saved lies in this folder; it is kept");
            }
            let report = proto::message::Report {
                id,
                worker: crew.id.clone(),
                at: proto::Timestamp::now(),
                what: proto::message::ReportWhat::Ended(outcome),
            };
            if let Err(error) = folder.write_report(&report) {
                tracing::warn!(attempt = %id, %error, "the report cannot be written down");
            }
            deliver::spooled(crew, folder, report).await;
        }
        (Err(error), _) | (_, Err(error)) => tracing::error!(attempt = %id, %error, "an attempt's folder cannot be read; it is left"),
        (Ok(None), Ok(None)) => {}
    }
}

/// The tool of a dead worker may still run: its runner holds the log until it has ended.
async fn wait_for_runner(folder: &Folder) {
    while attempt_log::is_held(&folder.log()).unwrap_or(false) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn outcome_of(folder: &Folder, record: &Record) -> AttemptOutcome {
    if !record.effects {
        return AttemptOutcome::Unclear { evidence: unclear("the worker was restarted while it prepared", record) };
    }
    match ExitRecord::read(&folder.exit_record()).map(|record| record.map(|record| record.outcome)) {
        Ok(Some(Outcome::Exited { code: Some(0), leftovers: 0, .. })) => {
            // The secrets died with the worker, so the outputs cannot be asked for any more.
            AttemptOutcome::Succeeded {
                result: JobResult::Apply(ApplyResult { outputs: String::new(), serial_before: record.serial_before }),
            }
        }
        Ok(Some(Outcome::Exited { code: Some(_), interrupted: true, timed_out, leftovers: 0, .. })) => {
            AttemptOutcome::Stopped { clean: true, timed_out }
        }
        Ok(Some(Outcome::Exited { code: Some(code), leftovers: 0, .. })) => AttemptOutcome::Failed {
            failure: Failure {
                kind: record.effects_phase.clone(),
                phase: record.effects_phase.clone(),
                message: format!(
                    "{} failed: the tool ended with exit code {code} while its worker was away",
                    capitalised(&record.effects_phase)
                ),
                next_action: "read the end of the log".to_owned(),
            },
        },
        Ok(Some(Outcome::Exited { .. })) => {
            AttemptOutcome::Unclear { evidence: unclear("the tool was killed during its side effects", record) }
        }
        Ok(Some(Outcome::NotStarted { reason })) => AttemptOutcome::Failed {
            failure: Failure {
                kind: record.effects_phase.clone(),
                phase: record.effects_phase.clone(),
                message: reason,
                next_action: String::new(),
            },
        },
        Ok(None) => {
            AttemptOutcome::Unclear { evidence: unclear("the worker and the tool's runner died; nobody saw how the tool ended", record) }
        }
        Err(error) => AttemptOutcome::Unclear { evidence: unclear(&error.to_string(), record) },
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn unclear(seen: &str, record: &Record) -> Evidence {
    Evidence {
        seen: seen.to_owned(),
        serial_before: record.serial_before,
        check: vec!["the state's serial and whether terraform's state lock is held".to_owned(), "the last lines of the log".to_owned()],
        ..Evidence::default()
    }
}

/// Whether terraform left a state file that it could not save.
fn keeps_state(folder: &Folder) -> bool {
    folder.path.join("errored.tfstate").exists()
}
