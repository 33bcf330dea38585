//! Whether the gateway lives and can work: `/health`, `/livez`, `/readyz`, `/metrics`.

use crate::{app::App, sources::Source};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use proto::PoolName;
use serde::Serialize;
use service::{
    metrics::CONTENT_TYPE,
    ops::{Readiness, Report},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// How long what the probes said is repeated without asking again.
const FRESH: Duration = Duration::from_millis(500);
/// How long the store may take to say who lives.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `healthy` or `degraded`.
    status: &'static str,
    /// Each thing that was asked, and whether it was well.
    checks: BTreeMap<String, bool>,
}

/// What the probes said last. Whoever asks needs no key, so that asking often must cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Health {
    probes: Mutex<Option<(Instant, Report)>>,
    syncs: Mutex<Option<(Instant, BTreeMap<String, bool>)>>,
}

impl Health {
    async fn report(&self, readiness: &Readiness) -> Report {
        // Those who ask at the same time wait for one round of probes, which takes 2 s at most.
        let mut last = self.probes.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH
        {
            return report.clone();
        }
        let report = readiness.check().await;
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

impl Health {
    /// What syncs need besides what this process needs itself, where there are sources: in the words of the replaced service, as
    /// far as they mean something here.
    async fn of_syncs(&self, app: &App) -> BTreeMap<String, bool> {
        if app.sources.first().is_none() {
            return BTreeMap::new();
        }
        let mut last = self.syncs.lock().await;
        if let Some((at, checks)) = &*last
            && at.elapsed() < FRESH
        {
            return checks.clone();
        }
        let workers = tokio::time::timeout(PATIENCE, app.bus.fleet().list()).await;
        let pools: BTreeSet<PoolName> = match workers {
            Ok(Ok(workers)) => workers.into_iter().map(|heartbeat| heartbeat.pool).collect(),
            Ok(Err(_)) | Err(_) => BTreeSet::new(),
        };
        // The sources could be read at the start, or there would be no gateway.
        let mut checks = BTreeMap::from([("git_repo_url".to_owned(), true)]);
        checks.insert("webhook_secret".to_owned(), app.sources.iter().all(|source| Source::check_files(source).is_ok()));
        // Repositories are checked out by workers: one must live, in each pool that syncs.
        checks.insert("git_workspace".to_owned(), app.sources.iter().all(|source| pools.contains(&source.pool)));
        *last = Some((Instant::now(), checks.clone()));
        checks
    }
}

/// `GET /health`. It says which check failed, and nothing about why: whoever asks needs no key.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let report = app.health.report(&app.readiness).await;
    let mut checks = BTreeMap::from([("http".to_owned(), true)]);
    for probe in report.probes {
        // Several roles of one process may have a probe of the same name.
        checks.entry(probe.name).and_modify(|ok| *ok &= probe.ok).or_insert(probe.ok);
    }
    checks.extend(app.health.of_syncs(&app).await);
    let healthy = report.ready && checks.values().all(|ok| *ok);
    let (code, status) = if healthy { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
    (code, Json(HealthBody { status, checks })).into_response()
}

/// `GET /livez`: the process turns.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: as `/health`, in the words of the other roles.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut report = app.health.report(&app.readiness).await;
    // The words of an error may name hosts; the log has them.
    report.probes.iter_mut().for_each(|probe| probe.error = probe.error.take().map(|_| "failed".to_owned()));
    let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(report)).into_response()
}

/// `GET /metrics`: everything this process counts.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], app.metrics.render())
}
