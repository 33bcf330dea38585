//! The production functions, asked once for each question. A state of the model holds runs and lock records as numbers of
//! this book; two runs have one number if and only if `==` says that they are the same run, so nothing is lost by it.

use crate::{
    facts::{self, Facts},
    place::Place,
    rules::{self, Broken},
    sample,
    settings::Settings,
    words::{Due, Id, In, No, RunIx, Work},
};
use domain::{
    lock::{self, Wanted},
    run::{self, Entry, Event, Refusal, Run},
};
use proto::{
    AttemptNo, JobNo,
    lock::{LockKey, LockRecord},
    message,
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// A run in the book, and what the model looks at of it.
#[derive(Debug)]
pub struct RunPage {
    run: Run,
    pub facts: Facts,
}

/// All lock records as they stand at one time, and what the model looks at of them.
#[derive(Debug)]
pub struct LockPage {
    records: Vec<LockRecord>,
    /// Nobody holds or waits.
    pub is_free: bool,
    /// Who is first in line for a lock that nobody holds.
    pub forgotten: Vec<RunIx>,
    /// Which runs hold everything they want, one bit each.
    pub holders: u8,
    /// A run holds some of what it wants, and not all.
    pub is_torn: bool,
}

pub type RunNo = Place<RunPage>;
pub type TableNo = Place<LockPage>;

/// The answer of `domain::run::decide` (or `accept`).
#[derive(Debug)]
pub enum Decision {
    Yes { run: RunNo, events: Vec<Event>, due: Vec<Due>, broken: Broken },
    No(No),
}

/// A change of the lock records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockOp {
    Want,
    Release,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct LockOutcome {
    pub table: TableNo,
    pub granted: bool,
    /// Who is first in line for what is free now among the run's locks.
    pub next: Vec<RunIx>,
}

type Question = (Option<RunNo>, RunIx, In, bool);

#[derive(Debug, Default)]
struct Pages {
    runs: u32,
    /// Runs by what they print; told apart by `==`.
    by_print: HashMap<String, Vec<RunNo>>,
    tables: Vec<TableNo>,
    decisions: HashMap<Question, Arc<Decision>>,
    lock_ops: HashMap<(TableNo, LockOp, RunIx), LockOutcome>,
}

/// The book.
#[derive(Debug, Default)]
pub struct Book(RwLock<Pages>);

impl Book {
    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_run(&self, run: Run) -> RunNo {
        let print = format!("{run:?}");
        let mut pages = self.write();
        let pages = &mut *pages;
        let same = pages.by_print.entry(print).or_default();
        if let Some(no) = same.iter().find(|no| no.run == run) {
            return *no;
        }
        let facts = Facts::of(&run);
        let no = Place::new(pages.runs, RunPage { run, facts });
        pages.runs += 1;
        same.push(no);
        no
    }

    /// All locks, free.
    pub fn free_locks(&self, settings: &Settings) -> TableNo {
        self.enter_table(settings, settings.free_locks())
    }

    fn enter_table(&self, settings: &Settings, records: Vec<LockRecord>) -> TableNo {
        let mut pages = self.write();
        if let Some(known) = pages.tables.iter().find(|known| known.records == records) {
            return *known;
        }
        let held = |ix: RunIx, key: &LockKey| {
            records.iter().any(|r| r.key == *key && r.holder.as_ref().is_some_and(|holder| holder.run == sample::run_id(ix)))
        };
        let all = |ix: &RunIx| settings.keys_of(*ix).iter().all(|key| held(*ix, key));
        let torn = |ix: RunIx| settings.keys_of(ix).iter().any(|key| held(ix, key)) && !all(&ix);
        let runs = 0..settings.runs.len() as RunIx;
        let page = LockPage {
            is_free: records.iter().all(|record| record.holder.is_none() && record.queue.is_empty()),
            forgotten: first_in_line(&records),
            holders: runs.clone().filter(all).map(|ix| 1 << ix).sum(),
            is_torn: runs.clone().any(torn),
            records,
        };
        let table = Place::new(pages.tables.len() as u32, page);
        pages.tables.push(table);
        table
    }

    /// What `domain::run` decides about a run, which it may not know yet.
    pub fn decide(&self, settings: &Settings, base: Option<RunNo>, ix: RunIx, (what, late): (In, bool)) -> Arc<Decision> {
        let question = (base, ix, what, late);
        if let Some(known) = self.read().decisions.get(&question) {
            return known.clone();
        }
        settings.plant();
        let decision = Arc::new(match base {
            None => self.accept(settings, ix, late),
            Some(base) => self.ask(base, what, late),
        });
        self.write().decisions.insert(question, decision.clone());
        decision
    }

    fn accept(&self, settings: &Settings, ix: RunIx, late: bool) -> Decision {
        let wanted = &settings.runs[usize::from(ix)];
        let trigger = sample::trigger(ix, wanted.locks[0], wanted.auto_approve);
        let (run, mut events) = run::accept(&trigger, sample::now(late), &sample::policy());
        let run = if wanted.locks.len() > 1 {
            for event in &mut events {
                if let Event::Accepted { locks, .. } = event {
                    *locks = settings.keys_of(ix);
                }
            }
            let entry = Entry::new(String::new(), sample::now(late), events.clone());
            run::fold([&entry]).expect("the log begins with the acceptance")
        } else {
            run
        };
        let due = facts::due(run::due_after(&run, &events));
        Decision::Yes { run: self.enter_run(run), events, due, broken: Broken::default() }
    }

    fn ask(&self, base: RunNo, what: In, late: bool) -> Decision {
        let before = &base.run;
        let Some(input) = sample::input(what) else { return Decision::No(No::AlreadySo) };
        let now = sample::now_of(what, late);
        let mut after = before.clone();
        match run::decide(&mut after, &input, now, &sample::policy()) {
            Err(refusal) => {
                assert_eq!(after, *before, "a refusal changed the run: {refusal}");
                Decision::No(word(&refusal))
            }
            Ok(events) => {
                let mut replayed = before.clone();
                for event in &events {
                    run::evolve(&mut replayed, event, now);
                }
                assert_eq!(after, replayed, "the log does not tell what was decided: {events:?}");
                let due = facts::due(run::due_after(&after, &events));
                let run = self.enter_run(after);
                let broken = rules::broken_by(&base.facts, what, late, &events, &run.facts);
                Decision::Yes { run, events, due, broken }
            }
        }
    }

    /// What is due after events that were decided on an older run than the one that is there now.
    pub fn due_after(settings: &Settings, run: RunNo, decision: &Decision) -> Vec<Due> {
        settings.plant();
        match decision {
            Decision::Yes { events, .. } => facts::due(run::due_after(&run.run, events)),
            Decision::No(_) => run.facts.outstanding.clone(),
        }
    }

    /// What the permit of an attempt carries.
    pub fn work(run: RunNo, id: Id) -> Option<Work> {
        let (work, _) = run::work_of(&run.run, JobNo(u32::from(id.job)), AttemptNo(u32::from(id.attempt)))?;
        match work {
            message::Work::TerraformPlan { commit, .. } => Some(Work::Plan { commit: commit.map(|c| sample::number(c.as_str())) }),
            message::Work::TerraformApply { plan, .. } => {
                Some(Work::Apply { plan: sample::number(&plan.plan_sha256), commit: sample::number(plan.commit.as_str()) })
            }
            message::Work::Probe { .. } | message::Work::Shell { .. } => None,
            // Nor is any run of the model one of syncs.
            message::Work::Select { .. } | message::Work::Release { .. } | message::Work::Sync { .. } => None,
        }
    }

    /// Changes the records of a run's locks. Read, ask and write are one step: the real write is refused when a record has
    /// changed since it was read, and then all of it is done again.
    pub fn lock(&self, settings: &Settings, table: TableNo, op: LockOp, ix: RunIx) -> LockOutcome {
        if let Some(known) = self.read().lock_ops.get(&(table, op, ix)) {
            return known.clone();
        }
        settings.plant();
        let mut all = table.records.clone();
        let keys = settings.keys_of(ix);
        let mut records: Vec<LockRecord> = keys.iter().filter_map(|key| all.iter().find(|record| record.key == *key).cloned()).collect();
        let granted = match op {
            LockOp::Want => lock::want(&mut records, sample::run_id(ix), sample::now(false)).0 == Wanted::Granted,
            LockOp::Release => {
                lock::release(&mut records, sample::run_id(ix));
                false
            }
        };
        let next = first_in_line(&records);
        for changed in records {
            if let Some(record) = all.iter_mut().find(|record| record.key == changed.key) {
                *record = changed;
            }
        }
        let outcome = LockOutcome { table: self.enter_table(settings, all), granted, next };
        self.write().lock_ops.insert((table, op, ix), outcome.clone());
        outcome
    }
}

/// Who is first in line for a lock that is free.
fn first_in_line(records: &[LockRecord]) -> Vec<RunIx> {
    lock::next_in_line(records).iter().map(|waiter| u8::from(waiter.run == sample::run_id(1))).collect()
}

fn word(refusal: &Refusal) -> No {
    match refusal {
        Refusal::AlreadySo => No::AlreadySo,
        Refusal::AlreadyPermitted => No::AlreadyPermitted,
        Refusal::StaleAttempt { .. } | Refusal::AttemptOver | Refusal::NotYours => No::Straggler,
        Refusal::Cancelling => No::Cancelling,
        Refusal::WrongState(status) if status.is_terminal() => No::Over,
        Refusal::WrongState(_)
        | Refusal::NoSuchJob
        | Refusal::NotPermitted
        | Refusal::NotQueued
        | Refusal::LocksNotHeld
        | Refusal::NoEffects
        | Refusal::NotWaitingForLocks
        | Refusal::ApprovalExpired
        | Refusal::PlanChanged
        | Refusal::TooSoon
        | Refusal::OtherCommit
        | Refusal::NotNewer
        | Refusal::NothingDue => No::Other,
    }
}
