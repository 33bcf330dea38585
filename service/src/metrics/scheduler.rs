//! What a scheduler counts: deployments, waiting, locks, attempts.
//!
//! The three `iac_runner_…` names are those that the replaced runner promised, so that its dashboards go on working.
//! Several schedulers each count what they decided; gauges are of the whole shard and the last writer counts.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::labels::{Claim, DeploymentStatus, FirstSeen, one_of};
use super::register::Register;

const ACTIONS: [&str; 8] = ["terraform", "sync", "shell", "ansible", "ssh", "pve", "probe", "gate"];
const RESULTS: [&str; 8] = ["succeeded", "failed", "cancelled", "timed_out", "unknown", "refused", "expired", "plan_stale"];
/// As `proto::sync::SyncAction`, and what became of syncs without one.
const SYNC_ACTIONS: [&str; 5] = ["created", "updated", "skipped", "failed", "superseded"];
/// As `proto::sync::ReleaseKind`.
const RELEASE_KINDS: [&str; 4] = ["staging", "production", "hotfix", "rollback"];
/// Pools come from the configuration of workers.
const POOLS: usize = 64;
/// 1 ms to 6 h: permits take milliseconds, queues and locks take as long as a person's lunch.
const WAIT_SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 21_600.0];
/// 1 s to 24 h.
const DEPLOYMENT_SECONDS: [f64; 12] = [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0];

/// How many locks there are, and how many runs wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockWait {
    /// Locks that somebody holds.
    pub held: u64,
    /// Runs in line.
    pub waiting: u64,
}

/// The scheduler's metrics. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct SchedulerMetrics {
    deployments: IntCounterVec,
    deployment_seconds: Histogram,
    active: IntGauge,
    queue_depth: IntGaugeVec,
    wait_to_start: HistogramVec,
    pools: Arc<FirstSeen>,
    lock_wait: Histogram,
    locks_held: IntGauge,
    lock_waiters: IntGauge,
    locks_lost: IntGauge,
    dead_letters: IntGauge,
    attempts: IntCounterVec,
    lease_losses: IntCounter,
    strangers: IntCounterVec,
    syncs: IntCounterVec,
    releases: IntCounterVec,
}

impl SchedulerMetrics {
    pub(super) fn register(register: &Register<'_>) -> Self {
        let deployments = register.counters("iac_runner_deployments_total", "Deployments that ended, by how they ended.", &["status"]);
        for status in DeploymentStatus::ALL {
            // A series that begins at 0 lets rate() see the first failure.
            deployments.with_label_values(&[status.word()]);
        }
        let took = "From the start of a deployment to its end, waiting for approval included.";
        let wait = ("navvy_wait_to_start_seconds", "From ready to permit: how long a job waited for a worker.");
        let lock_wait = "How long a run waited for a lock until it had it.";
        let attempts = "Attempts that ended, by action and result.";
        let strangers = register.counters(
            "navvy_strangers_total",
            "Questions and reports that were refused because their worker has no say about the run.",
            &["claim"],
        );
        for claim in [Claim::Question, Claim::Report] {
            strangers.with_label_values(&[claim.word()]).inc_by(0);
        }
        let syncs = register.counters("navvy_syncs_total", "Syncs of a service that ended, by what was done.", &["action"]);
        for action in SYNC_ACTIONS {
            syncs.with_label_values(&[action]).inc_by(0);
        }
        let releases = register.counters("navvy_releases_total", "Releases that were made, by kind.", &["kind"]);
        for kind in RELEASE_KINDS {
            releases.with_label_values(&[kind]).inc_by(0);
        }
        Self {
            syncs,
            releases,
            strangers,
            deployments,
            deployment_seconds: register.seconds("iac_runner_deployment_duration_seconds", took, &DEPLOYMENT_SECONDS),
            active: register.gauge("iac_runner_active_deployments", "Deployments that have not ended."),
            queue_depth: register.gauges("navvy_queue_depth", "Jobs that wait for a worker.", &["pool"]),
            wait_to_start: register.seconds_by(wait, &["pool"], &WAIT_SECONDS),
            pools: Arc::new(FirstSeen::new(POOLS)),
            lock_wait: register.seconds("navvy_lock_wait_seconds", lock_wait, &WAIT_SECONDS),
            locks_held: register.gauge("navvy_locks_held", "Locks that a run holds."),
            lock_waiters: register.gauge("navvy_lock_waiters", "Runs that wait for a lock."),
            locks_lost: register.gauge("navvy_lock_records_lost", "Open runs whose locks no record names them for: nothing is started."),
            dead_letters: register.gauge("navvy_dead_letters", "Messages that nobody could handle, kept for people to look at."),
            attempts: register.counters("navvy_attempts_total", attempts, &["action", "result"]),
            lease_losses: register.counter("navvy_lease_losses_total", "Attempts whose worker fell silent."),
        }
    }

