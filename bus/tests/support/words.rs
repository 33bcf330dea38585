//! Messages as the roles would write them, as small as they can be.

use bus::{Output, Written};
use jiff::Timestamp;
use proto::ids::AttemptId;
use proto::lock::{LockHolder, LockKey, LockRecord};
use proto::message::{Heartbeat, InboxMessage, JobOrder, ProbeSpec, RunSpec, Trigger};
use proto::view::{RunStatus, RunView};
use proto::{AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo};

pub(crate) const SHARD: ShardNo = ShardNo(0);

pub(crate) fn run() -> RunId {
    RunId::fresh(SHARD)
}

pub(crate) fn attempt(run: RunId) -> AttemptId {
    AttemptId { run, job: JobNo(0), attempt: AttemptNo::FIRST }
}

/// The worker of this name in the usual pool.
pub(crate) fn seat(worker: &str) -> Seat {
    Seat { pool: PoolName::default(), worker: worker.parse().unwrap() }
}

/// Whose output is written, by that worker.
pub(crate) fn output(id: AttemptId) -> Output {
    Output { id, seat: seat("w") }
}

/// Whose output is read, of that worker.
pub(crate) fn written(id: AttemptId) -> Written {
    Written { id, pool: PoolName::default(), worker: Some(seat("w").worker) }
}

pub(crate) fn trigger(run: RunId) -> InboxMessage {
    InboxMessage::Trigger(Box::new(Trigger {
        run,
        accepted_at: Timestamp::UNIX_EPOCH,
        by: "tester".to_owned(),
        spec: RunSpec::Probe(ProbeSpec::default()),
        pool: PoolName::default(),
        has_secrets: false,
        request_digest: Some("digest".to_owned()),
        traceparent: None,
    }))
}

pub(crate) fn order(run: RunId) -> JobOrder {
    JobOrder { id: attempt(run), pool: PoolName::default(), action: "probe".to_owned(), traceparent: None }
}

pub(crate) fn heartbeat(worker: &str, slots: u32) -> Heartbeat {
    Heartbeat {
        worker: worker.parse().unwrap(),
        pool: PoolName::default(),
        at: Timestamp::UNIX_EPOCH,
        started_at: Timestamp::UNIX_EPOCH,
        version: "0".to_owned(),
        slots,
        running: Vec::new(),
        draining: false,
        tools: Vec::new(),
    }
}

/// A lock's name is a readable text.
pub(crate) fn lock_key(name: &str) -> LockKey {
    serde_json::from_value(serde_json::json!(name)).unwrap()
}

pub(crate) fn held_by(key: &LockKey, run: RunId) -> LockRecord {
    LockRecord { key: key.clone(), holder: Some(LockHolder { run, since: Timestamp::UNIX_EPOCH }), queue: Vec::new() }
}

pub(crate) fn view(run: RunId, seq: u64) -> RunView {
    RunView {
        id: run,
        seq,
        status: RunStatus::Running,
        phase: format!("phase-{seq}"),
        failed_phase: None,
        failure: None,
        waiting_for: None,
        spec: RunSpec::Probe(ProbeSpec::default()),
        pool: PoolName::default(),
        by: "tester".to_owned(),
        request_digest: None,
        commit: None,
        accepted_at: Timestamp::UNIX_EPOCH,
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
