//! Sends finished spans to an OTLP collector over HTTP.
//!
//! The batch processor drives its exporter on a thread of its own, where the async HTTP client finds no runtime and
//! panics. So each batch is sent by a future on our runtime, for which that thread waits. A collector that is away
//! costs spans, never work: the queue is bounded, and the loss is logged once until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use super::TelemetryError;

/// How long one batch may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// An exporter whose work happens on `runtime`.
#[derive(Debug)]
pub(super) struct OnRuntime {
    runtime: Handle,
    exporter: Arc<SpanExporter>,
    failing: AtomicBool,
}

/// An exporter to `{endpoint}/v1/traces`.
pub(super) fn exporter(endpoint: &str) -> Result<OnRuntime, TelemetryError> {
    let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(SEND_TIMEOUT)
        .with_endpoint(traces_url(endpoint))
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: endpoint.to_owned(), source })?;
    Ok(OnRuntime { runtime, exporter: Arc::new(exporter), failing: AtomicBool::new(false) })
}

/// The rule of `OTEL_EXPORTER_OTLP_ENDPOINT` (OpenTelemetry protocol exporter specification): the signal's path is
/// appended to the base. An address that has it already is left alone.
fn traces_url(endpoint: &str) -> String {
    let base = endpoint.trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

impl opentelemetry_sdk::trace::SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await });
        let result = sent.await.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        let failed = result.is_err();
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            if let Err(error) = &result {
                tracing::warn!(%error, "traces are not exported; spans are lost until this ends");
            } else {
                tracing::info!("traces are exported again");
            }
        }
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_once() {
        let table = [
            ("http://h:4318", "http://h:4318/v1/traces"),
            ("http://h:4318/", "http://h:4318/v1/traces"),
            ("https://h/otlp", "https://h/otlp/v1/traces"),
            ("https://h/v1/traces", "https://h/v1/traces"),
        ];
        for (endpoint, url) in table {
            assert_eq!(traces_url(endpoint), url);
        }
    }
}
