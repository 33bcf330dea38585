//! Taking and giving back locks. As in `scheduler/src/locks.rs`.

use super::{Shell, planted::wrong};
use crate::{
    core::Away,
    oracle,
    sometimes::Case,
    store::{Conflict, Held},
};
use domain::{
    lock::{self, Wanted},
    run::Input,
};
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
};

const MAX_RACES: u32 = 32;

/// Takes the locks for a run or puts it in line. `true`: it holds them all.
pub(super) async fn want(shell: &Shell, run: RunId, keys: &[LockKey]) -> Result<bool, Away> {
    let now = shell.ctx.wall();
    let (wanted, _) = change(shell, keys, |records| lock::want(records, run, now)).await?;
    if wanted == Wanted::Granted && keys.len() > 1 {
        shell.ctx.core.met(Case::LockSetTaken);
    }
    // The lines here are short: `Wanted::LineFull` does not come.
    Ok(wanted == Wanted::Granted)
}

/// Takes a run out of its locks and wakes whoever can have them now.
pub(super) async fn release(shell: &Shell, run: RunId, keys: &[LockKey]) -> Result<(), Away> {
    let ((), records) = change(shell, keys, |records| ((), lock::release(records, run))).await?;
    grant_next(shell, &records).await
}

/// Gives free locks to those who are first in line.
pub(super) async fn grant_next(shell: &Shell, records: &[LockRecord]) -> Result<(), Away> {
    if wrong!(NobodyWakesWaiters) {
        return Ok(());
    }
    for waiter in lock::next_in_line(records) {
        if want(shell, waiter.run, &waiter.wants).await? {
            shell.ctx.core.met(Case::LockHandedOver);
            shell.wake(waiter.run, Input::LocksGranted { keys: waiter.wants.clone() });
        }
    }
    Ok(())
}

async fn change<T>(
    shell: &Shell,
    keys: &[LockKey],
    mut ask: impl FnMut(&mut [LockRecord]) -> (T, bool),
) -> Result<(T, Vec<LockRecord>), Away> {
    let _desk = shell.desk().await;
    for _ in 0..MAX_RACES {
        let held = shell.ctx.read(|store, stale| keys.iter().map(|key| store.lock(key, stale)).collect::<Vec<_>>()).await?;
        let mut records: Vec<LockRecord> = held.iter().map(|held| held.record.clone()).collect();
        let (answer, changed) = ask(&mut records);
        if !changed {
            return Ok((answer, records));
        }
        let writes: Vec<Held> =
            records.iter().zip(&held).map(|(record, held)| Held { revision: held.revision, record: record.clone() }).collect();
        let core = shell.ctx.core.clone();
        let write = |store: &mut crate::store::Store| {
            let before: Vec<LockRecord> = keys.iter().map(|key| store.lock(key, 0).record).collect();
            let written = store.write_locks(&writes, !wrong!(LocksUnchecked));
            (written, before)
        };
        let seen = |(written, before): &(Result<(), Conflict>, Vec<LockRecord>)| {
            if written.is_ok() {
                oracle::locks_written(&core, before, &records);
            }
        };
        match shell.ctx.write_seen(write, seen).await {
            Ok((Ok(()), _)) => return Ok((answer, records)),
            Ok((Err(Conflict), _)) => shell.ctx.core.met(Case::LockRaceLost),
            Err(Away::Timeout) => {}
            Err(Away::Unavailable) => return Err(Away::Unavailable),
        }
    }
    Err(Away::Unavailable)
}
