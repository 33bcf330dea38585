//! Who gets a lock next. Sets are taken all or none; a run stands in line for all of its locks at once, in one atomic
//! write, so every queue shows the same order and no two runs can wait for one another.

use crate::planted::planted;
use jiff::Timestamp;
use proto::{
    RunId,
    lock::{LockHolder, LockKey, LockRecord, LockWaiter},
};

/// Most runs that may stand in one lock's line. A record is one message: at some length nobody could be added any more,
/// nor anybody taken out. Reached only by a mistake, such as a loop that deploys.
pub const LONGEST_LINE: usize = 1_000;

/// What came of wanting a set of locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The run holds them all, once the changed records are written.
    Granted,
    /// The run stands in line, once the changed records are written.
    InLine,
    /// The line of one of them is as long as it may be; nothing is changed.
    LineFull,
}

/// Takes all of `records` for the run, or puts it in line. Returns whether anything changed. `records` are all the
/// records of the set, and nothing else.
pub fn want(records: &mut [LockRecord], run: RunId, now: Timestamp) -> (Wanted, bool) {
    let holds = |record: &LockRecord| record.holder.as_ref().is_some_and(|holder| holder.run == run);
    if records.iter().all(holds) {
        return (Wanted::Granted, false);
    }
    let may_take = |record: &LockRecord| record.holder.is_none() && record.queue.first().is_none_or(|first| first.run == run);
    if planted!(TakesPart) {
        for record in records.iter_mut().filter(|record| may_take(record)) {
            record.holder = Some(LockHolder { run, since: now });
        }
        if records.iter().all(holds) {
            return (Wanted::Granted, true);
        }
    }
    if planted!(StealsLock) {
        for record in &mut *records {
            record.holder = None;
        }
    }
    if records.iter().all(|record| holds(record) || may_take(record)) {
        for record in &mut *records {
            record.queue.retain(|waiter| waiter.run != run);
            record.holder.get_or_insert(LockHolder { run, since: now });
        }
        return (Wanted::Granted, true);
    }
    let in_line = |record: &LockRecord| record.queue.iter().any(|waiter| waiter.run == run);
    if records.iter().any(|record| record.queue.len() >= LONGEST_LINE && !in_line(record)) {
        return (Wanted::LineFull, false);
    }
    let wants: Vec<LockKey> = records.iter().map(|record| record.key.clone()).collect();
    let mut changed = false;
    for record in records {
        if !record.queue.iter().any(|waiter| waiter.run == run) {
            record.queue.push(LockWaiter { run, since: now, wants: wants.clone() });
            changed = true;
        }
    }
    (Wanted::InLine, changed)
}

/// Takes the run out of the records, as holder and as waiter. Returns whether anything changed.
pub fn release(records: &mut [LockRecord], run: RunId) -> bool {
    let mut changed = false;
    for record in records {
        if record.holder.as_ref().is_some_and(|holder| holder.run == run || planted!(FreesOthersLock)) {
            record.holder = None;
            changed = true;
        }
        let before = record.queue.len();
        record.queue.retain(|waiter| waiter.run != run);
        changed |= record.queue.len() != before;
    }
    changed
}

/// Who is first in line for a lock that nobody holds: each should be asked whether it can take its whole set now.
pub fn next_in_line(records: &[LockRecord]) -> Vec<LockWaiter> {
    let mut next: Vec<LockWaiter> = Vec::new();
    for first in records.iter().filter(|record| record.holder.is_none()).filter_map(|record| record.queue.first()) {
        if !next.iter().any(|waiter| waiter.run == first.run) {
            next.push(first.clone());
        }
    }
    next
}

/// A run's place in a lock's queue; 1 is next.
pub fn position(record: &LockRecord, run: RunId) -> Option<u32> {
    record.queue.iter().position(|waiter| waiter.run == run).map(|index| index as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::ShardNo;

    fn run(name: &str) -> RunId {
        RunId::from_repeatable(&[name], ShardNo(0))
    }

    fn key(name: &str) -> LockKey {
        serde_json::from_value(serde_json::json!(name)).expect("a key is a text")
    }

    fn free(name: &str) -> LockRecord {
        LockRecord { key: key(name), holder: None, queue: Vec::new() }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_set_is_taken_all_or_none_and_wanting_twice_changes_nothing() {
        let mut records = [free("a"), free("b")];
        assert_eq!(want(&mut records, run("1"), NOW), (Wanted::Granted, true));
        assert_eq!(want(&mut records, run("1"), NOW), (Wanted::Granted, false));
        let mut overlapping = [records[1].clone(), free("c")];
        assert_eq!(want(&mut overlapping, run("2"), NOW), (Wanted::InLine, true));
        assert_eq!(overlapping[1].holder, None, "nothing is held in part");
        assert_eq!(want(&mut overlapping, run("2"), NOW), (Wanted::InLine, false));
        assert_eq!(position(&overlapping[0], run("2")), Some(1));
    }

    #[test]
    fn nobody_overtakes_and_a_released_lock_goes_to_the_first_in_line() {
        let mut record = [free("a")];
        for name in ["1", "2", "3"] {
            want(&mut record, run(name), NOW);
        }
        assert!(release(&mut record, run("1")));
        assert_eq!(want(&mut record, run("3"), NOW), (Wanted::InLine, false), "3 is not first");
        let next = next_in_line(&record);
        assert_eq!(next.iter().map(|waiter| waiter.run).collect::<Vec<_>>(), [run("2")]);
        assert_eq!(want(&mut record, next[0].run, NOW), (Wanted::Granted, true));
        assert_eq!(position(&record[0], run("3")), Some(1));
    }

    #[test]
    fn a_line_has_an_end_and_who_stands_in_it_keeps_its_place() {
        let mut records = [free("a"), free("b")];
        let names: Vec<String> = (0..=LONGEST_LINE).map(|n| n.to_string()).collect();
        for name in &names {
            want(&mut records[..1], run(name), NOW);
        }
        let before = records.clone();
        assert_eq!(want(&mut records, run("late"), NOW), (Wanted::LineFull, false), "also of a set of which only one is full");
        assert_eq!(want(&mut records[..1], run("7"), NOW), (Wanted::InLine, false));
        assert_eq!(records, before);
        assert!(release(&mut records[..1], run("7")));
        assert_eq!(want(&mut records[..1], run("late"), NOW), (Wanted::InLine, true));
    }

    #[test]
    fn a_waiter_that_gives_up_leaves_every_line() {
        let mut record = [free("a")];
        for name in ["1", "2", "3"] {
            want(&mut record, run(name), NOW);
        }
        assert!(release(&mut record, run("2")));
        assert!(!release(&mut record, run("2")));
        assert_eq!(position(&record[0], run("3")), Some(1));
    }
}
