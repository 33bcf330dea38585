//! The hooks of the settings: of several gateways one tells, until it is received, and nothing that was over before.

use crate::{
    harness::{Store, until},
    scheduler::{publish_key, run_id, show, view},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use jiff::{SignedDuration, Timestamp};
use proto::{
    RunId, subject,
    view::{RunStatus, RunView},
};
use serde_json::{Value, json};
use service::settings::{Followed, Notify, NotifyFormat, Secret, Settings};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

/// What came, and what is answered first.
#[derive(Clone, Default)]
struct Receiver {
    heard: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    first: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    async fn start(first: &[u16]) -> (Self, String) {
        let receiver = Self { first: Arc::new(Mutex::new(first.to_vec())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/hook/{permit}", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, host)
    }

    fn heard(&self) -> Vec<(HeaderMap, Value)> {
        self.heard.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.heard.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
    let mut first = receiver.first.lock().unwrap();
    let status = if first.is_empty() { 204 } else { first.remove(0) };
    StatusCode::from_u16(status).unwrap()
}

fn sync(name: &str) -> RunView {
    let spec = json!({
        "action": "sync", "source": "platform", "git_url": "https://git.example/acme/infra.git", "environment": "staging",
        "git_ref": "refs/heads/main", "wanted": {"services": "all"}, "command": ["true"], "timeout_s": 600, "projects": ["platform"],
        "triggered_by": "ann",
    });
    RunView { spec: serde_json::from_value(spec).unwrap(), ..view(run_id(name)) }
}

fn configured(host: &str, dir: &Path) -> impl Fn(&mut Settings) + Clone + use<> {
    let (host, secret) = (host.to_owned(), dir.join("secret"));
    std::fs::write(&secret, "a-secret-that-signs-events\n").unwrap();
    move |settings: &mut Settings| {
        settings.sources = vec![Followed {
            id: "platform".into(),
            repository: "https://git.example/acme/infra.git".into(),
            webhook_secret: Some(Secret::new("the-secret-of-the-webhook-of-these-tests")),
            ..Followed::default()
        }];
        settings.gateway.callback_hosts = vec![host.clone()];
        let chat = Notify {
            id: "chat".into(),
            url: Some(Secret::new(format!("http://{host}/hook/canary"))),
            format: NotifyFormat::Slack,
            events: vec!["sync.*".into()],
            ..Notify::default()
        };
        let ci = Notify {
            id: "ci".into(),
            format: NotifyFormat::Cloudevents,
            secret_file: Some(secret.clone()),
            events: vec!["*.failed".into(), "run.unknown".into()],
            sources: vec!["platform".into()],
            ..chat.clone()
        };
        settings.notify = vec![chat, ci];
    }
}

async fn over(store: &Store, run: RunId, hook: &str, event: &str) -> bool {
    let notice: Value = store.bus.notices().get(&subject::notified_key(run, hook, event)).await.unwrap().value;
    notice["over"] == json!(true)
}

#[tokio::test]
async fn each_event_is_told_to_each_hook_once_by_whichever_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, host) = Receiver::start(&[503]).await;
    let store = Store::start().await;
    publish_key(&store.bus).await;
    let mut before = sync("before");
    let an_hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    show(&store.bus, &mut before, |view| (view.status, view.ended_at) = (RunStatus::Failed, Some(an_hour_ago))).await;
    let change = configured(&host, dir.path());
    let _one = store.gateway(change.clone()).await;
    let _two = store.gateway(change).await;
    // First nobody knows how it ended, then it is settled.
    let mut run = sync("run");
    show(&store.bus, &mut run, |view| view.status = RunStatus::Unknown).await;
    until(async || over(&store, run.id, "ci", "run.unknown").await).await;
    show(&store.bus, &mut run, |view| (view.status, view.ended_at) = (RunStatus::Failed, Some(Timestamp::now()))).await;
    until(async || over(&store, run.id, "ci", "sync.failed").await && over(&store, run.id, "chat", "sync.failed").await).await;
    let mut fine = sync("fine");
    show(&store.bus, &mut fine, |view| (view.status, view.ended_at) = (RunStatus::Success, Some(Timestamp::now()))).await;
    until(async || over(&store, fine.id, "chat", "sync.succeeded").await).await;
    let heard = receiver.heard();
    let events: Vec<&str> = heard.iter().filter_map(|(_, body)| body["type"].as_str()).collect();
    assert_eq!(events, ["navvy.run.unknown", "navvy.run.unknown", "navvy.sync.failed"], "the first was answered with 503");
    let ids: Vec<&str> = heard.iter().filter_map(|(headers, _)| headers.get("webhook-id")?.to_str().ok()).collect();
    assert_eq!(ids[0], ids[1], "a repeat is known by its id");
    let texts: Vec<&str> = heard.iter().filter_map(|(_, body)| body["text"].as_str()).collect();
    assert_eq!(
        texts.iter().map(|text| text.lines().next().unwrap()).collect::<Vec<_>>(),
        ["Sync failed in staging", "Sync succeeded in staging"]
    );
    assert!(!over(&store, before.id, "chat", "sync.failed").await, "what was over before is not told");
}
