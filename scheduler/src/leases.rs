//! Who still lives. Workers say so in FLEET with the list of what they run; silence for a lease, or a list without an
//! attempt that should be on it, says that the attempt was lost. Only local clocks are used.

use crate::{
    shard::Shard,
    turn::{Cause, Outcome},
};
use bus::{BusError, FleetEvent};
use domain::run::Input;
use proto::{WorkerId, ids::AttemptId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A worker that lives but does not list an attempt this long after its permit has lost it (it was started again). Longer
/// than a permit lives, so an attempt that is still being begun is never taken for lost.
const UNLISTED_AFTER: Duration = Duration::from_secs(12);

/// What was last heard of a worker.
#[derive(Debug)]
struct Heard {
    at: Instant,
    /// What it says it runs.
    running: BTreeSet<AttemptId>,
}

/// Watches until told to drain.
pub(crate) async fn watch(shard: Arc<Shard>, drain: CancellationToken) -> Result<(), BusError> {
    let mut beats = shard.bus.fleet().watch().await?;
    let mut heard: HashMap<WorkerId, Heard> = HashMap::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(()),
            beat = beats.next() => match beat {
                Some(FleetEvent::Put(beat)) => {
                    heard.insert(beat.worker, Heard { at: Instant::now(), running: beat.running.into_iter().collect() });
                }
                // One who has left says nothing more: its lease runs out by itself.
                Some(FleetEvent::Gone(_) | FleetEvent::CaughtUp) => {}
                None => return Ok(()),
            },
            _ = look.tick() => {
                // A process that stood still itself (paused, suspended) has heard nothing for no fault of theirs.
                judge(&shard, &heard).await;
                repeat_stops(&shard).await;
            }
        }
    }
}

async fn judge(shard: &Shard, heard: &HashMap<WorkerId, Heard>) {
    let lost: Vec<(AttemptId, String)> = {
        let index = shard.index();
        index.running.iter().filter_map(|(id, running)| Some((*id, verdict(shard, *id, running, heard.get(&running.worker))?))).collect()
    };
    for (id, seen) in lost {
        let input = Input::WorkerLost { job: id.job, attempt: id.attempt, seen: seen.clone() };
        match shard.turn(id.run, Cause::Input(input)).await {
            Ok(Outcome::Decided) => {
                shard.metrics.lease_lost();
                tracing::warn!(attempt = %id, seen, "an attempt was lost");
            }
            Ok(Outcome::Refused { .. } | Outcome::NoSuchRun) => {
                shard.index().running.remove(&id);
            }
            Err(error) => tracing::warn!(attempt = %id, %error, "a lost attempt could not be settled; trying again"),
        }
    }
}

fn verdict(shard: &Shard, id: AttemptId, running: &crate::shard::RunningAttempt, heard: Option<&Heard>) -> Option<String> {
    // Before its first sign of life is seen, a worker has a full lease from the start of this process or of the attempt.
    let last = heard.map_or(running.since.max(shard.started), |heard| heard.at.max(running.since));
    let silent = last.elapsed();
    if silent > shard.lease {
        return Some(format!("worker {} has not been heard of for {} s", running.worker, silent.as_secs()));
    }
    let heard = heard?;
    let listed_late_enough = heard.at.saturating_duration_since(running.since) > UNLISTED_AFTER;
    (listed_late_enough && !heard.running.contains(&id)).then(|| format!("worker {} lives but no longer has this attempt", running.worker))
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
