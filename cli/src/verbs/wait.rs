//! Waits for a run to settle by asking for it again and again. Survives a gateway that is away for a while.

use std::time::Duration;

use proto::RunId;
use proto::view::RunStatus;
use serde_json::Value;
use service::settings::Period;
use tokio::time::Instant;

use super::Session;
use crate::api::{Page, Run};
use crate::exit::Exit;
use crate::output::words;
use crate::problem::CliError;

/// The pause between two questions grows to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an absent gateway is waited for.
const PATIENCE: Duration = Duration::from_mins(5);

/// How the waiting ended.
pub(super) struct Settled {
    pub(super) exit: Exit,
    /// The run's last answer; absent when the user interrupted.
    pub(super) answer: Option<Value>,
}

/// Waits until the run has ended or its outcome is unknown, at most `limit`. Ctrl-C stops the waiting only.
///
/// # Errors
/// The time is over, or the gateway refuses or stays away.
pub(super) async fn until_settled(session: &Session<'_>, run: RunId, limit: Option<Period>) -> Result<Settled, CliError> {
    until_settled_seeing(session, run, limit, async |_: &Run| Ok(())).await
}

/// The same; whoever waits sees each answer, the last one included, and may ask the gateway for more about it.
pub(super) async fn until_settled_seeing(
    session: &Session<'_>,
    run: RunId,
    limit: Option<Period>,
    seen: impl AsyncFnMut(&Run) -> Result<(), CliError>,
) -> Result<Settled, CliError> {
    let settled = tokio::select! {
        settled = poll(session, run, limit, seen) => settled,
        () = interrupted() => {
            session.out.done_waiting();
            session.out.hint(&words::detached(&run.to_string()));
            Ok(Settled { exit: Exit::Interrupted, answer: None })
        }
    };
    session.out.done_waiting();
    settled
}

/// The exit code that tells a status; `None` while it is not settled.
fn exit_of(status: RunStatus) -> Option<Exit> {
    match status {
        RunStatus::Success => Some(Exit::Ok),
        RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled | RunStatus::Unknown => Some(Exit::RunFailed),
        RunStatus::Running | RunStatus::AwaitingApproval => None,
    }
}

/// Resolves on Ctrl-C; never, when the signal cannot be caught (then it ends the process as usual).
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One look at a run: the answer as it came, and read.
pub(super) async fn look(session: &Session<'_>, run: RunId) -> Result<(Value, Run), CliError> {
    let answer = session.client.get(&format!("v1/runs/{run}"), &Page::default()).await?;
    let read = session.client.read(answer.clone())?;
    Ok((answer, read))
}

async fn look_and_see(
    session: &Session<'_>,
    run: RunId,
    seen: &mut impl AsyncFnMut(&Run) -> Result<(), CliError>,
) -> Result<(Value, Run), CliError> {
    let (answer, read) = look(session, run).await?;
    seen(&read).await?;
    Ok((answer, read))
}

async fn poll(
    session: &Session<'_>,
    run: RunId,
    limit: Option<Period>,
    mut seen: impl AsyncFnMut(&Run) -> Result<(), CliError>,
) -> Result<Settled, CliError> {
    let began = Instant::now();
    let (mut last_answer, mut pause) = (began, Duration::from_millis(100));
    let mut status = RunStatus::Running;
    let mut hinted = false;
    loop {
        match look_and_see(session, run, &mut seen).await {
            Ok((answer, seen)) => {
                last_answer = Instant::now();
                status = seen.status;
                if let Some(exit) = exit_of(status) {
                    session.out.done_waiting();
                    session.out.hint(&words::result(&seen));
                    return Ok(Settled { exit, answer: Some(answer) });
                }
                session.out.waiting(&words::progress(&seen));
                let request = words::asks_for_a_person(&seen.id, status.as_str());
                if let Some(request) = request.filter(|_| !std::mem::replace(&mut hinted, true)) {
                    session.out.hint(&request);
                }
            }
            Err(error) if error.exit() == Exit::Unreachable && last_answer.elapsed() < PATIENCE => {
                session.out.waiting(&format!("run {run}: {error}; trying again"));
            }
            Err(error) => return Err(error),
        }
        let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(CliError::WaitTimeout { run, status: status.as_str().to_owned(), waited: began.elapsed() });
        }
        tokio::time::sleep(left.map_or(pause, |left| left.min(pause))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
