//! One state of the world: the store, the schedulers' memory, the workers and their disks, and what may still go wrong.

use crate::{
    book::{RunNo, TableNo},
    facts::Facts,
    rules::Broken,
    words::{Due, Id, In, Msg, No, RunIx, Told, Work, WorkerIx},
};

/// The world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub runs: [Log; 2],
    pub locks: TableNo,
    /// Messages that nobody works on, in no order: redelivery makes any.
    pub inbox: Vec<Msg>,
    pub orders: Vec<Order>,
    pub floating: Floating,
    /// Kept in order, because it does not matter which of them is which.
    pub schedulers: [Scheduler; 2],
    pub workers: [Worker; 2],
    pub left: Left,
    pub people: People,
    /// Time has jumped past every deadline.
    pub late: bool,
    pub broken: Broken,
}

/// A run's log: what it folds to, and how many entries it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Log {
    pub run: Option<RunNo>,
    pub seq: u8,
}

/// A job order in WORK; taken orders come back when their taker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Order {
    pub id: Id,
    pub taken: Option<WorkerIx>,
}

/// A write to a run's log whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Floating {
    None,
    /// It may still arrive; the store will take it only at this place.
    InFlight {
        run: RunIx,
        at: Log,
        to: RunNo,
        broken: Broken,
    },
    /// It has arrived, and whoever wrote it has not read back yet.
    Landed,
}

/// A scheduler. Killed and started again is one step: a dead one and an idle one do the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scheduler {
    pub task: Option<Task>,
    /// Runs that were given locks and must be told, one bit each.
    pub wakes: u8,
    /// What it remembers of each run.
    pub memory: [Option<Log>; 2],
}

/// A turn in the making.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    pub run: RunIx,
    pub origin: Origin,
    /// What set the turn off.
    pub cause: In,
    /// What is being decided: the cause, then that locks were granted.
    pub what: In,
    pub outcome: Outcome,
    pub step: Step,
}

/// Who waits for the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A message, to be acknowledged.
    Inbox,
    /// A worker's question, to be answered.
    Ask { worker: WorkerIx, nonce: u8 },
    /// Nobody: the sweep, a lease, a wake.
    Own,
}

/// What came of the first decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Pending,
    Decided,
    Refused(No),
    NoSuchRun,
}

/// The next thing a turn does to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Append what follows from this run, expecting this place.
    Commit(Log),
    /// The append timed out: look whether it is there.
    ReadBack(Log),
    /// Do the first of these.
    Perform { slot: Log, due: Vec<Due>, granted: bool },
    /// Acknowledge or answer.
    Answer(Log),
}

/// A worker and its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker {
    pub phase: Phase,
    /// Cut off or standing still for longer than a lease.
    pub silent: bool,
    /// Told to stop what it does; with force.
    pub stop: Option<bool>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    /// Has an order and asks to begin.
    Asking {
        id: Id,
        nonce: u8,
    },
    /// Has the permit; a plan is being made, an apply asks for the last word.
    Preparing {
        id: Id,
        nonce: u8,
        work: Work,
    },
    /// The tool changes the world.
    Applying {
        id: Id,
    },
    /// The tool of a former process still does.
    TakenUp {
        id: Id,
    },
    /// Over; the report is written down.
    Reporting {
        id: Id,
        told: Told,
    },
    Down(Disk),
}

/// What is left of an attempt on a dead worker's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disk {
    Nothing,
    /// Its folder, and nobody saw how it ended.
    Folder {
        id: Id,
    },
    /// Its tool still runs.
    Tool {
        id: Id,
    },
    /// The tool's exit, or the report.
    Report {
        id: Id,
        told: Told,
    },
}

/// Faults that may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    pub crashes: u8,
    pub duplicates: u8,
    pub ambiguous: u8,
    pub lies: u8,
}

/// What people have done, one bit for each run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct People {
    pub answered: u8,
    pub disputed: u8,
    pub cancelled: u8,
    pub forced: u8,
    pub resolved: u8,
}

impl Worker {
    pub const FRESH: Self = Self { phase: Phase::Idle, silent: false, stop: None };

    /// The attempt it has, as its heartbeats say.
    pub fn has(&self) -> Option<Id> {
        match self.phase {
            Phase::Idle | Phase::Down(_) => None,
            Phase::Asking { id, .. } | Phase::Preparing { id, .. } | Phase::Applying { id } => Some(id),
            Phase::TakenUp { id } | Phase::Reporting { id, .. } => Some(id),
        }
    }

    /// The attempt whose tool changes the world on this machine now.
    pub fn changing(&self) -> Option<Id> {
        match self.phase {
            Phase::Applying { id } | Phase::TakenUp { id } | Phase::Down(Disk::Tool { id }) => Some(id),
            Phase::Idle | Phase::Asking { .. } | Phase::Preparing { .. } | Phase::Reporting { .. } => None,
            Phase::Down(Disk::Nothing | Disk::Folder { .. } | Disk::Report { .. }) => None,
        }
    }

    pub fn is_up(&self) -> bool {
        !matches!(self.phase, Phase::Down(_)) && !self.silent
    }
}

impl State {
    /// Puts what has no order into the one that all equal states share.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.inbox.sort_unstable();
        self.orders.sort_unstable();
        self.schedulers.sort_unstable();
        self
    }

    /// A run as the store has it.
    pub fn facts(&self, run: RunIx) -> Option<&'static Facts> {
        self.runs[usize::from(run)].run.map(|run| &run.page().facts)
    }

    /// Stores an order, unless it lies there already.
    pub fn publish(&mut self, id: Id) {
        if !self.orders.iter().any(|order| order.id == id) {
            self.orders.push(Order { id, taken: None });
        }
    }

    /// Everything that could still go wrong or come twice for a scheduler between two of its steps has been used up.
    pub fn is_calm(&self) -> bool {
        self.left.crashes == 0 && self.left.duplicates == 0
    }
}
