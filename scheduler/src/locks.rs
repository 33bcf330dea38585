//! Taking and giving back locks: read, ask `domain::lock`, write with the expected revisions, all or none.

use crate::{shard::Shard, turn::TurnError};
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

/// Takes the locks for a run or puts it in line. `true`: it holds them all.
pub(crate) async fn want(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<bool, TurnError> {
    let wanted = change(shard, keys, |records| lock::want(records, run, Timestamp::now())).await?;
    Ok(wanted.0 == Wanted::Granted)
}

/// Takes a run out of its locks and wakes whoever can have them now. The new holder's name stands in the record before
/// it is woken, so that a crash in between is found by the sweep.
pub(crate) async fn release(shard: &Shard, run: RunId, keys: &[LockKey]) -> Result<(), TurnError> {
    let ((), records) = change(shard, keys, |records| ((), lock::release(records, run))).await?;
    failpoint::failpoint!("scheduler.locks.released");
    grant_next(shard, &records).await
}

/// Gives free locks to those who are first in line.
pub(crate) async fn grant_next(shard: &Shard, records: &[LockRecord]) -> Result<(), TurnError> {
    for waiter in lock::next_in_line(records) {
        if want(shard, waiter.run, &waiter.wants).await? {
            failpoint::failpoint!("scheduler.locks.handed");
            shard.wake(waiter.run, Input::LocksGranted);
        }
    }
    Ok(())
}

/// Changes a set of records by compare-and-swap until it worked. The change is asked again on what is there now, so an
/// ambiguous time-out needs no special care: if the write had happened, the change finds nothing left to do.
async fn change<T>(
    shard: &Shard,
    keys: &[LockKey],
    mut ask: impl FnMut(&mut [LockRecord]) -> (T, bool),
) -> Result<(T, Vec<LockRecord>), TurnError> {
    let locks = shard.bus.locks();
    let _desk = shard.lock_desk.lock().await;
    for _ in 0..MAX_RACES {
        let held = locks.read(keys).await?;
        let mut records: Vec<LockRecord> = held.iter().map(|held| held.value.clone()).collect();
        let (answer, changed) = ask(&mut records);
        if !changed {
            return Ok((answer, records));
        }
        let revisions = held.iter().map(|held| held.revision);
        let writes: Vec<Held<LockRecord>> =
            records.iter().cloned().zip(revisions).map(|(value, revision)| Held { value, revision }).collect();
        match locks.write_all(&writes).await {
            Ok(_) => return Ok((answer, records)),
            Err(BusError::Conflict { .. } | BusError::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(TurnError::Contended(MAX_RACES))
}
