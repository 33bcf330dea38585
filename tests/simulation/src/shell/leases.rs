//! Who still lives. As in `scheduler/src/leases.rs`: only the judge's own clock counts.

use super::{
    Shell,
    turn::{Cause, Outcome},
};
use crate::{core::Away, sometimes::Case};
use domain::run::Input;
use proto::{
    WorkerId,
    ids::AttemptId,
    message::{InboxMessage, ReportWhat},
};
use std::collections::{BTreeMap, BTreeSet};

const LEASE: u64 = 45_000;
const LOOK_EVERY: u64 = 5_000;
const UNLISTED_AFTER: u64 = 12_000;
const STOOD_STILL: u64 = 9_000;

/// What a process has heard of the fleet, and since when it has been able to hear (ms).
#[derive(Debug, Default)]
pub struct Ears {
    heard: BTreeMap<WorkerId, (u64, BTreeSet<AttemptId>)>,
    awake_since: u64,
}

impl Ears {
    pub fn wake_up(&mut self, now: u64) {
        self.awake_since = now;
    }

    /// A heartbeat.
    pub fn hear(&mut self, now: u64, worker: WorkerId, running: BTreeSet<AttemptId>) {
        self.heard.insert(worker, (now, running));
    }

    /// Why an attempt counts as lost, if it does.
    fn verdict(&self, now: u64, id: AttemptId, worker: &WorkerId, since: u64) -> Option<&'static str> {
        let since = since.max(self.awake_since);
        let heard = self.heard.get(worker);
        if now - heard.map_or(since, |(at, _)| (*at).max(since)) > LEASE {
            return Some("silent");
        }
        let (at, running) = heard?;
        (at.saturating_sub(since) > UNLISTED_AFTER && !running.contains(&id)).then_some("unlisted")
    }
}

/// Settles an attempt whose worker is silent about it: by what it told before, else as lost.
async fn settle(shell: &Shell, id: AttemptId, worker: &WorkerId, seen: &str) -> Result<(), Away> {
    if let Some(told) = last_word(shell, id, worker).await?
        && let Outcome::Decided = shell.turn(id.run, Cause::Input(told)).await?
    {
        shell.ctx.core.met(Case::FoundInInbox);
        return Ok(());
    }
    let lost = Input::WorkerLost { job: id.job, attempt: id.attempt, seen: seen.to_owned() };
    if let Outcome::Refused { .. } | Outcome::NoSuchRun = shell.turn(id.run, Cause::Input(lost)).await? {
        shell.memory.index.borrow_mut().running.remove(&id);
    }
    Ok(())
}

/// The end of an attempt, if its worker told it and nobody has read it yet. Only a worker's last word about a run is
/// looked at; the real scheduler looks through all that nobody has acknowledged, so this world loses sight of more.
async fn last_word(shell: &Shell, id: AttemptId, worker: &WorkerId) -> Result<Option<Input>, Away> {
    let told = shell.ctx.read(|store, _| store.last_report(id.run, worker)).await?;
    let Some(InboxMessage::Report(report)) = told.as_deref() else { return Ok(None) };
    let ended = report.id == id && matches!(report.what, ReportWhat::Ended(_));
    let input = || Input::Report { job: id.job, attempt: id.attempt, worker: worker.clone(), what: report.what.clone() };
    Ok(ended.then(input))
}

/// Judges leases and repeats stop signals.
pub async fn judge(shell: &Shell) {
    let now = || shell.ctx.core.now.get();
    let mut last_look = now();
    loop {
        shell.ctx.sleep(LOOK_EVERY).await;
        if now() - last_look > STOOD_STILL || shell.ctx.is_cut() {
            shell.memory.ears.borrow_mut().wake_up(now());
        }
        let running: Vec<_> = shell.memory.index.borrow().running.iter().map(|(id, run)| (*id, run.clone())).collect();
        for (id, (worker, since)) in running {
            if shell.ctx.is_cut() {
                shell.memory.ears.borrow_mut().wake_up(now());
            }
            let Some(seen) = shell.memory.ears.borrow().verdict(now(), id, &worker, since) else { continue };
            let _ = settle(shell, id, &worker, seen).await;
        }
        let stopping: Vec<_> = shell.memory.index.borrow().stopping.iter().copied().collect();
        for run in stopping {
            let _ = shell.turn(run, Cause::Again).await;
        }
        last_look = now();
    }
}
