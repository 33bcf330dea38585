//! What a gateway counts: requests and live readers.
//!
//! A route is the pattern (`/deploy/{id}/status`), never the path.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::labels::{FirstSeen, one_of};
use super::register::{Held, Register};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Route patterns are written in code; the limit only guards against a caller that passes paths.
const ROUTES: usize = 200;
/// Sources stand in the settings.
const SOURCES: usize = 100;
/// How a try to tell something ends.
const RESULTS: [&str; 3] = ["done", "later", "never"];
/// Callbacks, release pages, and the hooks of the settings.
const TOLD: usize = 100;
/// What may become of a delivery.
const VERDICTS: [&str; 6] = ["accepted", "ignored", "duplicate", "refused", "redelivered", "malformed"];
/// 1 ms to 30 s: a webhook has to be stored within 50 ms.
const REQUEST_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// The gateway's metrics. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct GatewayMetrics {
    requests: HistogramVec,
    routes: Arc<FirstSeen>,
    sse_clients: IntGauge,
    deliveries: IntCounterVec,
    sources: Arc<FirstSeen>,
    reused: IntCounter,
    told: IntCounterVec,
    whats: Arc<FirstSeen>,
}

impl GatewayMetrics {
    pub(super) fn register(register: &Register<'_>) -> Self {
        let about = ("navvy_http_request_seconds", "Time until a request was answered, streams until their head.");
        Self {
            requests: register.seconds_by(about, &["route", "method", "status"], &REQUEST_SECONDS),
            routes: Arc::new(FirstSeen::new(ROUTES)),
            sse_clients: register.gauge("navvy_sse_clients", "Live streams that are open now."),
            deliveries: register.counters("navvy_deliveries_total", "Webhook deliveries, by what became of them.", &["source", "verdict"]),
            sources: Arc::new(FirstSeen::new(SOURCES)),
            reused: register.counter("navvy_delivery_id_reuse_total", "Signed deliveries with the id of another one."),
            told: register.counters("navvy_told_total", "Tries to tell something outside, by how each ended.", &["what", "result"]),
            whats: Arc::new(FirstSeen::new(TOLD)),
        }
    }

    /// Something of a run was told outside, or could not be: `done`, `later` (it is tried again), `never`.
    pub fn told(&self, what: &str, result: &str) {
        self.told.with_label_values(&[self.whats.admit(what), one_of(result, &RESULTS)]).inc();
    }

    /// A request was answered. `route` is the matched pattern, `None` when nothing matched; `status` the HTTP code, of
    /// which only the class (`2xx`) is kept.
    pub fn request(&self, route: Option<&str>, method: &str, status: u16, took: Duration) {
        let route = route.map_or("unmatched", |pattern| self.routes.admit(pattern));
        let class = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, one_of(method, &METHODS), class]).observe(took.as_secs_f64());
    }

    /// A webhook delivery of a source came, and this became of it.
    pub fn delivery(&self, source: &str, verdict: &str) {
        self.deliveries.with_label_values(&[self.sources.admit(source), one_of(verdict, &VERDICTS)]).inc();
    }

    /// A signed delivery had the id of another one, and another body.
    pub fn delivery_id_reused(&self) {
        self.reused.inc();
    }

    /// A live stream is open while the guard lives.
    pub fn sse_client(&self) -> Held {
        Held::new(&self.sse_clients)
    }
}
