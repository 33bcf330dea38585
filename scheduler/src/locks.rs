//! Taking and giving back locks: read, ask `domain::lock`, write with the expected revisions, all or none.

use crate::{lock_watch, shard::Shard, turn::TurnError};
use bus::{BusError, Held};
use domain::{
    lock::{self, Wanted},
    run::Input,
};
use jiff::Timestamp;
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
};

/// Lost races in a row that are not normal any more: one shard's schedulers are few.
const MAX_RACES: u32 = 32;

/// What came of wanting locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The run holds them all.
    Granted,
    /// It stands in line, and is woken when it is its turn.
    InLine,
    /// Neither: the lock records cannot be believed just now. The sweep asks again.
    NotNow,
    /// Neither, and never: the line is as long as it may be.
    LineFull,
}

/// Takes the locks for a run or puts it in line.
pub(crate) async fn want(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<Asked, TurnError> {
    let locks = shard.bus.locks();
    let _desk = shard.lock_desk.lock().await;
    for _ in 0..MAX_RACES {
        let held = locks.read(keys).await?;
        let mut records: Vec<LockRecord> = held.iter().map(|held| held.value.clone()).collect();
        let (wanted, changed) = lock::want(&mut records, run, Timestamp::now());
        if wanted == Wanted::Granted && !lock_watch::may_grant(shard, run, keys).await? {
            return Ok(Asked::NotNow);
        }
        if !changed || write(shard, &held, records).await? {
            return Ok(match wanted {
                Wanted::Granted => Asked::Granted,
                Wanted::InLine => Asked::InLine,
                Wanted::LineFull => Asked::LineFull,
            });
        }
    }
    Err(TurnError::Contended(MAX_RACES))
}

/// Takes a run out of its locks and wakes whoever can have them now. The new holder's name stands in the record before
/// it is woken, so that a crash in between is found by the sweep.
pub(crate) async fn release(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<(), TurnError> {
    let records = leave(shard, run, keys).await?;
    failpoint::failpoint!("scheduler.locks.released");
    grant_next(shard, &records).await
}

/// Gives free locks to those who are first in line.
pub(crate) async fn grant_next(shard: &Shard, records: &[LockRecord]) -> Result<(), TurnError> {
    for waiter in lock::next_in_line(records) {
        match want(shard, waiter.run, &waiter.wants).await? {
            Asked::Granted => {
                failpoint::failpoint!("scheduler.locks.handed");
                shard.wake(waiter.run, Input::LocksGranted { keys: waiter.wants.clone() });
            }
            // It stands in line already, so that the line's length is nothing to it.
            Asked::InLine | Asked::NotNow | Asked::LineFull => {}
        }
    }
    Ok(())
}

async fn leave(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<Vec<LockRecord>, TurnError> {
    let _desk = shard.lock_desk.lock().await;
    for _ in 0..MAX_RACES {
        let held = shard.bus.locks().read(keys).await?;
        let mut records: Vec<LockRecord> = held.iter().map(|held| held.value.clone()).collect();
        if !lock::release(&mut records, run) || write(shard, &held, records.clone()).await? {
            return Ok(records);
        }
    }
    Err(TurnError::Contended(MAX_RACES))
}

/// Writes changed records if they are as they were read. `false`: read again and ask again; so an ambiguous time-out needs
/// no special care: if the write had happened, there is nothing left to change.
async fn write(shard: &Shard, read: &[Held<LockRecord>], records: Vec<LockRecord>) -> Result<bool, TurnError> {
    let revisions = read.iter().map(|held| held.revision);
    let writes: Vec<Held<LockRecord>> = records.into_iter().zip(revisions).map(|(value, revision)| Held { value, revision }).collect();
    match shard.bus.locks().write_all(&writes).await {
        Ok(_) => Ok(true),
        Err(BusError::Conflict { .. } | BusError::Timeout { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
