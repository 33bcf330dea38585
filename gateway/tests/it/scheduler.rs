//! What a scheduler and a worker would do, done by the test.

use bus::{Bus, KeyPair};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo,
    ids::AttemptId,
    log::ArchivedChunk,
    message::{ProbeSpec, RunSpec, Sealed},
    subject,
    terraform::SecretBundle,
    view::{AttemptView, JobView, RunStatus, RunView},
};

/// The private key to which these tests have secrets sealed.
const SEALING_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

pub(crate) async fn publish_key(bus: &Bus) {
    let key = KeyPair::from_hex(SEALING_KEY).expect("a key");
    let published = serde_json::json!({ "public": key.public_hex(), "key_id": key.key_id() });
    bus.keys().put(subject::SEALING_KEY, &published).await.expect("stored");
}

/// The secrets of a run, opened as the scheduler would.
pub(crate) async fn secrets_of(bus: &Bus, run: RunId) -> Option<SecretBundle> {
    let sealed = bus.sealed().get(run).await.expect("read")?;
    let key = KeyPair::from_hex(SEALING_KEY).expect("a key");
    let plain = key.open(&sealed, &run.to_string()).expect("sealed to this key, for this run");
    Some(serde_json::from_slice(&plain).expect("a bundle"))
}

/// A sealed page of a run, opened as the scheduler would.
pub(crate) fn open_page(sealed: &Sealed, run: RunId) -> Vec<u8> {
    let key = KeyPair::from_hex(SEALING_KEY).expect("a key");
    key.open(sealed, &run.to_string()).expect("sealed to this key, for this run")
}

pub(crate) fn run_id(name: &str) -> RunId {
    RunId::from_repeatable(&[name], ShardNo(0))
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a moment")
}

/// The worker that runs everything here.
pub(crate) fn seat() -> Seat {
    Seat { pool: PoolName::default(), worker: "w1".parse().expect("a name") }
}

/// A running run without jobs.
pub(crate) fn view(id: RunId) -> RunView {
    RunView {
        id,
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

pub(crate) fn job(n: u32, action: &str, status: &str) -> JobView {
    JobView {
        n: JobNo(n),
        name: format!("job {n}"),
        action: action.into(),
        status: status.into(),
        needs: Vec::new(),
        attempts: Vec::new(),
        pool: None,
        optional: false,
        failure: None,
        sync: None,
    }
}

/// A job with one attempt that runs.
pub(crate) fn running(n: u32) -> JobView {
    JobView { attempts: vec![attempt(1)], ..job(n, "terraform", "running") }
}

pub(crate) fn attempt(n: u32) -> AttemptView {
    AttemptView {
        n: AttemptNo(n),
        worker: Some(seat().worker),
        queued_at: at(1),
        started_at: Some(at(2)),
        ended_at: None,
        status: "running".into(),
        effects: false,
        phase: None,
    }
}

/// Shows a run's next state.
pub(crate) async fn show(bus: &Bus, view: &mut RunView, change: impl FnOnce(&mut RunView)) {
    view.seq += 1;
    change(view);
    bus.views().put(view).await.expect("stored");
}

/// Everything is over, and well, since a moment ago.
pub(crate) fn succeed(view: &mut RunView) {
    view.status = RunStatus::Success;
    view.phase = "completed".into();
    view.ended_at = Some(Timestamp::now());
    for job in &mut view.jobs {
        job.status = "succeeded".into();
        for attempt in &mut job.attempts {
            attempt.status = "succeeded".into();
            attempt.ended_at = attempt.ended_at.or(Some(Timestamp::now()));
        }
    }
}

pub(crate) fn attempt_id(run: RunId, job: u32, attempt: u32) -> AttemptId {
    AttemptId { run, job: JobNo(job), attempt: AttemptNo(attempt) }
}

/// A worker's output.
pub(crate) struct Output {
    bus: Bus,
    pub(crate) id: AttemptId,
    pub(crate) offset: u64,
}

impl Output {
    pub(crate) fn new(bus: &Bus, id: AttemptId) -> Self {
        Self { bus: bus.clone(), id, offset: 0 }
    }

    /// Stores a chunk.
    pub(crate) async fn write(&mut self, phase: &str, text: impl AsRef<[u8]>) {
        let bytes = Bytes::copy_from_slice(text.as_ref());
        let length = bytes.len() as u64;
        self.store(self.offset, phase, bytes, None).await;
        self.offset += length;
    }

    /// Stores the end.
    pub(crate) async fn end(&self) {
        self.store(self.offset, "completed", Bytes::new(), Some(self.offset)).await;
    }

    pub(crate) async fn store(&self, offset: u64, phase: &str, bytes: Bytes, end: Option<u64>) {
        let to = bus::Output { id: self.id, seat: seat() };
        self.bus.logs().publish(&to, offset, phase, bytes, end).await.expect("sent").wait().await.expect("stored");
    }
}

/// Archives an attempt's log.
pub(crate) async fn archive(bus: &Bus, id: AttemptId, chunks: &[(&str, &[u8])]) {
    let mut object = Vec::new();
    let mut offset = 0;
    for (phase, bytes) in chunks {
        let header = ArchivedChunk { offset, phase: (*phase).to_owned(), bytes: u32::try_from(bytes.len()).expect("short") };
        object.extend(serde_json::to_vec(&header).expect("JSON"));
        object.push(b'\n');
        object.extend_from_slice(bytes);
        offset += bytes.len() as u64;
    }
    bus.artifacts(&PoolName::default()).put(&subject::log_object(id), std::io::Cursor::new(object)).await.expect("stored");
}
