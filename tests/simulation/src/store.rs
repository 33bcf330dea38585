//! The store: what NATS keeps. Logs and lock records change only with the expected revision; letters and orders wait until
//! they are acknowledged, and come again when they are not.

use domain::run::Entry;
use proto::{
    RunId, SourceId, WorkerId,
    git::CommitId,
    ids::AttemptId,
    lock::{LockKey, LockRecord},
    message::{InboxMessage, JobOrder},
    sync::{ServiceState, SourceState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// How long a delivered message may stay unacknowledged, in ms.
pub const ACK_WAIT: u64 = 30_000;

/// How long a server that has lost the lead may still answer, in ms: what was written longer ago is seen by every read.
pub const STALE_FOR: u64 = 5_000;

/// Somebody else wrote first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

/// What a publisher says to recognise a repeat by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Once {
    Trigger(RunId),
    Command(u64),
    /// One of the things that are said of an attempt.
    Report(AttemptId, u8),
    /// Not recognised.
    Never(u64),
}

/// A message in the inbox.
#[derive(Debug, Clone)]
pub struct Letter {
    pub seq: u64,
    pub run: RunId,
    pub message: Rc<InboxMessage>,
    /// Command: the id it is recognised by when it comes again.
    pub command: Option<String>,
    /// Command: where the answer goes.
    pub reply: Option<crate::people::Reply>,
    /// From when on it may be delivered (again).
    pub visible_at: u64,
    pub delivered: u32,
    /// The moment of this delivery.
    pub taken: u64,
}

/// An order in the work queue.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub seq: u64,
    pub order: JobOrder,
    pub visible_at: u64,
}

/// A record with its revision; 0 for one that is not there.
#[derive(Debug, Clone)]
pub struct Held {
    pub revision: u64,
    pub record: LockRecord,
}

/// What there is.
#[derive(Debug, Default)]
pub struct Store {
    seq: u64,
    /// What time it is, for whoever reads or writes (ms).
    pub now: u64,
    /// When each sequence was written (ms).
    written: BTreeMap<u64, u64>,
    logs: BTreeMap<RunId, Vec<(u64, Rc<Entry>)>>,
    /// Newest last; older versions are what a stale read shows.
    locks: BTreeMap<LockKey, Vec<Held>>,
    /// How services and sources stand, in the same way.
    services: BTreeMap<LockKey, Vec<(u64, ServiceState)>>,
    sources: BTreeMap<SourceId, Vec<(u64, SourceState)>>,
    pub inbox: Vec<Letter>,
    heard: BTreeSet<Once>,
    pub work: Vec<Waiting>,
    ordered: BTreeMap<AttemptId, u64>,
    /// The last report of each worker about a run, read or not.
    reports: BTreeMap<(RunId, WorkerId), Rc<InboxMessage>>,
    pushes: u32,
}

impl Store {
    /// What the branch is at now.
    pub fn head(&self) -> CommitId {
        format!("{:040x}", self.pushes + 1).parse().expect("40 hex digits")
    }

    /// Somebody pushes.
    pub fn push(&mut self) {
        self.pushes += 1;
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// How many of the last changes a stale read does not see.
    fn unseen(&self, changes: impl Iterator<Item = u64>, stale: usize) -> usize {
        let fresh = |seq: &u64| self.written.get(seq).is_some_and(|at| at + STALE_FOR > self.now);
        changes.take(stale).take_while(fresh).count()
    }

    fn shown(&self, run: RunId, stale: usize) -> &[(u64, Rc<Entry>)] {
        let log = self.logs.get(&run).map(Vec::as_slice).unwrap_or_default();
        &log[..log.len() - self.unseen(log.iter().rev().map(|(seq, _)| *seq), stale)]
    }

    /// Appends to a run's log if its last sequence is the expected one.
    pub fn commit(&mut self, run: RunId, expected: Option<u64>, entry: &Rc<Entry>) -> Result<u64, Conflict> {
        if expected.is_some_and(|expected| self.last_seq(run, 0) != expected) {
            return Err(Conflict);
        }
        let seq = self.next();
        self.written.insert(seq, self.now);
        self.logs.entry(run).or_default().push((seq, entry.clone()));
        Ok(seq)
    }

    /// A run's log, without those of its last `stale` entries that are new.
    pub fn log(&self, run: RunId, stale: usize) -> Vec<(u64, Rc<Entry>)> {
        self.shown(run, stale).to_vec()
    }

    /// The sequence of a run's last entry; 0 for none.
    pub fn last_seq(&self, run: RunId, stale: usize) -> u64 {
        self.shown(run, stale).last().map_or(0, |(seq, _)| *seq)
    }

    /// Every run that has a log.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        self.logs.keys().copied()
    }

    /// A lock's record as it was `stale` changes ago.
    pub fn lock(&self, key: &LockKey, stale: usize) -> Held {
        let versions = self.locks.get(key).map(Vec::as_slice).unwrap_or_default();
        let shown = &versions[..versions.len() - self.unseen(versions.iter().rev().map(|held| held.revision), stale)];
        shown
            .last()
            .cloned()
            .unwrap_or_else(|| Held { revision: 0, record: LockRecord { key: key.clone(), holder: None, queue: Vec::new() } })
    }

