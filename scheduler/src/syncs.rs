//! What runs of syncs need besides: the states that are kept of services and sources, and the word to older runs that a newer
//! one waits behind them.

use crate::{shard::Shard, turn::TurnError};
use bus::BusError;
use domain::run::{Input, Newer, Note, Run, ServiceNote, noted_service, noted_source};
use proto::{RunId, lock::LockKey, message::Work, sync::SourceState};
use std::collections::BTreeSet;

/// Lost races in a row that are not normal any more.
const MAX_RACES: u32 = 16;

/// Keeps what a sync or a selection told. What is known already is not written again.
pub(crate) async fn keep(shard: &Shard, note: &Note) -> Result<(), TurnError> {
    for _ in 0..MAX_RACES {
        let written = match note {
            Note::Service(note) => keep_service(shard, note).await,
            Note::Source(note) => keep_source(shard, note).await,
        };
        match written {
            Ok(()) => return Ok(()),
            // Whether it was written is seen by reading again.
            Err(BusError::Conflict { .. } | BusError::Timeout { .. }) => {}
            // It keeps this service from being synced again, until somebody has looked; not its run from going on.
            Err(error @ BusError::Corrupt { .. }) => {
                tracing::error!(?note, %error, "a state cannot be read, and is left as it is; look at the bucket SERVICES");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(TurnError::Contended(MAX_RACES))
}

async fn keep_service(shard: &Shard, note: &ServiceNote) -> Result<(), BusError> {
    let before = shard.bus.services().service(&note.environment, &note.service).await?;
    match noted_service(before.value.as_ref(), note) {
        Some(state) => shard.bus.services().put_service(&state, before.revision).await,
        None => Ok(()),
    }
}

async fn keep_source(shard: &Shard, note: &SourceState) -> Result<(), BusError> {
    let before = shard.bus.services().source(&note.source).await?;
    match noted_source(before.value.as_ref(), note) {
        Some(state) => shard.bus.services().put_source(&state, before.revision).await,
        None => Ok(()),
    }
}

/// Tells those that hold these locks, or stand before this run in their lines, that something newer waits: what nobody has
/// begun is left to it. Only a hint: where it is lost, the older one does its work, and then the newer.
pub(crate) async fn tell_the_older(shard: &Shard, run: Option<&Run>, keys: &[LockKey]) -> Result<(), TurnError> {
    let Some((run, newer)) = run.filter(|_| !keys.is_empty()).and_then(|run| Some((run.id, Newer::of(run)?))) else { return Ok(()) };
    let mut older: BTreeSet<RunId> = BTreeSet::new();
    for held in shard.bus.locks().read(keys).await? {
        let ahead = held.value.queue.iter().map(|waiter| waiter.run).take_while(|waiter| *waiter != run);
        older.extend(held.value.holder.iter().map(|holder| holder.run).chain(ahead).filter(|other| *other != run));
    }
    // Each once, whatever number of lines it stands in.
    for older in older {
        shard.wake(older, Input::Newer(newer.clone()));
    }
    Ok(())
}

/// Adds to an attempt's work what is known of its service or source.
pub(crate) async fn with_what_is_known(shard: &Shard, work: Work) -> Result<Work, BusError> {
    Ok(match work {
        Work::Sync { sync, last: _ } => {
            let known = shard.bus.services().service(&sync.environment, &sync.service.service).await?;
            Work::Sync { sync, last: known.value.map(Box::new) }
        }
        Work::Select { spec, commit, last_good: _, since: _ } => {
            let known = shard.bus.services().source(&spec.source).await?.value;
            let since = known.as_ref().map(|state| state.commit.clone());
            Work::Select { spec, commit, last_good: known.and_then(|state| state.mapping), since }
        }
        work @ (Work::TerraformPlan { .. }
        | Work::TerraformApply { .. }
        | Work::Probe { .. }
        | Work::Shell { .. }
        | Work::Release { .. }) => work,
    })
}
