//! What a process counts about itself, for Prometheus.
//!
//! One [`Metrics`] per process, shared by all roles in it; a role's metrics are registered when the role first asks for
//! them, so a worker does not export a gateway's zeros. This module is the only one that knows the `prometheus` crate.
//! Labels are bounded by type or by a list (`labels`): never a run, a repository, a pull request or a path.

mod gateway;
mod labels;
mod register;
mod scheduler;
mod worker;

use std::sync::{Arc, OnceLock};

use prometheus::{IntCounterVec, Registry, TextEncoder};

pub use gateway::GatewayMetrics;
pub use labels::{Claim, Consumer, DeploymentStatus};
pub use register::Held;
pub use scheduler::{LockWait, SchedulerMetrics};
pub use worker::WorkerMetrics;

use register::Register;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    redeliveries: IntCounterVec,
    gateway: OnceLock<GatewayMetrics>,
    scheduler: OnceLock<SchedulerMetrics>,
    worker: OnceLock<WorkerMetrics>,
}

impl Metrics {
    /// Starts a registry of its own, with `navvy_build_info{version, commit}` = 1. Call it once in a process and hand
    /// out clones; two instances would count apart, but never clash.
    pub fn new(version: &str, commit: &str) -> Self {
        let registry = Registry::new();
        let register = Register(&registry);
        let build = register.gauges("navvy_build_info", "Always 1; the labels say what is running.", &["version", "commit"]);
        build.with_label_values(&[version, commit]).set(1);
        let redeliveries = register.counters(
            "navvy_redeliveries_total",
            "Messages that NATS delivered again because nobody acknowledged them in time.",
            &["consumer"],
        );
        // A counter that is not there yet cannot be told from one that is missing.
        for consumer in [Consumer::Gateway, Consumer::Scheduler, Consumer::Worker] {
            redeliveries.with_label_values(&[consumer.word()]).inc_by(0);
        }
        let (gateway, scheduler, worker) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Shared { registry, redeliveries, gateway, scheduler, worker }))
    }

    /// The gateway's metrics.
    pub fn gateway(&self) -> GatewayMetrics {
        self.0.gateway.get_or_init(|| GatewayMetrics::register(&Register(&self.0.registry))).clone()
    }

    /// The scheduler's metrics.
    pub fn scheduler(&self) -> SchedulerMetrics {
        self.0.scheduler.get_or_init(|| SchedulerMetrics::register(&Register(&self.0.registry))).clone()
    }

    /// The worker's metrics. Several workers in one process share them: their slots add up.
    pub fn worker(&self) -> WorkerMetrics {
        self.0.worker.get_or_init(|| WorkerMetrics::register(&Register(&self.0.registry))).clone()
    }

    /// One message came again (its delivery count was above 1).
    pub fn redelivered(&self, consumer: Consumer) {
        self.0.redeliveries.with_label_values(&[consumer.word()]).inc();
    }

    /// Everything, in Prometheus text format ([`CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.0.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be rendered");
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn all() -> Metrics {
        let metrics = Metrics::new("1.2.3", "abc");
        let (gateway, scheduler, worker) = (metrics.gateway(), metrics.scheduler(), metrics.worker());
        gateway.request(Some("/deploy/{id}/status"), "GET", 200, Duration::from_millis(3));
        gateway.request(None, "BREW", 418, Duration::from_millis(3));
        std::mem::forget(gateway.sse_client());
        scheduler.deployment_started();
        scheduler.deployment_ended(DeploymentStatus::Success, Duration::from_secs(70));
        scheduler.queue_depth("default", 4);
        scheduler.waited_to_start("default", Duration::from_millis(2));
        scheduler.lock_waited(Duration::from_secs(1));
        scheduler.locks(LockWait { held: 2, waiting: 5 });
        scheduler.attempt_ended("terraform", "succeeded");
        scheduler.lease_lost();
        worker.add_slots(2);
        std::mem::forget(worker.busy_slot());
        worker.logged(1024);
        metrics.redelivered(Consumer::Worker);
        metrics
    }

    #[test]
    fn every_promised_name_is_there() {
        let text = all().render();
        let lines = [
            "iac_runner_deployments_total{status=\"success\"} 1",
            "iac_runner_deployments_total{status=\"failed\"} 0",
            "iac_runner_deployments_total{status=\"cancelled\"} 0",
            "iac_runner_deployment_duration_seconds_count 1",
            "iac_runner_active_deployments 0",
            "navvy_queue_depth{pool=\"default\"} 4",
            "navvy_wait_to_start_seconds_count{pool=\"default\"} 1",
            "navvy_lock_wait_seconds_count 1",
            "navvy_locks_held 2",
            "navvy_lock_waiters 5",
            "navvy_attempts_total{action=\"terraform\",result=\"succeeded\"} 1",
            "navvy_redeliveries_total{consumer=\"worker\"} 1",
            "navvy_lease_losses_total 1",
            "navvy_http_request_seconds_count{method=\"GET\",route=\"/deploy/{id}/status\",status=\"2xx\"} 1",
            "navvy_http_request_seconds_count{method=\"other\",route=\"unmatched\",status=\"4xx\"} 1",
            "navvy_worker_slots 2",
            "navvy_worker_slots_busy 1",
            "navvy_log_bytes_total 1024",
            "navvy_sse_clients 1",
            "navvy_build_info{commit=\"abc\",version=\"1.2.3\"} 1",
        ];
        for line in lines {
            assert!(text.lines().any(|l| l == line), "{line} not in:\n{text}");
        }
    }

    #[test]
    fn roles_in_one_process_share_and_may_ask_twice() {
        let metrics = Metrics::new("1", "c");
        metrics.worker().add_slots(2);
        metrics.clone().worker().add_slots(3);
        assert!(metrics.render().contains("navvy_worker_slots 5"));
        assert!(!metrics.render().contains("navvy_sse_clients"), "no gateway, no gateway metrics");
    }

    #[test]
    fn two_registries_do_not_clash() {
        let (one, two) = (all(), all());
        one.scheduler().lease_lost();
        assert!(one.render().contains("navvy_lease_losses_total 2"));
        assert!(two.render().contains("navvy_lease_losses_total 1"));
    }

    #[test]
    fn guards_count_down() {
        let metrics = Metrics::new("1", "c");
        let (reader, slot) = (metrics.gateway().sse_client(), metrics.worker().busy_slot());
        assert!(metrics.render().contains("navvy_sse_clients 1"));
        drop((reader, slot));
        let text = metrics.render();
        assert!(text.contains("navvy_sse_clients 0") && text.contains("navvy_worker_slots_busy 0"));
    }
}
