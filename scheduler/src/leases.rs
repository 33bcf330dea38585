//! Who still lives. Workers say so in FLEET with the list of what they run; silence for a lease, or a list without an
//! attempt that should be on it, says that the attempt was lost. Only local clocks are used.

use crate::{
    shard::{RunningAttempt, Shard},
    turn::{Cause, Outcome, TurnError},
};
use bus::{BusError, FleetEvent};
use domain::run::Input;
use proto::{Seat, ids::AttemptId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A worker that lives but does not list an attempt this long after its permit has lost it (it was started again). Longer
/// than a permit lives, so an attempt that is still being begun is never taken for lost.
const UNLISTED_AFTER: Duration = Duration::from_secs(12);
/// A look that comes this late says that this process stood still (paused, suspended, starved).
const STOOD_STILL: Duration = Duration::from_secs(5);

/// What this process has heard of the fleet, and since when it has been able to hear.
#[derive(Debug)]
pub(crate) struct Ears {
    heard: Mutex<HashMap<Seat, Heard>>,
    /// Silence counts from here on: before, this process stood still, or the store was away, for no fault of the workers.
    awake_since: Mutex<Instant>,
}

/// What was last heard of a worker.
#[derive(Debug)]
struct Heard {
    at: Instant,
    /// What it says it runs.
    running: BTreeSet<AttemptId>,
}

impl Default for Ears {
    fn default() -> Self {
        Self { heard: Mutex::default(), awake_since: Mutex::new(Instant::now()) }
    }
}

impl Ears {
    fn heard(&self) -> MutexGuard<'_, HashMap<Seat, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_up(&self) {
        *self.awake_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn awake_since(&self) -> Instant {
        *self.awake_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why an attempt counts as lost, if it does.
    fn verdict(&self, lease: Duration, id: AttemptId, running: &RunningAttempt) -> Option<String> {
        let heard = self.heard();
        let heard = heard.get(&running.seat);
        let since = running.since.max(self.awake_since());
        // Before its first sign of life, a worker has a full lease from the attempt's start or from our own.
        let silent = heard.map_or(since, |heard| heard.at.max(since)).elapsed();
        if silent > lease {
            return Some(format!("worker {} has not been heard of for {} s", running.seat.worker, silent.as_secs()));
        }
        let heard = heard?;
        let unlisted = heard.at.saturating_duration_since(since) > UNLISTED_AFTER && !heard.running.contains(&id);
        unlisted.then(|| format!("worker {} lives but no longer has this attempt", running.seat.worker))
    }
}

/// Follows the fleet until told to drain.
pub(crate) async fn listen(shard: Arc<Shard>, ears: Arc<Ears>, drain: CancellationToken) -> Result<(), BusError> {
    let mut beats = shard.bus.fleet().watch().await?;
    loop {
        let event = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            event = beats.next() => event,
        };
        match event {
            Some(FleetEvent::Put(beat)) => {
                ears.heard().insert(beat.seat(), Heard { at: Instant::now(), running: beat.running.into_iter().collect() });
            }
            // Said again after a lost connection: what came before may be old news that waited on the way.
            Some(FleetEvent::CaughtUp) => ears.wake_up(),
            // One who has left says nothing more. What it still runs loses its lease by the clock of its start.
            Some(FleetEvent::Gone(seat)) => {
                let runs_something = shard.index().running.values().any(|running| running.seat == seat);
                if !runs_something {
                    ears.heard().remove(&seat);
                }
            }
            None => return Ok(()),
        }
    }
}

/// Judges leases and repeats stop signals, until told to drain.
pub(crate) async fn judge(shard: Arc<Shard>, ears: Arc<Ears>, drain: CancellationToken) -> Result<(), BusError> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last_look = Instant::now();
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(()),
            _ = look.tick() => {}
        }
        if last_look.elapsed() > STOOD_STILL || !shard.bus.is_connected() {
            ears.wake_up();
        }
        judge_all(&shard, &ears).await;
        repeat_stops(&shard).await;
        // Turns may have taken long: that was not standing still.
        last_look = Instant::now();
    }
}

async fn judge_all(shard: &Shard, ears: &Ears) {
    let suspects: Vec<(AttemptId, RunningAttempt)> = {
        let index = shard.index();
        let suspect =
            |(id, running): (&AttemptId, &RunningAttempt)| ears.verdict(shard.lease, *id, running).map(|_| (*id, running.clone()));
        index.running.iter().filter_map(suspect).collect()
    };
    for (id, running) in suspects {
        // Asked again right before: the turns before this one may have taken long, and the store may have gone meanwhile.
        if !shard.bus.is_connected() {
            ears.wake_up();
        }
        let Some(seen) = ears.verdict(shard.lease, id, &running) else { continue };
        if let Err(error) = settle(shard, id, &running.seat, seen).await {
            tracing::warn!(attempt = %id, %error, "a lost attempt could not be settled; trying again");
        }
    }
}

/// Settles an attempt whose worker is silent about it: by what it told before, else as lost.
async fn settle(shard: &Shard, id: AttemptId, seat: &Seat, seen: String) -> Result<(), TurnError> {
    if let Some(told) = last_word(shard, id, seat).await?
        && let Outcome::Decided = shard.turn(id.run, Cause::Input(told)).await?
    {
        tracing::info!(attempt = %id, "the end of an attempt was found in the inbox before its message came again");
        return Ok(());
    }
    let lost = Input::WorkerLost { job: id.job, attempt: id.attempt, seen: seen.clone() };
    match shard.turn(id.run, Cause::Input(lost)).await? {
        Outcome::Decided => {
            shard.metrics.lease_lost();
            tracing::warn!(attempt = %id, seen, "an attempt was lost");
        }
        Outcome::Refused { .. } | Outcome::NoSuchRun => {
            shard.index().running.remove(&id);
        }
    }
    Ok(())
}

/// A worker that has told the end of an attempt drops it from its list, and a scheduler that died with that message in its
/// hands keeps others from it until its time to acknowledge is over. The store knows it all the while.
async fn last_word(shard: &Shard, id: AttemptId, seat: &Seat) -> Result<Option<Input>, BusError> {
    let report = shard.bus.inbox().unsettled_end(id, seat).await?;
    Ok(report.map(|report| Input::Report { job: id.job, attempt: id.attempt, worker: report.worker, what: report.what }))
}

/// Stop signals are not stored, so they are repeated until the attempt has ended.
async fn repeat_stops(shard: &Shard) {
    let stopping: Vec<_> = shard.index().stopping.iter().copied().collect();
    for run in stopping {
        if let Err(error) = shard.turn(run, Cause::Again).await {
            tracing::warn!(%run, %error, "a stop could not be repeated; trying again");
        }
    }
}
