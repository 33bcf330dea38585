//! The model's own small words. Everything is `Copy` or nearly so and as small as it can be, because millions of states are
//! made of them; what they stand for in `domain` and `proto` is said in `sample`.

/// Which run: 0 or 1.
pub type RunIx = u8;
/// Which worker: 0 or 1.
pub type WorkerIx = u8;

/// An attempt of a job of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub run: RunIx,
    pub job: u8,
    pub attempt: u8,
}

/// What a worker tells of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told {
    /// The reference was resolved to this commit.
    Commit(u8),
    /// A plan, by its digest, of a commit.
    Planned {
        plan: u8,
        commit: u8,
    },
    Applied,
    Failed,
    /// A success that brings nothing.
    Empty,
    NotStarted,
    Stopped {
        clean: bool,
    },
    Unclear,
}

/// What can happen to a run: `domain::run::Input` without its texts. `Accept` and `Again` are the scheduler's own causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum In {
    Accept,
    Again,
    Granted,
    Begin { id: Id, worker: WorkerIx, nonce: u8 },
    Start { id: Id, worker: WorkerIx, nonce: u8 },
    Report { id: Id, worker: WorkerIx, told: Told },
    Lost { id: Id },
    Approve { plan: u8 },
    Reject,
    Cancel { force: bool },
    Resolve { succeeded: bool },
    Tick,
}

/// A message in the INBOX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msg {
    pub run: RunIx,
    pub what: In,
}

/// Something to do: `domain::run::Effect`, and giving a free lock to who is first in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Due {
    Want,
    Release,
    Publish(Id),
    Stop { id: Id, worker: WorkerIx, force: bool },
    Grant(RunIx),
}

/// What a permit carries that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// Plan this commit, or whatever the reference resolves to.
    Plan { commit: Option<u8> },
    /// Apply this plan of this commit.
    Apply { plan: u8, commit: u8 },
}

/// Why a decision refused, as far as it matters to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum No {
    AlreadySo,
    AlreadyPermitted,
    /// A report of an older attempt, of somebody else, or after the end.
    Straggler,
    Cancelling,
    /// The run is over.
    Over,
    Other,
}
