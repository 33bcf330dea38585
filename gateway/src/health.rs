//! Whether the gateway lives and can work: `/health`, `/livez`, `/readyz`, `/metrics`.

use crate::app::App;
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use service::{
    metrics::CONTENT_TYPE,
    ops::{Readiness, Report},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// How long what the probes said is repeated without asking again.
const FRESH: Duration = Duration::from_millis(500);

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
pub(crate) struct Health(Mutex<Option<(Instant, Report)>>);

impl Health {
    async fn report(&self, readiness: &Readiness) -> Report {
        // Those who ask at the same time wait for one round of probes, which takes 2 s at most.
        let mut last = self.0.lock().await;
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

/// `GET /health`. It says which check failed, and nothing about why: whoever asks needs no key.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let report = app.health.report(&app.readiness).await;
    let mut checks = BTreeMap::from([("http".to_owned(), true)]);
    for probe in report.probes {
        // Several roles of one process may have a probe of the same name.
        checks.entry(probe.name).and_modify(|ok| *ok &= probe.ok).or_insert(probe.ok);
    }
    let (code, status) = if report.ready { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
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
