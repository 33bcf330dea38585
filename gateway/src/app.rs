//! What all requests share: the connection, the rules, the index, the counts.

use crate::{
    answers::Refusal,
    auth::Auth,
    deploy::sealing::SealingKey,
    door::Origins,
    forge::github::GitHub,
    health::Health,
    hooks::{Hearing, Room, Trace},
    logs::Readers,
    runs::RunIndex,
    sources::Sources,
    status::TailCache,
    syncs::SyncRules,
    telling::Sealer,
};
use bus::Bus;
use domain::orders::GitRules;
use proto::{
    PoolName, RunId,
    git::AllowedHosts,
    message::{RunSpec, Trigger},
    orders::OrderCounts,
    view::{RunStatus, RunView, WaitingFor},
};
use service::{
    metrics::{GatewayMetrics, Metrics},
    ops::Readiness,
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long the store may take for one request before the caller is told to come again. Together with the look at the
/// key it stays below five seconds.
const STORE_PATIENCE: Duration = Duration::from_millis(3_200);

/// Bounds of requests and streams.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest body.
    pub(crate) body_bytes: u64,
    /// Largest body of a job of orders.
    pub(crate) orders_body_bytes: u64,
    /// How long a body may take to arrive, and a large answer to be gathered.
    pub(crate) request_timeout: Duration,
    /// Of an idle live stream.
    pub(crate) heartbeat: Duration,
    /// Proxies whose word about their client is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

/// What the settings say about runs of orders.
#[derive(Debug)]
pub(crate) struct OrderRules {
    pub(crate) limits: domain::orders::Limits,
    pub(crate) short_pool: PoolName,
    pub(crate) long_pool: PoolName,
    pub(crate) git: GitRules,
    pub(crate) callback_hosts: Vec<String>,
    pub(crate) may_sign: bool,
    /// Without a slash at its end; empty if nobody has set it.
    pub(crate) public_url: String,
}

/// The gateway, as its handlers see it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) bus: Bus,
    pub(crate) auth: Auth,
    pub(crate) index: RunIndex,
    pub(crate) sealing: SealingKey,
    /// Seals where the end of a run is told.
    pub(crate) callbacks: Sealer,
    pub(crate) orders: OrderRules,
    /// The repositories whose pushes are followed.
    pub(crate) sources: Sources,
    pub(crate) sync: SyncRules,
    /// Which addresses' deliveries and signed requests are read.
    pub(crate) hearing: Hearing,
    /// For bodies of deliveries, and of all who show nothing but a signature over the body.
    pub(crate) room: Room,
    /// Of deliveries that were not believed.
    pub(crate) trace: Trace,
    pub(crate) forge: Arc<GitHub>,
    pub(crate) readers: Readers,
    pub(crate) tails: TailCache,
    pub(crate) origins: Origins,
    pub(crate) hosts: AllowedHosts,
    /// Number of scheduler shards.
    pub(crate) shards: u8,
    /// The pools of the settings; others are known from the fleet.
    pub(crate) own_pool: String,
    /// Only this machine can connect.
    pub(crate) loopback: bool,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) gateway_metrics: GatewayMetrics,
    pub(crate) readiness: Readiness,
    pub(crate) health: Health,
    /// Cancelled when the gateway stops: live streams end.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// A run as it stands: its view, or what its trigger says while no scheduler has looked at it.
    pub(crate) async fn find_run(&self, id: RunId) -> Result<Option<RunView>, bus::BusError> {
        if let Some(view) = self.bus.views().get(id).await? {
            return Ok(Some(view));
        }
        Ok(self.bus.inbox().first_trigger(id).await?.filter(|trigger| trigger.run == id).map(accepted))
    }
}

/// Bounds what a request asks of the store. Out of time is answered like a store that is away: come again.
pub(crate) fn in_time<T>(work: impl Future<Output = Result<T, Refusal>> + Send) -> impl Future<Output = Result<T, Refusal>> + Send {
    let bounded = tokio::time::timeout(STORE_PATIENCE, Box::pin(work));
    async {
        bounded.await.unwrap_or_else(|_| {
            tracing::warn!("the store did not answer in time");
            Err(Refusal::Unavailable)
        })
    }
}

/// The view of a run that was accepted and nothing more.
pub(crate) fn accepted(trigger: Trigger) -> RunView {
    RunView {
        id: trigger.run,
        seq: 0,
        status: RunStatus::Running,
        phase: "initializing".to_owned(),
        failed_phase: None,
        failure: None,
        waiting_for: Some(WaitingFor::Scheduler),
        orders: orders_of(&trigger.spec),
        spec: without_graph(trigger.spec),
        pool: trigger.pool,
        by: trigger.by,
        request_digest: trigger.request_digest,
        commit: None,
        accepted_at: trigger.accepted_at,
        ended_at: None,
        locks: Vec::new(),
        approval: None,
        cancel: None,
        plan: None,
        plan_sha256: None,
        outputs: String::new(),
        evidence: None,
        resolution: None,
        jobs: Vec::new(),
        syncs: None,
        traceparent: trigger.traceparent,
    }
}

/// Every order waits, until a scheduler has looked.
fn orders_of(spec: &RunSpec) -> Option<OrderCounts> {
    match spec {
        RunSpec::Orders(spec) => {
            let total = spec.graph.0.len() as u32;
            Some(OrderCounts { total, blocked: total, ..OrderCounts::default() })
        }
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => None,
    }
}

fn without_graph(spec: RunSpec) -> RunSpec {
    match spec {
        RunSpec::Orders(spec) => RunSpec::Orders(spec.without_graph()),
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => spec,
    }
}
