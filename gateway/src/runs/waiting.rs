//! Says what a waiting run waits behind: who holds its lock, and its place in the line.
//!
//! A view tells that a run waits; who is before it changes without the run, so it is looked up when somebody asks.

use crate::{answers::Refusal, app::App};
use bus::Held;
use proto::{
    RunId,
    lock::{LockKey, LockRecord},
    view::{RunView, WaitingFor},
};
use std::collections::{BTreeSet, HashMap};

/// Fills in holder and position of every run that waits.
pub(crate) async fn fill(app: &App, views: &mut [RunView]) -> Result<(), Refusal> {
    let wanted: BTreeSet<LockKey> = views.iter().flat_map(|view| lock_keys(view).iter().cloned()).collect();
    let wanted: Vec<LockKey> = wanted.into_iter().collect();
    let records = if wanted.is_empty() { Vec::new() } else { app.bus.locks().read(&wanted).await? };
    let records: HashMap<&LockKey, &LockRecord> = wanted.iter().zip(records.iter().map(|Held { value, .. }| value)).collect();
    let index = app.index.read();
    for view in views {
        let id = view.id;
        match &mut view.waiting_for {
            Some(WaitingFor::Lock { keys, held_by, position }) => {
                (*held_by, *position) = line(id, keys.iter().filter_map(|key| records.get(key).copied()));
            }
            Some(WaitingFor::Worker { position, .. }) => *position = index.queue_position(id),
            Some(WaitingFor::Scheduler | WaitingFor::Approval { .. } | WaitingFor::Remote { .. } | WaitingFor::Resolution) | None => {}
        }
    }
    Ok(())
}

fn lock_keys(view: &RunView) -> &[LockKey] {
    match &view.waiting_for {
        Some(WaitingFor::Lock { keys, .. }) => keys,
        Some(
            WaitingFor::Scheduler
            | WaitingFor::Worker { .. }
            | WaitingFor::Approval { .. }
            | WaitingFor::Remote { .. }
            | WaitingFor::Resolution,
        )
        | None => &[],
    }
}

/// Who holds one of the locks, and the run's place in the longest of their lines: a set is taken all or none.
fn line<'a>(run: RunId, records: impl Iterator<Item = &'a LockRecord>) -> (Option<RunId>, Option<u32>) {
    let mut holder = None;
    let mut position = None;
    for record in records {
        holder = holder.or(record.holder.as_ref().map(|holder| holder.run).filter(|other| *other != run));
        let place = record.queue.iter().position(|waiter| waiter.run == run);
        let place = place.map(|before| u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1));
        position = position.max(place);
    }
    (holder, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;
    use proto::{
        ShardNo,
        git::GitUrl,
        lock::{LockHolder, LockWaiter},
        path::RepoPath,
    };

    fn run(name: &str) -> RunId {
        RunId::from_repeatable(&[name], ShardNo(0))
    }

    fn record(holder: Option<&str>, queue: &[&str]) -> LockRecord {
        let url: GitUrl = "https://git.example/a/b".parse().unwrap();
        let key = LockKey::directory(&url, &RepoPath::root(), "default");
        let waiter = |name: &&str| LockWaiter { run: run(name), since: at(0), wants: vec![key.clone()] };
        let holder = holder.map(|name| LockHolder { run: run(name), since: at(0) });
        LockRecord { key: key.clone(), holder, queue: queue.iter().map(waiter).collect() }
    }

    #[test]
    fn the_holder_of_any_and_the_last_place_of_all() {
        let records = [record(None, &["me"]), record(Some("a"), &["b", "me"]), record(Some("me"), &[])];
        assert_eq!(line(run("me"), records.iter()), (Some(run("a")), Some(2)));
        assert_eq!(line(run("me"), [record(Some("me"), &[])].iter()), (None, None));
        assert_eq!(line(run("me"), std::iter::empty()), (None, None));
    }
}
