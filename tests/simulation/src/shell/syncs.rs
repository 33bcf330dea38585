//! What runs of syncs need besides: states kept, older runs told. As in `scheduler/src/syncs.rs`.

use super::Shell;
use crate::{
    core::{Away, Core},
    sometimes::Case,
    store::{Conflict, Store},
    sync_rules,
};
use domain::run::{Input, Newer, Note, Run, ServiceNote, noted_service, noted_source};
use proto::{
    RunId,
    lock::LockKey,
    message::Work,
    sync::{ServiceState, SourceState},
};
use std::collections::BTreeSet;

const MAX_RACES: u32 = 16;

/// Keeps what a sync or a selection told. What is known already is not written again.
pub(super) async fn keep(shell: &Shell, note: &Note) -> Result<(), Away> {
    for _ in 0..MAX_RACES {
        let written = match note {
            Note::Service(note) => keep_service(shell, note).await,
            Note::Source(note) => keep_source(shell, note).await,
        };
        match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Conflict)) => shell.ctx.core.met(Case::NoteRaceLost),
            Err(Away::Timeout) => {}
            Err(Away::Unavailable) => return Err(Away::Unavailable),
        }
    }
    Err(Away::Unavailable)
}

async fn keep_service(shell: &Shell, note: &ServiceNote) -> Result<Result<(), Conflict>, Away> {
    let key = LockKey::service(&note.environment, &note.service);
    let (revision, before) = shell.ctx.read(|store, stale| store.service(&key, stale)).await?;
    let Some(state) = noted_service(before.as_ref(), note) else { return Ok(Ok(())) };
    let core = shell.ctx.core.clone();
    let put = |store: &mut Store| store.put_service(&key, &state, revision);
    shell.ctx.write_seen(put, |written| seen(&core, &key, &state, *written)).await
}

fn seen(core: &Core, key: &LockKey, state: &ServiceState, written: Result<(), Conflict>) {
    if written.is_ok() {
        sync_rules::kept(core, key, state);
    }
}

async fn keep_source(shell: &Shell, note: &SourceState) -> Result<Result<(), Conflict>, Away> {
    let (revision, before) = shell.ctx.read(|store, stale| store.source(&note.source, stale)).await?;
    match noted_source(before.as_ref(), note) {
        Some(state) => shell.ctx.write(|store| store.put_source(&state, revision)).await,
        None => Ok(Ok(())),
    }
}

/// Tells those that hold these locks, or stand before this run in their lines, that something newer waits.
pub(super) async fn tell_the_older(shell: &Shell, run: Option<&Run>, keys: &[LockKey]) -> Result<(), Away> {
    let Some((run, newer)) = run.filter(|_| !keys.is_empty()).and_then(|run| Some((run.id, Newer::of(run)?))) else { return Ok(()) };
    let held = shell.ctx.read(|store, stale| keys.iter().map(|key| store.lock(key, stale)).collect::<Vec<_>>()).await?;
    let mut older: BTreeSet<RunId> = BTreeSet::new();
    for held in held {
        let ahead = held.record.queue.iter().map(|waiter| waiter.run).take_while(|waiter| *waiter != run);
        older.extend(held.record.holder.iter().map(|holder| holder.run).chain(ahead).filter(|other| *other != run));
    }
    for older in older {
        shell.wake(older, Input::Newer(newer.clone()));
    }
    Ok(())
}

/// Adds to an attempt's work what is known of its service or source.
pub(super) async fn with_what_is_known(shell: &Shell, work: Work) -> Result<Work, Away> {
    Ok(match work {
        Work::Sync { sync, last: _ } => {
            let key = LockKey::service(&sync.environment, &sync.service.service);
            let (_, known) = shell.ctx.read(|store, stale| store.service(&key, stale)).await?;
            sync_rules::known(&shell.ctx.core, &key, known.as_ref());
            Work::Sync { sync, last: known.map(Box::new) }
        }
        Work::Select { spec, commit, last_good: _, since: _ } => {
            let (_, known) = shell.ctx.read(|store, stale| store.source(&spec.source, stale)).await?;
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