    /// All lock records.
    pub fn lock_records(&self) -> Vec<LockRecord> {
        self.locks.values().filter_map(|versions| versions.last()).map(|held| held.record.clone()).collect()
    }

    /// Writes records, all or none. `checked`: only if each still has the revision that was read.
    pub fn write_locks(&mut self, writes: &[Held], checked: bool) -> Result<(), Conflict> {
        if checked && writes.iter().any(|write| self.lock(&write.record.key, 0).revision != write.revision) {
            return Err(Conflict);
        }
        for write in writes {
            let revision = self.next();
            self.written.insert(revision, self.now);
            let versions = self.locks.entry(write.record.key.clone()).or_default();
            if versions.len() > 4 {
                versions.remove(0);
            }
            versions.push(Held { revision, record: write.record.clone() });
        }
        Ok(())
    }

    /// How a service stands, by its lock, as it was `stale` changes ago, with its revision.
    pub fn service(&self, key: &LockKey, stale: usize) -> (u64, Option<ServiceState>) {
        self.version(self.services.get(key), stale)
    }

    /// Writes it, if it still has the revision that was read.
    pub fn put_service(&mut self, key: &LockKey, state: &ServiceState, revision: u64) -> Result<(), Conflict> {
        if self.service(key, 0).0 != revision {
            return Err(Conflict);
        }
        let seq = self.next();
        self.written.insert(seq, self.now);
        self.services.entry(key.clone()).or_default().push((seq, state.clone()));
        Ok(())
    }

    /// What is known of a source, in the same way.
    pub fn source(&self, source: &SourceId, stale: usize) -> (u64, Option<SourceState>) {
        self.version(self.sources.get(source), stale)
    }

    pub fn put_source(&mut self, state: &SourceState, revision: u64) -> Result<(), Conflict> {
        if self.source(&state.source, 0).0 != revision {
            return Err(Conflict);
        }
        let seq = self.next();
        self.written.insert(seq, self.now);
        self.sources.entry(state.source.clone()).or_default().push((seq, state.clone()));
        Ok(())
    }

    fn version<T: Clone>(&self, versions: Option<&Vec<(u64, T)>>, stale: usize) -> (u64, Option<T>) {
        let versions = versions.map(Vec::as_slice).unwrap_or_default();
        let shown = &versions[..versions.len() - self.unseen(versions.iter().rev().map(|(seq, _)| *seq), stale)];
        shown.last().map_or((0, None), |(seq, value)| (*seq, Some(value.clone())))
    }

    /// Stores a message once. `false`: it was there already.
    pub fn post(&mut self, once: Once, message: InboxMessage, reply: Option<crate::people::Reply>) -> bool {
        if !self.heard.insert(once) {
            return false;
        }
        let run = match &message {
            InboxMessage::Trigger(trigger) => trigger.run,
            InboxMessage::Command(command) => command.run,
            InboxMessage::Report(report) => report.id.run,
        };
        let seq = self.next();
        let message = Rc::new(message);
        if let InboxMessage::Report(report) = &*message {
            self.reports.insert((run, report.worker.clone()), message.clone());
        }
        let command = if let Once::Command(number) = once { Some(number.to_string()) } else { None };
        self.inbox.push(Letter { seq, run, message, command, reply, visible_at: 0, delivered: 0, taken: 0 });
        true
    }

    /// What a worker told last about a run, whether anybody has read it or not.
    pub fn last_report(&self, run: RunId, worker: &WorkerId) -> Option<Rc<InboxMessage>> {
        self.reports.get(&(run, worker.clone())).cloned()
    }

    /// Takes a message out of the inbox.
    pub fn ack_letter(&mut self, seq: u64) -> Option<Letter> {
        let at = self.inbox.iter().position(|letter| letter.seq == seq)?;
        Some(self.inbox.remove(at))
    }

    /// A message is to come again then.
    pub fn nak_letter(&mut self, seq: u64, at: u64) {
        if let Some(letter) = self.inbox.iter_mut().find(|letter| letter.seq == seq) {
            letter.visible_at = at;
        }
    }

    /// Stores an order, or tells where it was stored before.
    pub fn order(&mut self, order: &JobOrder) -> (u64, bool) {
        if let Some(seq) = self.ordered.get(&order.id) {
            return (*seq, true);
        }
        (self.order_again(order), false)
    }

    /// Stores an order, whatever was stored before.
    pub fn order_again(&mut self, order: &JobOrder) -> u64 {
        let seq = self.next();
        self.ordered.insert(order.id, seq);
        self.work.push(Waiting { seq, order: order.clone(), visible_at: 0 });
        seq
    }

    /// Whether an order lies there still.
    pub fn is_waiting(&self, seq: u64) -> bool {
        self.work.iter().any(|waiting| waiting.seq == seq)
    }

    /// Takes an order out of the queue.
    pub fn ack_order(&mut self, seq: u64) {
        self.work.retain(|waiting| waiting.seq != seq);
    }

    /// An order is to come again then.
    pub fn nak_order(&mut self, seq: u64, at: u64) {
        if let Some(waiting) = self.work.iter_mut().find(|waiting| waiting.seq == seq) {
            waiting.visible_at = at;
        }
    }
}
