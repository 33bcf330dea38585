//! How others watch this process: `/metrics`, `/livez`, `/readyz`.
//!
//! A router that the gateway merges into its own, and a listener of its own for scheduler and worker. What "ready"
//! means is decided by the roles, which add probes to one [`Readiness`].

mod readiness;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{Limits, serve as serve_http};
use crate::metrics::{CONTENT_TYPE, Metrics};

pub use readiness::{ProbeResult, Readiness, Report};

struct Shared {
    metrics: Metrics,
    readiness: Readiness,
}

/// The three routes, without authentication. `/livez` answers 200 while the runtime turns; `/readyz` runs the probes
/// and answers 200 or 503 with a [`Report`] as JSON; `/metrics` is Prometheus text.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Arc::new(Shared { metrics, readiness }))
}

/// Serves [`router`] alone, until `stop` is cancelled. Give it a token that outlives the drain, so that a draining
/// process can still be watched.
pub async fn serve(listener: TcpListener, metrics: Metrics, readiness: Readiness, stop: CancellationToken) {
    serve_http(listener, router(metrics, readiness), Limits::of_ops(), stop).await;
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let report = shared.readiness.check().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], shared.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::shutdown::{Shutdown, Tasks};

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_three_routes_answer() {
        let stop = CancellationToken::new();
        let readiness = Readiness::new();
        let healthy = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let seen = Arc::clone(&healthy);
        readiness.add("nats", move || {
            let ok = seen.load(std::sync::atomic::Ordering::SeqCst);
            async move { if ok { Ok(()) } else { Err("no connection".into()) } }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(listener, Metrics::new("1.0.0", "abc"), readiness, stop.clone());
        let served = Tasks::new(Shutdown::new()).spawn("ops", serving);

        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let metrics = ask(address, "/metrics").await;
        assert!(metrics.contains("text/plain; version=0.0.4") && metrics.contains("navvy_build_info"), "{metrics}");
        let ready = ask(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("\"ready\":true"), "{ready}");
        healthy.store(false, std::sync::atomic::Ordering::SeqCst);
        let unready = ask(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("no connection"), "{unready}");
        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/other").await.starts_with("HTTP/1.1 404"));
        stop.cancel();
        served.await.unwrap();
    }
}
