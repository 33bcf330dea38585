//! What a configuration holds: the runs, and which faults and people may come, how often.

#[cfg(feature = "planted-bugs")]
use domain::planted::{self, Bug};
use proto::lock::{LockKey, LockRecord};

use crate::{sample, words::RunIx};
use domain::run;

/// A run of the model.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The locks it wants, by number. Real runs want one; a set is given to the run by its log.
    pub locks: Vec<u8>,
    pub auto_approve: bool,
}

/// Two processes of each role, and what may happen to them. Every budget is for a whole path.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: &'static str,
    pub about: &'static str,
    /// One or two.
    pub runs: Vec<RunSettings>,
    /// Schedulers that may work at once; workers that may.
    pub schedulers: u8,
    pub workers: u8,
    /// Kills of a scheduler or a worker; with `pauses`, also workers cut off for longer than a lease.
    pub crashes: u8,
    pub pauses: bool,
    /// Messages that come twice, questions asked twice, orders given back while the answer is on its way.
    pub duplicates: u8,
    /// Writes whose answer is lost. They happen at once, later, or never.
    pub ambiguous: u8,
    /// Runs that somebody may cancel; and with force after that.
    pub cancels: Vec<RunIx>,
    pub forced: bool,
    /// Somebody may approve another plan than the one that waits, and somebody may reject.
    pub disputed: bool,
    /// Time may jump past the approvals' deadline.
    pub expires: bool,
    /// A tool may fail, a worker may give a permit back unused.
    pub fails: bool,
    /// A worker may lie, once: report for another, ask for another, bring nothing.
    pub hostile: bool,
    /// Schedulers remember runs between turns.
    pub remembers: bool,
    /// The sweep looks at any time, also at runs that somebody works on, and a heartbeat may overtake a report.
    pub hasty: bool,
    /// What must be seen to happen somewhere: names of `properties::MEETINGS`.
    pub meets: Vec<&'static str>,
    #[cfg(feature = "planted-bugs")]
    pub bug: Option<Bug>,
}

impl Settings {
    /// Two runs on one lock, the first with an approval, and nothing goes wrong.
    pub fn calm(name: &'static str, about: &'static str) -> Self {
        let run = |auto_approve| RunSettings { locks: vec![0], auto_approve };
        Self {
            name,
            about,
            runs: vec![run(false), run(true)],
            schedulers: 2,
            workers: 2,
            crashes: 0,
            pauses: false,
            duplicates: 0,
            ambiguous: 0,
            cancels: Vec::new(),
            forced: false,
            disputed: false,
            expires: false,
            fails: false,
            hostile: false,
            remembers: false,
            hasty: false,
            meets: Vec::new(),
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }

    /// Puts this configuration's bug into the calling thread, or takes any other out.
    pub fn plant(&self) {
        #[cfg(feature = "planted-bugs")]
        planted::plant(self.bug);
    }

    /// The keys of a run's locks, as its acceptance names them.
    pub fn keys_of(&self, ix: RunIx) -> Vec<LockKey> {
        self.runs[usize::from(ix)].locks.iter().flat_map(|lock| key(*lock)).collect()
    }

    /// Free records of all locks.
    pub fn free_locks(&self) -> Vec<LockRecord> {
        let mut keys: Vec<LockKey> = (0..self.runs.len() as u8).flat_map(|ix| self.keys_of(ix)).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().map(|key| LockRecord { key, holder: None, queue: Vec::new() }).collect()
    }
}

fn key(lock: u8) -> Vec<LockKey> {
    run::accept(&sample::trigger(0, lock, true), sample::now(false), &sample::policy()).0.locks
}
