//! `/metrics`, `/livez`, `/readyz` of a scheduler or a worker, where `ops.listen` says so. (A gateway serves its own.)

use bus::Bus;
use service::ops::serve as serve_ops;
use tokio::net::TcpListener;

use super::nats::role_failed;
use super::process::{Process, Stage};
use crate::problem::CliError;

/// Starts the listener; `None` without `ops.listen`. The stage comes last in the order of stopping, so that a draining
/// process can still be watched.
pub(super) async fn serve(process: &Process, bus: &Bus) -> Result<Option<Stage>, CliError> {
    let Some(listen) = process.settings.ops.listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(*listen).await.map_err(role_failed(
        format!("cannot listen on {listen} (ops.listen)"),
        "is another process listening there? choose another port",
    ))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "metrics and health are served");
    }
    let asked = bus.clone();
    process.readiness.add("nats", move || {
        let bus = asked.clone();
        async move { bus.probe().await.map_err(|error| error.to_string()) }
    });
    process.readiness.until(process.shutdown.drain_token());
    let stage = Stage::new();
    let stop = stage.tasks.shutdown().drain_token();
    stage.tasks.spawn("ops", serve_ops(listener, process.metrics.clone(), process.readiness.clone(), stop));
    Ok(Some(stage))
}
