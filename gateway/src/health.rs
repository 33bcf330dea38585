//! Whether the gateway lives and can work: `/health`, `/livez`, `/readyz`, `/metrics`.

use crate::app::App;
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use service::metrics::CONTENT_TYPE;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `healthy` or `degraded`.
    status: &'static str,
    /// Each thing that was asked, and whether it was well.
    checks: BTreeMap<String, bool>,
}

/// `GET /health`. It says which check failed, and nothing about why: whoever asks needs no key.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let report = app.readiness.check().await;
    let mut checks: BTreeMap<String, bool> = report.probes.into_iter().map(|probe| (probe.name, probe.ok)).collect();
    checks.insert("http".to_owned(), true);
    let (code, status) = if report.ready { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
    (code, Json(HealthBody { status, checks })).into_response()
}

/// `GET /livez`: the process turns.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: as `/health`, in the words of the other roles.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut report = app.readiness.check().await;
    // The words of an error may name hosts; the log has them.
    report.probes.iter_mut().for_each(|probe| probe.error = probe.error.take().map(|_| "failed".to_owned()));
    let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(report)).into_response()
}

/// `GET /metrics`: everything this process counts.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], app.metrics.render())
}
