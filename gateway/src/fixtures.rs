//! Views for tests, as a scheduler would make them.

use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, ShardNo,
    message::{ProbeSpec, RunSpec},
    view::{AttemptView, JobView, RunStatus, RunView},
};

/// A moment, in seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A running probe without jobs.
pub(crate) fn view() -> RunView {
    RunView {
        id: RunId::from_repeatable(&["fixture"], ShardNo(0)),
        seq: 1,
        status: RunStatus::Running,
        phase: "initializing".into(),
        failed_phase: None,
        failure: None,
        waiting_for: None,
        spec: RunSpec::Probe(ProbeSpec::default()),
        pool: PoolName::default(),
        by: "admin".into(),
        request_digest: None,
        commit: None,
        accepted_at: at(0),
        ended_at: None,
        locks: Vec::new(),
        approval: None,
        cancel: None,
        plan: None,
        plan_sha256: None,
        outputs: String::new(),
        evidence: None,
        resolution: None,
        orders: None,
        jobs: Vec::new(),
        syncs: None,
        traceparent: None,
    }
}

/// A running job with so many attempts.
pub(crate) fn job(n: u32, action: &str, attempts: u32) -> JobView {
    let attempt = |n| AttemptView {
        n: AttemptNo(n),
        worker: None,
        queued_at: at(1),
        started_at: Some(at(2)),
        ended_at: None,
        status: "running".into(),
        effects: false,
        phase: None,
    };
    JobView {
        n: JobNo(n),
        name: format!("job {n}"),
        action: action.into(),
        status: "running".into(),
        needs: Vec::new(),
        pool: None,
        optional: false,
        failure: None,
        sync: None,
        attempts: (1..=attempts).map(attempt).collect(),
    }
}
