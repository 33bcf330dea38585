//! What travels between gateway, scheduler and worker. The scheduler is the only one who decides; these are the words in
//! which it is asked and answers.

use crate::{
    git::CommitId,
    ids::{AttemptId, AttemptNo, JobNo, PoolName, RunId, Seat, WorkerId},
    orders::{OrderEvent, OrderResult, OrdersSpec, ShellSpec},
    sync::{Release, Selection, ServiceState, ServiceSync, SyncResult, SyncSpec},
    terraform::{ApplyResult, PlanArtifact, PlanResult, TerraformSpec},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that goes through the INBOX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboxMessage {
    /// Something arrived that should become a run.
    Trigger(Box<Trigger>),
    /// A person wants something of a run.
    Command(Command),
    /// A worker tells what happened.
    Report(Box<Report>),
}

/// What arrived, already valid, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub run: RunId,
    pub accepted_at: Timestamp,
    /// Who asked: the API key's name or `admin`.
    pub by: String,
    pub spec: RunSpec,
    pub pool: PoolName,
    /// Whether a sealed bundle waits in SECRETS under this run.
    pub has_secrets: bool,
    /// Digest of the request for idempotency keys: keyed with the idempotency key itself, so that it says nothing about
    /// the request to anybody else. Absent without such a key.
    #[serde(default)]
    pub request_digest: Option<String>,
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one per run, and nearly all are the large one")]
pub enum RunSpec {
    Terraform(TerraformSpec),
    Probe(ProbeSpec),
    Orders(OrdersSpec),
    Sync(SyncSpec),
}

/// A job that does nothing useful, to see and measure that the ring turns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Start a real runner with a real shell that prints this text; absent: no process at all.
    #[serde(default)]
    pub echo: Option<String>,
    /// Then print this many bytes of noise, to measure how fast output travels.
    #[serde(default)]
    pub noise_bytes: u64,
    /// Then print the time (nanoseconds since 1970) this often, 20 ms apart, to measure how late a line arrives.
    #[serde(default)]
    pub ticks: u32,
}

/// What a person wants of a run, and where the answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub run: RunId,
    pub by: String,
    pub at: Timestamp,
    pub verb: CommandVerb,
    /// Subject of the scheduler's answer ([`CommandAnswer`]); nobody may be listening any more.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum CommandVerb {
    /// Approve what waits. With a digest: only if it is still this plan.
    Approve {
        #[serde(default)]
        plan_sha256: Option<String>,
    },
    Reject,
    /// Stop. `force` kills what an earlier cancel could not stop.
    Cancel {
        force: bool,
    },
    /// Settle an unknown outcome.
    Resolve {
        /// Which job was looked at: by the time the command is heard, that one may be settled and another unknown. Absent: the
        /// first that is unknown then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobNo>,
        succeeded: bool,
        reason: String,
    },
}

/// What the scheduler decided about a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum CommandAnswer {
    Done,
    /// Nothing was changed because it was so already (a second approve, say).
    AlreadySo,
    Refused {
        /// Machine-readable, such as `wrong_state`, `plan_changed`, `not_found`.
        code: String,
        /// For people: what is so, why, what to do.
        message: String,
        /// The run's status (API word) at the time.
        status: String,
    },
}

/// A worker's report about one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub id: AttemptId,
    /// The pool its worker serves.
    #[serde(default)]
    pub pool: PoolName,
    pub worker: WorkerId,
    pub at: Timestamp,
    pub what: ReportWhat,
}

impl Report {
    /// Who says that it speaks. To be believed only if it came from there.
    pub fn seat(&self) -> Seat {
        Seat { pool: self.pool.clone(), worker: self.worker.clone() }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ReportWhat {
    /// The attempt entered a phase.
    Phase { phase: String },
    /// The reference was resolved. The first answer binds the run.
    CommitResolved { commit: CommitId },
    /// The commands of an order told something through its events folder.
    OrderEvents { events: Vec<OrderEvent> },
    /// It is over.
    Ended(AttemptOutcome),
}

/// How an attempt ended, as its worker saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AttemptOutcome {
    Succeeded {
        result: JobResult,
    },
    Failed {
        failure: Failure,
    },
    /// The permit came too late or the worker is draining: nothing was started, nothing happened.
    NotStarted {
        reason: String,
    },
    /// Stopped on request or at the time limit. `clean` says that the tool saved its state and freed its lock.
    Stopped {
        clean: bool,
        timed_out: bool,
    },
    /// The tool was killed or vanished in its side effects: nobody can say what was done.
    Unclear {
        evidence: Evidence,
    },
}

/// What an attempt brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum JobResult {
    Nothing,
    Plan(Box<PlanResult>),
    Apply(ApplyResult),
    Order(OrderResult),
    Selection(Box<Selection>),
    Sync(SyncResult),
    Release(Release),
}

/// Why something failed, in words for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Machine-readable, such as `git_clone`, `init`, `plan`, `apply`, `plan_stale`, `tool_missing`, `path`, `timeout`, `worker_lost`,
    /// `exit_code`, `credentials`, `dependency_failed`, `watchdog`, `job_timeout`.
    pub kind: String,
    /// The phase it happened in.
    pub phase: String,
    /// What is wrong and why.
    pub message: String,
    /// What to do next; may be empty.
    #[serde(default)]
    pub next_action: String,
}

/// What is known about an attempt whose outcome is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// In words: what was seen.
    pub seen: String,
    /// State serial before the side effects, when it could be read.
    #[serde(default)]
    pub serial_before: Option<u64>,
    /// Terraform's own lock id, when it was printed.
    #[serde(default)]
    pub state_lock: Option<String>,
    /// Object with the state file that could not be saved, when there is one.
    #[serde(default)]
    pub errored_state: Option<String>,
    /// What a person should check.
    #[serde(default)]
    pub check: Vec<String>,
}