    /// A sync of a service ended: what was done, or `failed`, or `superseded`.
    pub fn synced(&self, action: &str) {
        self.syncs.with_label_values(&[one_of(action, &SYNC_ACTIONS)]).inc();
    }

    /// A release of this kind was made.
    pub fn released(&self, kind: &str) {
        self.releases.with_label_values(&[one_of(kind, &RELEASE_KINDS)]).inc();
    }

    /// A deployment began.
    pub fn deployment_started(&self) {
        self.active.inc();
    }

    /// A deployment ended, `took` after its start.
    pub fn deployment_ended(&self, status: DeploymentStatus, took: Duration) {
        self.deployments.with_label_values(&[status.word()]).inc();
        self.deployment_seconds.observe(took.as_secs_f64());
        self.active.dec();
    }

    /// Sets the number of deployments that have not ended, as read from the store: after a start, or when the count of
    /// started and ended ones has drifted.
    pub fn active_deployments(&self, number: u64) {
        self.active.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// How many jobs wait in the queue of `pool` now.
    pub fn queue_depth(&self, pool: &str, jobs: u64) {
        let pool = self.pools.admit(pool);
        self.queue_depth.with_label_values(&[pool]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// A job of `pool` got its permit, `waited` after it was ready.
    pub fn waited_to_start(&self, pool: &str, waited: Duration) {
        let pool = self.pools.admit(pool);
        self.wait_to_start.with_label_values(&[pool]).observe(waited.as_secs_f64());
    }

    /// A run got its locks, `waited` after it wanted them.
    pub fn lock_waited(&self, waited: Duration) {
        self.lock_wait.observe(waited.as_secs_f64());
    }

    /// The state of the locks now.
    pub fn locks(&self, now: LockWait) {
        self.locks_held.set(i64::try_from(now.held).unwrap_or(i64::MAX));
        self.lock_waiters.set(i64::try_from(now.waiting).unwrap_or(i64::MAX));
    }

    /// How many open runs hold locks that no record names them for.
    pub fn locks_lost(&self, runs: u64) {
        self.locks_lost.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    /// How many messages that nobody could handle are kept.
    pub fn dead_letters(&self, number: u64) {
        self.dead_letters.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// An attempt ended. Words outside the known ones count as `other`; the known results are `succeeded`, `failed`,
    /// `cancelled`, `timed_out`, `unknown`, `refused`, `expired`, `plan_stale`.
    pub fn attempt_ended(&self, action: &str, result: &str) {
        self.attempts.with_label_values(&[one_of(action, &ACTIONS), one_of(result, &RESULTS)]).inc();
    }

    /// A worker spoke about a run that it has no say about.
    pub fn stranger(&self, claim: Claim) {
        self.strangers.with_label_values(&[claim.word()]).inc();
    }

    /// A worker fell silent and its lease ran out.
    pub fn lease_lost(&self) {
        self.lease_losses.inc();
    }
}
