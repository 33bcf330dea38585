//! Lines, ids and export, on a subscriber of the test's own (the global one is never set here).

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::with_default;

use super::*;
use crate::http::{Limits, serve};
use crate::shutdown::{Shutdown, Tasks};

fn options() -> Options {
    Options::of(&Settings::default(), "1.2.3")
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs `work` under a subscriber and gives what it wrote.
fn written(options: &Options, work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let (subscriber, _telemetry) = build(options, move || writer.clone()).unwrap();
    with_default(subscriber, work);
    lines.text()
}

#[test]
fn lines_are_text_or_json_and_obey_the_level() {
    let speak = || {
        let _span = tracing::info_span!("turn", run = "r1").entered();
        tracing::info!(count = 3, "said");
        tracing::debug!("whispered");
    };
    let text = written(&options(), speak);
    assert!(text.contains("INFO turn{run=\"r1\"}") && text.contains("said count=3"), "{text}");
    assert!(!text.contains("whispered") && !text.contains('\u{1b}'), "{text}");

    let json = written(&Options { format: LogFormat::Json, level: "debug".into(), ..options() }, speak);
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["message"], &lines[0]["count"]), (&"said".into(), &3.into()));
    assert_eq!((&lines[0]["span"]["run"], &lines[1]["level"]), (&"r1".into(), &"DEBUG".into()));

    assert_eq!(written(&Options { level: "error".into(), ..options() }, speak), "");
    assert!(written(&Options { color: true, ..options() }, speak).contains('\u{1b}'));
}

#[test]
fn a_wrong_level_is_named() {
    let error = build(&Options { level: "info,=,".into(), ..options() }, io::stderr).err().expect("refused");
    assert!(error.to_string().contains("info,=,"), "{error}");
}

#[test]
fn ids_are_made_without_an_exporter_and_whatever_the_level() {
    written(&Options { level: "off".into(), ..options() }, || {
        assert_eq!(current_traceparent(), None, "outside any span");
        let span = tracing::info_span!("outer").entered();
        let outer = current_traceparent().expect("ids");
        assert!(is_traceparent(&outer) && outer.ends_with("-01"), "{outer}");
        let inside = tracing::info_span!("inside").in_scope(|| current_traceparent().expect("ids"));
        assert_eq!(inside[..35], outer[..35], "same trace");
        assert_ne!(inside[36..52], outer[36..52], "another span");
        drop(span);
    });
}

#[test]
fn a_trace_goes_on_in_another_process() {
    let mut headers = Vec::new();
    written(&options(), || {
        tracing::info_span!("sender").in_scope(|| {
            inject(&mut |name, value| headers.push((name.to_owned(), value.to_owned())));
        });
    });
    assert_eq!(headers.len(), 1);
    let lookup = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let parent = extract(lookup).expect("a header");
    written(&options(), || {
        let span = tracing::info_span!("receiver");
        assert!(set_parent(&span, &parent));
        let mine = span.in_scope(|| current_traceparent().expect("ids"));
        assert_eq!(mine[..35], parent[..35], "same trace");
        assert_ne!(mine, parent);
        assert!(!set_parent(&span, &parent), "too late once the span has begun");
        assert!(!set_parent(&tracing::info_span!("x"), "00-not-a-parent"));
    });
    let mut nothing = 0;
    inject(&mut |_, _| nothing += 1);
    assert_eq!(nothing, 0, "no header outside any span");
}

/// A collector that keeps what it gets.
async fn collector(tasks: &Tasks, stop: &CancellationToken) -> (String, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&got);
    let router = Router::new().route(
        "/v1/traces",
        post(move |headers: HeaderMap, body: Bytes| async move {
            keep.lock().unwrap().push((headers, body));
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn("collector", serve(listener, router, Limits::default(), stop.clone()));
    (endpoint, got)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_a_collector_before_the_process_ends() {
    let (tasks, stop) = (Tasks::new(Shutdown::new()), CancellationToken::new());
    let (endpoint, got) = collector(&tasks, &stop).await;
    let (subscriber, telemetry) = build(&Options { otlp_endpoint: Some(endpoint), ..options() }, io::sink).unwrap();
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info_span!("turn of the scheduler", run = "run-7").in_scope(|| tracing::info!("decided"));
    });
    telemetry.shutdown().await;
    let got = got.lock().unwrap();
    let (headers, body) = got.first().expect("a batch");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let text = String::from_utf8_lossy(body);
    for part in ["turn of the scheduler", "run-7", "decided", "service.name", "navvy", "1.2.3"] {
        assert!(text.contains(part), "{part}");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_collector_that_is_away_stops_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (subscriber, telemetry) = build(&Options { otlp_endpoint: Some(endpoint), ..options() }, io::sink).unwrap();
    let dispatch = tracing::Dispatch::new(subscriber);
    let ids = tracing::dispatcher::with_default(&dispatch, || tracing::info_span!("x").in_scope(current_traceparent));
    telemetry.shutdown().await;
    assert!(ids.is_some());
}

#[test]
fn exporting_needs_a_runtime() {
    let options = Options { otlp_endpoint: Some("http://127.0.0.1:1".into()), ..options() };
    assert!(matches!(build(&options, io::sink), Err(TelemetryError::NoRuntime)));
}
