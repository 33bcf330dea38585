//! A run that stays open for long is told again. RUNS forgets each message when it is as old as runs are kept
//! (`scheduler.run_retention`), and a run without its beginning must not be decided about. So when half of that time has
//! gone, one entry that tells the whole history is appended, and the log begins there.

use crate::{
    shard::{self, Shard, Slot},
    turn::TurnError,
};
use bus::BusError;
use domain::run::Entry;
use jiff::{SignedDuration, Timestamp};
use proto::{RunId, codec};

/// Tells the run of a held slot again, if it is open and its beginning is old.
pub(crate) async fn when_due(shard: &Shard, slot: &mut Slot, run: RunId) -> Result<(), TurnError> {
    let half = SignedDuration::try_from(shard.retention / 2).unwrap_or(SignedDuration::MAX);
    let Some(state) = slot.run.as_ref().filter(|run| !run.is_over()) else { return Ok(()) };
    let now = Timestamp::now();
    if slot.told_at.is_none_or(|told_at| now.duration_since(told_at) < half) {
        return Ok(());
    }
    let (has_secrets, pages) = (state.has_secrets, state.orders_spec().map_or(0, |spec| spec.page_starts.len() as u32));
    let (_, seq, entries) = shard::read_run(&shard.bus, run).await?;
    if seq != slot.seq {
        slot.forget();
        return Ok(());
    }
    let entry = Entry { before: flat(entries), ..Entry::new(uuid::Uuid::new_v4().simple().to_string(), now, Vec::new()) };
    match shard.bus.run_log().begin_again(run, seq, codec::encode(&entry)?).await {
        Ok(seq) => {
            (slot.seq, slot.told_at) = (seq, Some(now));
            shard.pictures.ask(run);
            tracing::info!(%run, "an old run was told again, so that its log can still be read");
        }
        // Somebody else decided, or nobody knows: read again, and looked at by the next sweep.
        Err(BusError::Conflict { .. } | BusError::Timeout { .. }) => slot.forget(),
        Err(error) => return Err(error.into()),
    }
    if has_secrets {
        keep_secrets(shard, run, pages).await?;
    }
    Ok(())
}

/// Every decision, each once, without the entries that only told others again.
fn flat(entries: Vec<Entry>) -> Vec<Entry> {
    let each = entries.into_iter().flat_map(|mut entry| {
        let before = std::mem::take(&mut entry.before);
        before.into_iter().chain(std::iter::once(entry))
    });
    each.filter(|entry| !entry.events.is_empty()).collect()
}

/// The secrets age as the log does. Should the run have ended meanwhile, the sweep deletes them.
async fn keep_secrets(shard: &Shard, run: RunId, pages: u32) -> Result<(), BusError> {
    let sealed = shard.bus.sealed();
    for page in 0..pages {
        if let Some(bundles) = sealed.page(run, page).await? {
            sealed.put_page(run, page, &bundles).await?;
        }
    }
    match sealed.get(run).await? {
        Some(bundle) => sealed.put(run, &bundle).await,
        None => Ok(()),
    }
}