/// Wakes a worker: there is a job. It carries nothing to act on; the permit does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrder {
    pub id: AttemptId,
    pub pool: PoolName,
    /// Word of the action, for capacity and metrics.
    pub action: String,
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// A worker asks the scheduler. Request/reply, not stored: it may be repeated with the same nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub id: AttemptId,
    /// The pool its worker serves.
    #[serde(default)]
    pub pool: PoolName,
    pub worker: WorkerId,
    /// Random, made anew for each attempt a worker takes: tells a repeated question from a second worker.
    pub nonce: String,
    pub what: AskWhat,
}

impl Ask {
    /// Who says that it asks. To be believed only if it came from there.
    pub fn seat(&self) -> Seat {
        Seat { pool: self.pool.clone(), worker: self.worker.clone() }
    }
}

/// The two questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum AskWhat {
    /// May I begin? `public_key`: the attempt's own HPKE key (hex) that the secrets are sealed to.
    Begin { public_key: String },
    /// May I start the side effects now? The last word before the tool changes the world.
    StartEffects {
        /// State serial before the side effects, when it could be read: kept with the word, because a worker that is lost
        /// after it cannot tell any more.
        #[serde(default)]
        serial_before: Option<u64>,
    },
}

/// The scheduler's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum AskAnswer {
    /// Yes, and this is all there is to know.
    Permit(Box<Permit>),
    /// Yes, start the side effects.
    Go,
    /// No, and never for this attempt: drop the order.
    Refused { reason: String },
    /// Not now (the scheduler cannot decide): ask again or give the order back.
    Later { reason: String },
}

/// The scheduler's single-use word that an attempt may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    pub id: AttemptId,
    pub nonce: String,
    pub work: Work,
    /// How long the attempt may run, in milliseconds.
    pub budget_ms: u64,
    /// The run's secrets, sealed to the attempt's key. Absent when the run has none.
    #[serde(default)]
    pub secrets: Option<Sealed>,
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// How long a permit is good for after it was asked for, in milliseconds (`reliability-security.md` M5). The worker
/// measures it on its own clock, suspend included.
pub const PERMIT_LIFE_MS: u64 = 10_000;

/// What an attempt is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    TerraformPlan {
        spec: TerraformSpec,
        /// Present once the reference has been resolved: use this, resolve nothing.
        #[serde(default)]
        commit: Option<CommitId>,
    },
    TerraformApply {
        spec: TerraformSpec,
        plan: PlanArtifact,
    },
    Probe {
        spec: ProbeSpec,
    },
    Shell {
        spec: ShellSpec,
    },
    /// Look at the repository: what is to be synced.
    Select {
        spec: SyncSpec,
        /// Present once the reference has been resolved: use this, resolve nothing.
        #[serde(default)]
        commit: Option<CommitId>,
        /// The last mapping of this source that could be read.
        #[serde(default)]
        last_good: Option<String>,
        /// The commit of the last selection of this source.
        #[serde(default)]
        since: Option<CommitId>,
    },
    /// Make a release: an annotated tag in the real repository.
    Release {
        spec: SyncSpec,
        commit: CommitId,
        run: RunId,
    },
    /// Bring one service up to date.
    Sync {
        sync: Box<ServiceSync>,
        /// How the service stands; absent: it was never synced.
        #[serde(default)]
        last: Option<Box<ServiceState>>,
    },
}

/// Something encrypted to one public key (HPKE: X25519, HKDF-SHA256, AES-256-GCM).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which recipient key, as the first 16 hex digits of its SHA-256.
    pub key_id: String,
    /// Encapsulated key, hex.
    pub encapsulated: String,
    /// Ciphertext, base64.
    pub ciphertext: String,
}

/// What stands in KEYS for gateways: the key that secrets of runs are sealed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicSealingKey {
    /// X25519 public key, hex.
    pub public: String,
    /// Its short name, as in [`Sealed::key_id`].
    pub key_id: String,
}

/// What is known about a message that nobody could handle. Kept in DEAD beside the message itself, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The stream it came from: `INBOX` or `WORK`.
    pub stream: String,
    /// The subject it came over.
    pub subject: String,
    /// Its sequence in that stream.
    pub seq: u64,
    /// How often it had been delivered.
    pub deliveries: u64,
    pub at: Timestamp,
    /// Why it could not be handled.
    pub why: String,
}

/// Tells a worker to stop an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSignal {
    pub id: AttemptId,
    pub mode: StopMode,
}

/// How hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// One interrupt to the tool, then wait.
    Interrupt,
    /// Kill it: a person said so explicitly.
    Kill,
}

/// A worker's sign of life, in FLEET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub worker: WorkerId,
    pub pool: PoolName,
    pub at: Timestamp,
    pub started_at: Timestamp,
    pub version: String,
    pub slots: u32,
    /// The attempts it holds a permit for. Absence of one that should be there says that it was lost.
    pub running: Vec<AttemptId>,
    pub draining: bool,
    /// Tools it found, such as `terraform 1.11.4`.
    #[serde(default)]
    pub tools: Vec<String>,
}

impl Heartbeat {
    /// Whose sign of life it is.
    pub fn seat(&self) -> Seat {
        Seat { pool: self.pool.clone(), worker: self.worker.clone() }
    }
}

/// An attempt and the job it belongs to, where a number alone would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAttempt {
    pub job: JobNo,
    pub attempt: AttemptNo,
}
