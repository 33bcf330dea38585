//! What is known about an unknown outcome: what the scheduler kept, and the last lines of the attempt's log.
//!
//! The lines are read when somebody looks, from where all output is read, masked as everything there is. That they cannot
//! be read changes nothing about the run.

use crate::{answers::chain, app::App};
use bus::Written;
use proto::{
    ids::AttemptId,
    message::Evidence,
    view::{RunStatus, RunView},
};
use serde::Serialize;
use std::time::Duration;

/// Lines that are shown.
const LINES: usize = 200;
/// Longest line that is shown, in characters.
const LINE_CHARACTERS: usize = 2000;
/// How long reading them may hold up the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known, and what the tool said last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EvidenceBody {
    #[serde(flatten)]
    known: Evidence,
    /// The last lines of the attempt's log, at most 200.
    last_lines: Vec<String>,
}

impl EvidenceBody {
    /// Without the lines: for a list.
    pub(crate) fn bare(known: Evidence) -> Self {
        Self { known, last_lines: Vec::new() }
    }
}

/// The evidence of a run whose outcome is unknown.
pub(crate) async fn of(app: &App, view: &RunView) -> Option<EvidenceBody> {
    let known = view.evidence.clone()?;
    let Some(written) = unknown_attempt(view) else { return Some(EvidenceBody::bare(known)) };
    let id = written.id;
    let read = async {
        let shared = app.tails.read(&app.bus, written, true).await?;
        let tails = shared.lock().await;
        Ok::<_, bus::BusError>(last_lines(&tails.whole()))
    };
    let last_lines = match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(error)) => {
            tracing::warn!(attempt = %id, error = chain(&error), "the last lines of an unknown outcome cannot be read");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(attempt = %id, "the last lines of an unknown outcome take too long to read");
            Vec::new()
        }
    };
    Some(EvidenceBody { known, last_lines })
}

/// The attempt that nobody can tell the end of.
fn unknown_attempt(view: &RunView) -> Option<Written> {
    let job = view.jobs.iter().find(|job| view.status == RunStatus::Unknown && job.status == "unknown")?;
    let attempt = job.attempts.iter().max_by_key(|attempt| attempt.n)?;
    let id = AttemptId { run: view.id, job: job.n, attempt: attempt.n };
    Some(Written { id, pool: view.pool.clone(), worker: attempt.worker.clone() })
}

fn last_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().rev().take(LINES).map(|line| line.chars().take(LINE_CHARACTERS).collect()).collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_last_in_their_order_and_bounded() {
        let text = (0..1000).map(|n| format!("line {n}\r\n")).collect::<Vec<_>>().concat();
        let lines = last_lines(&text);
        assert_eq!((lines.len(), lines[0].as_str(), lines[199].as_str()), (200, "line 800", "line 999"));
        assert_eq!(last_lines(&"x".repeat(LINE_CHARACTERS + 1))[0].len(), LINE_CHARACTERS);
        assert_eq!(last_lines(""), Vec::<String>::new());
    }
}
