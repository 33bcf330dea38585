//! Everything that can happen to a run, and the settings that decisions depend on.

use super::newest::Newer;
use jiff::SignedDuration;
use proto::{AttemptNo, JobNo, PoolName, WorkerId, lock::LockKey, message::ReportWhat};

/// Something happened, or somebody wants something.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The lock records name this run as holder of these, a set that it wants.
    LocksGranted {
        keys: Vec<LockKey>,
    },
    /// The line of one of these locks is as long as it may be.
    LockLineFull {
        keys: Vec<LockKey>,
    },
    /// A newer run waits for locks that this one holds or waits for.
    Newer(Newer),
    /// A worker asks to begin an attempt.
    Begin {
        job: JobNo,
        attempt: AttemptNo,
        worker: WorkerId,
        nonce: String,
    },
    /// A worker asks to start the side effects.
    StartEffects {
        job: JobNo,
        attempt: AttemptNo,
        worker: WorkerId,
        nonce: String,
        /// State serial before the side effects, when the worker knows it.
        serial_before: Option<u64>,
    },
    /// A worker tells.
    Report {
        job: JobNo,
        attempt: AttemptNo,
        worker: WorkerId,
        what: ReportWhat,
    },
    /// The worker of this attempt has not been heard of for longer than a lease, or says that it does not have it.
    WorkerLost {
        job: JobNo,
        attempt: AttemptNo,
        seen: String,
    },
    Approve {
        by: String,
        plan_sha256: Option<String>,
    },
    Reject {
        by: String,
    },
    Cancel {
        by: String,
        force: bool,
    },
    Resolve {
        by: String,
        /// Absent: the first that is unknown.
        job: Option<JobNo>,
        succeeded: bool,
        reason: String,
    },
    /// There are places for so many orders of these pools.
    Dispatch {
        places: Vec<(PoolName, u32)>,
    },
    /// Time has passed.
    Tick,
}

/// Settings that decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long an approval may wait (default 24 h, as in the replaced runner).
    pub approval_ttl: SignedDuration,
    /// How many times a job without side effects is started before it is given up (default 3).
    pub max_starts: u32,
    /// How long a job may wait for a worker; absent: for ever.
    pub queue_deadline: Option<SignedDuration>,
    /// How much longer than its own time limit an order may go unheard before it counts as timed out (default a minute): its
    /// worker stops it at the limit, waits for it to end, and reports.
    pub watchdog_slack: SignedDuration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approval_ttl: SignedDuration::from_hours(24),
            max_starts: 3,
            queue_deadline: None,
            watchdog_slack: SignedDuration::from_mins(1),
        }
    }
}
