//! Webhooks over a real store: what makes a run, what does not, and that each does so once. Tests that begin with `w` and a number
//! are rows of the table of hostile inputs.

use crate::{
    admission::triggers,
    harness::{Gateway, Store, World, json, soon, told, until},
    scheduler::{secrets_of, view},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::LocalBoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::{
    RunId, SourceId,
    message::{RunSpec, Trigger},
    sync::{SourceState, SyncSpec, SyncWanted},
};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use service::settings::{Followed, ForgeKind, Secret, Settings};
use sha2::Sha256;
use std::path::Path;

pub(crate) const SECRET: &str = "the-secret-of-the-webhook-of-these-tests";
const A: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
const B: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

pub(crate) fn followed(id: &str) -> Followed {
    Followed {
        id: id.into(),
        repository: "https://git.example/acme/infra.git".into(),
        webhook_secret: Some(Secret::new(SECRET)),
        ..Followed::default()
    }
}

fn two_sources(settings: &mut Settings) {
    let gitlab = Followed { kind: ForgeKind::Gitlab, branch: "main".into(), environment: Some("prod".into()), ..followed("apps") };
    settings.sources = vec![followed("platform"), gitlab];
}

fn world() -> LocalBoxFuture<'static, World> {
    World::with(two_sources)
}

pub(crate) fn push(after: &str, files: &[&str]) -> Value {
    json!({
        "ref": "refs/heads/main", "before": A, "after": after, "forced": false,
        "commits": [{"id": after, "added": [], "modified": files, "removed": []}],
        "repository": {"id": 42, "full_name": "acme/infra", "clone_url": "ext::sh -c id"},
        "sender": {"login": "ann"},
    })
}

pub(crate) fn hex_mark(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A delivery as GitHub sends it, without a signature.
fn unsigned(gateway: &Gateway, path: &str, body: Vec<u8>, id: &str) -> RequestBuilder {
    let request = gateway.bare(Method::POST, path).header(header::CONTENT_TYPE, "application/json").body(body);
    request.header("x-github-event", "push").header("x-github-delivery", id)
}

fn send(gateway: &Gateway, body: &Value, id: &str) -> RequestBuilder {
    raw(gateway, body.to_string().into_bytes(), id)
}

fn raw(gateway: &Gateway, body: Vec<u8>, id: &str) -> RequestBuilder {
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    unsigned(gateway, "/hooks/platform", body, id).header("x-hub-signature-256", mark)
}

fn run_of(answer: &Value) -> RunId {
    answer["run_id"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

fn sync_of(trigger: &Trigger) -> &SyncSpec {
    let RunSpec::Sync(spec) = &trigger.spec else { panic!("{trigger:?}") };
    spec
}

/// The records of deliveries, newest first.
async fn records(store: &Store) -> Vec<(String, Value)> {
    let page = store.bus.deliveries().before::<Value>(None, None, 1_000, |_| true).await.unwrap();
    page.found.into_iter().map(|stored| (stored.key, stored.record)).collect()
}

async fn state_of_services(store: &Store, services: &[&str]) {
    let state = SourceState {
        source: "platform".parse().unwrap(),
        run: RunId::fresh(proto::ShardNo(0)),
        at: jiff::Timestamp::now(),
        commit: A.parse().unwrap(),
        services: services.iter().map(|id| id.parse().unwrap()).collect(),
        mapping: None,
    };
    store.bus.services().put_source(&state, 0).await.unwrap();
}

#[tokio::test]
async fn a_push_becomes_a_run_at_either_address() {
    let world = world().await;
    let (status, answer) = told(send(&world.gateway, &push(B, &["platform/01.postgres/compose.yaml"]), "d1")).await;
    assert_eq!((status, &answer["status"], &answer["services"]), (202, &json!("accepted"), &json!(["platform/postgres"])), "{answer}");
    assert_eq!(answer["commit"], json!(&B[..8]));
    let body = push(A, &[]).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let (status, second) = told(unsigned(&world.gateway, "/webhook", body, "d2").header("x-hub-signature-256", mark)).await;
    assert_eq!((status, &second["status"]), (202, &json!("accepted")), "{second}");
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run_of(&answer), run_of(&second)]);
    let (trigger, spec) = (&stored[0], sync_of(&stored[0]));
    assert_eq!((trigger.by.as_str(), trigger.has_secrets, trigger.pool.as_str()), ("webhook/platform", false, "default"));
    assert_eq!((spec.git_url.as_str(), spec.git_ref.as_str()), ("https://git.example/acme/infra.git", "refs/heads/main"));
    assert_eq!((spec.environment.as_str(), spec.timeout_s, spec.triggered_by.as_str()), ("staging", 600, "ann"));
    assert_eq!(
        (spec.projects.as_slice(), spec.command.as_slice()),
        (["platform".to_owned()].as_slice(), ["invoke".to_owned(), "{task}".to_owned()].as_slice())
    );
    let SyncWanted::Changed(pushed) = &spec.wanted else { panic!("{spec:?}") };
    assert_eq!(
        (pushed.after.as_str(), pushed.before.as_ref().map(proto::git::CommitId::as_str), pushed.files_complete),
        (B, Some(A), true)
    );
    let records = records(&world.store).await;
    assert_eq!(spec.delivery.as_deref(), Some(records[1].0.as_str()));
    assert_eq!(answer["delivery"], json!(records[1].0));
    assert_eq!(
        (&records[1].1["verdict"], &records[1].1["forge_id"], &records[1].1["run"]),
        (&json!("accepted"), &json!("d1"), &answer["run_id"])
    );
    assert!(!records[1].1.to_string().contains(SECRET) && records[1].1["key_id"].as_str().is_some_and(|id| id.len() == 8));
}

#[tokio::test]
async fn what_is_foreseen_is_told_where_the_services_are_known() {
    let world = world().await;
    state_of_services(&world.store, &["platform/postgres", "platform/redis"]).await;
    for (n, files, status, services) in [
        (1, vec!["libs/x.py"], "accepted", json!(["platform/postgres", "platform/redis"])),
        (2, vec!["README.md"], "no_changes", json!([])),
        (3, vec!["platform/02.redis/x", "bootstrap/05.vault/x"], "accepted", json!(["platform/redis"])),
    ] {
        let (code, answer) = told(send(&world.gateway, &push(B, &files), &format!("d{n}"))).await;
        assert_eq!((code, &answer["status"], &answer["services"]), (202, &json!(status), &services), "{answer}");
        assert!(world.store.bus.inbox().first_trigger(run_of(&answer)).await.unwrap().is_some(), "the run decides, not the forge's list");
    }
}

#[tokio::test]
async fn what_is_authentic_and_uninteresting_is_202_with_the_reason_and_kept() {
    let world = world().await;
    let event = |event: &str, body: &Value| {
        let body = body.to_string().into_bytes();
        let mark = format!("sha256={}", hex_mark(SECRET, &body));
        let request = world.gateway.bare(Method::POST, "/hooks/platform").header(header::CONTENT_TYPE, "application/json").body(body);
        request.header("x-github-event", event).header("x-hub-signature-256", mark)
    };
    let mut other = push(B, &[]);
    other["ref"] = json!("refs/heads/$(id)\u{202e}");
    let mut fork = push(B, &[]);
    fork["repository"] = json!({"id": 43, "full_name": "mallory/infra"});
    for (request, reason) in [
        (event("ping", &json!({"zen": "x"})), "`ping` is no push"),
        (event("push", &other), "Not main branch"),
        (event("push", &fork), "Not the repository of this source: mallory/infra"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["status"], &answer["reason"]), (202, &json!("ignored"), &json!(reason)), "{answer}");
    }
    let (_, again) = told(event("ping", &json!({"zen": "x"}))).await;
    assert_eq!((&again["status"], &again["event"], &again["duplicate"]), (&json!("ignored"), &json!("ping"), &json!(true)));
    let kept = records(&world.store).await;
    assert_eq!(kept.iter().map(|(_, record)| record["verdict"].as_str().unwrap()).collect::<Vec<_>>(), ["ignored"; 3]);
    assert_eq!(kept[1].1["reference"], json!("refs/heads/$(id)\\u{202e}"));
    assert_eq!(triggers(&world.store.bus).await, []);
}

#[tokio::test]
async fn each_kind_is_proved_in_its_own_way() {
    let gitlab_body = std::fs::read("tests/fixtures/webhooks/gitlab-push.json").unwrap();
    let azure_secret = "navvy:a-password-of-at-least-32-bytes";
    let world = World::with(move |settings| {
        let of = |id: &str, kind| Followed { kind, ..followed(id) };
        let azure = Followed { webhook_secret: Some(Secret::new(azure_secret)), ..of("azure", ForgeKind::AzureDevops) };
        let server = Followed { full_name: Some("ACME/infra".into()), ..of("server", ForgeKind::BitbucketServer) };
        settings.sources =
            vec![of("gitlab", ForgeKind::Gitlab), of("gitea", ForgeKind::Gitea), of("cloud", ForgeKind::BitbucketCloud), server, azure];
    })
    .await;
    let body = |name: &str| std::fs::read(format!("tests/fixtures/webhooks/{name}-push.json")).unwrap();
    let post =
        |path: &str, body: Vec<u8>| world.gateway.bare(Method::POST, path).header(header::CONTENT_TYPE, "application/json").body(body);
    let now = jiff::Timestamp::now().as_second();
    let stamped = {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("msg-1.{now}.").as_bytes());
        mac.update(&gitlab_body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let cloud_mark = format!("sha256={}", hex_mark(SECRET, &body("bitbucket-cloud")));
    let server_mark = format!("sha256={}", hex_mark(SECRET, &body("bitbucket-server")));
    let good = vec![
        post("/hooks/gitlab", gitlab_body.clone()).header("x-gitlab-event", "Push Hook").header("x-gitlab-token", SECRET),
        post("/webhook", gitlab_body.clone())
            .header("x-gitlab-event", "Push Hook")
            .header("webhook-id", "msg-1")
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", stamped),
        post("/hooks/gitea", body("gitea")).header("x-gitea-event", "push").header("x-gitea-signature", hex_mark(SECRET, &body("gitea"))),
        post("/hooks/cloud", body("bitbucket-cloud")).header("x-event-key", "repo:push").header("x-hub-signature", cloud_mark),
        post("/hooks/server", body("bitbucket-server")).header("x-event-key", "repo:refs_changed").header("x-hub-signature", server_mark),
    ];
    let mut runs = std::collections::BTreeSet::new();
    for request in good {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
        runs.insert(run_of(&answer));
    }
    assert_eq!(runs.len(), 5);
    let azure = |pair: &str| post("/hooks/azure", body("azure")).header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
    let (status, answer) = told(azure(azure_secret)).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
    assert!(answer["delivery"].as_str().is_some_and(|key| key.starts_with("azure.")));
    for wrong in [azure("navvy:another-password-of-some-length"), post("/hooks/azure", body("azure"))] {
        assert_eq!(told(wrong).await.0, 401);
    }
    let (status, answer) = told(post("/hooks/cloud", body("bitbucket-cloud")).header("x-event-key", "repo:push")).await;
    assert_eq!((status, &answer["error"]), (401, &json!("Invalid signature")), "w16: an unsigned one of Bitbucket");
}

#[tokio::test]
async fn the_login_of_a_source_goes_with_the_run_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "canary-token\n").unwrap();
    let world = World::with(move |settings| {
        settings.sources = vec![Followed { token_file: Some(token), auto_stage: true, pool: "apply".into(), ..followed("platform") }];
    })
    .await;
    let (_, answer) = told(send(&world.gateway, &push(B, &[]), "d1")).await;
    let secrets = secrets_of(&world.store.bus, run_of(&answer)).await.expect("a bundle");
    assert!(matches!(secrets.git_auth, Some(proto::terraform::GitAuth::Token { token }) if token.expose() == "canary-token"));
    let stored = triggers(&world.store.bus).await;
    assert!(stored[0].has_secrets && !serde_json::to_string(&stored[0]).unwrap().contains("canary"));
    let spec = sync_of(&stored[0]);
    assert_eq!((spec.git_auth.as_deref(), stored[0].pool.as_str()), (Some("token"), "apply"));
    assert_eq!(spec.release.as_ref().map(|release| release.kind), Some(proto::sync::ReleaseKind::Staging));
}

#[tokio::test]
async fn w1_a_delivery_may_be_25_mib_long_and_no_longer() {
    let world = world().await;
    let limit = 25 << 20;
    let mut body = push(B, &[]).to_string().into_bytes();
    body.resize(limit, b' ');
    let (status, answer) = told(raw(&world.gateway, body.clone(), "d1")).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
    body.push(b' ');
    let announced = raw(&world.gateway, body.clone(), "d2");
    let chunks: Vec<_> = body.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let chunked = unsigned(&world.gateway, "/hooks/platform", Vec::new(), "d3")
        .header("x-hub-signature-256", mark)
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)));
    for request in [announced, chunked] {
        // A gateway that has answered reads no further, which the client may see as a broken connection.
        if let Ok(answer) = soon(request.send()).await {
            assert_eq!(answer.status(), 413);
            assert_eq!(json(answer).await["code"], json!("body_too_large"));
        }
    }
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
    assert_eq!(records(&world.store).await.len(), 1);
}

#[tokio::test]
async fn w2_w3_w17_w20_w21_what_cannot_be_read_is_refused_and_not_stored() {
    let world = world().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        &b"nonsense"[..],
        b"",
        b"[]",
        b"null",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"{}",
        br#"{"ref":"a","ref":"b"}"#,
        br#"{"a":NaN}"#,
        br#"{"a":1e400}"#,
        br#"{"a":"\ud800"}"#,
        b"{\"a\":\"\xff\"}",
        deep.as_bytes(),
    ] {
        let (status, answer) = told(raw(&world.gateway, body.to_vec(), "d")).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("bad_input")),
            "{}: {answer}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    let mut nul = push(B, &[]);
    nul["ref"] = json!("refs/heads/a\u{0}");
    assert_eq!(told(send(&world.gateway, &nul, "d")).await.0, 400);
    let body = push(B, &[]).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let typed = |kind: &str| {
        let request = world.gateway.bare(Method::POST, "/hooks/platform").header(header::CONTENT_TYPE, kind).body(body.clone());
        request.header("x-github-event", "push").header("x-hub-signature-256", &mark)
    };
    for (request, code) in [
        (typed("application/x-www-form-urlencoded"), "not_json"),
        (typed("text/plain"), "not_json"),
        (typed("application/json").header(header::CONTENT_ENCODING, "gzip"), "content_encoding"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["code"]), (415, &json!(code)), "{answer}");
    }
    assert_eq!((triggers(&world.store.bus).await, records(&world.store).await), (vec![], vec![]));
}

#[tokio::test]
async fn w4_to_w9_w12_what_is_not_signed_is_one_answer_and_leaves_a_bounded_trace() {
    let world = world().await;
    let body = push(B, &[]).to_string().into_bytes();
    let good = hex_mark(SECRET, &body);
    let bare = |path: &str| unsigned(&world.gateway, path, body.clone(), "d1");
    let with = |value: &str| bare("/hooks/platform").header("x-hub-signature-256", value);
    let mut bodies = std::collections::BTreeSet::new();
    for request in [
        bare("/hooks/platform"),
        bare("/webhook"),
        with(""),
        with("garbage"),
        with(&format!("sha256={}", &good[..63])),
        with(&format!("sha256={}", &good[..62])),
        with(&format!("sha256={}", "0".repeat(64))),
        with(&format!("SHA256={good}")),
        with(&format!("sha256= {good}")),
        with(&format!("sha256={}", hex_mark("another-secret-than-the-one-of-the-hook", &body))),
        with(&format!("sha256={}", hex_mark(SECRET, b"{}"))),
        bare("/hooks/platform").header("x-hub-signature", "sha1=33f9d709782f62b8b4a0178586c65ab098a39fe2"),
        // The secret is chosen by the address: this is the other source's form, and nobody's address.
        bare("/hooks/apps").header("x-hub-signature-256", format!("sha256={good}")),
        bare("/hooks/nobody").header("x-hub-signature-256", format!("sha256={good}")).header("x-github-hook-id", "platform"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["error"]), (401, &json!("Invalid signature")), "{answer}");
        bodies.insert(answer.to_string());
    }
    assert_eq!(bodies.len(), 1, "nothing tells one from another");
    for twice in ["x-hub-signature-256", "x-github-delivery", "x-github-event"] {
        let request = with(&format!("sha256={good}")).header(twice, "x");
        assert_eq!(told(request).await.0, 400, "w8: {twice}");
    }
    assert_eq!(told(with(&format!("sha256={}", good.to_uppercase()))).await.0, 202, "w5: digits of either case");
    until(async || records(&world.store).await.iter().any(|(key, _)| key.contains(".refused."))).await;
    let traces: Vec<_> = records(&world.store).await.into_iter().filter(|(key, _)| key.contains(".refused.")).collect();
    assert!(traces.iter().all(|(_, record)| record["verdict"] == "refused" && record["run"].is_null()), "{traces:?}");
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_deliveries_total{source=\"platform\",verdict=\"accepted\"} 1"), "{metrics}");
    let refused = metrics.lines().find(|line| line.starts_with("navvy_deliveries_total{source=\"platform\",verdict=\"refused\"}")).unwrap();
    assert_eq!(refused.rsplit(' ').next(), Some("13"), "12 without a good signature and one with two of them");
}

#[tokio::test]
async fn w10_secrets_are_replaced_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webhook");
    std::fs::write(&path, SECRET).unwrap();
    let at = path.clone();
    let world = World::with(move |settings| {
        settings.sources = vec![Followed { webhook_secret: None, secrets_file: Some(at), ..followed("platform") }];
    })
    .await;
    let new = "the-secret-that-comes-after-the-first-one";
    let signed = |secret: &str, id: &str| {
        let body = push(B, &[]).to_string().into_bytes();
        let mark = format!("sha256={}", hex_mark(secret, &body));
        unsigned(&world.gateway, "/hooks/platform", body, id).header("x-hub-signature-256", mark)
    };
    assert_eq!((told(signed(SECRET, "a1")).await.0, told(signed(new, "b1")).await.0), (202, 401));
    replace(&path, &format!("{new}\n{SECRET}\n"));
    until(async || told(signed(new, "b2")).await.0 == 202).await;
    assert_eq!(told(signed(SECRET, "a2")).await.0, 202);
    replace(&path, new);
    until(async || told(signed(SECRET, "a3")).await.0 == 401).await;
    assert_eq!(told(signed(new, "b3")).await.0, 202);
    let of = |id: &str, kept: &[(String, Value)]| {
        kept.iter().find(|(_, record)| record["forge_id"] == id).map(|(_, record)| record["key_id"].as_str().unwrap().to_owned())
    };
    let kept = records(&world.store).await;
    assert_eq!((of("a1", &kept), of("b2", &kept)), (of("a2", &kept), of("b3", &kept)));
    assert_ne!(of("a1", &kept), of("b2", &kept));
    // What is no good is not used, and said.
    std::fs::write(&path, "half a sec").unwrap();
    until(async || told(world.gateway.get("/health")).await.1["checks"]["source:platform"] == json!(false)).await;
    assert_eq!(told(signed(new, "b4")).await.0, 202);
    replace(&path, new);
    until(async || told(world.gateway.get("/health")).await.1["checks"]["source:platform"] == json!(true)).await;
}

fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, path).unwrap();
}

#[tokio::test]
async fn w11_without_a_source_there_is_no_such_address_and_without_a_secret_no_gateway() {
    let world = World::start().await;
    let body = push(B, &[]).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let (status, answer) = told(unsigned(&world.gateway, "/hooks/platform", body.clone(), "d").header("x-hub-signature-256", &mark)).await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_such_path")));
    let (status, answer) = told(unsigned(&world.gateway, "/webhook", body, "d").header("x-hub-signature-256", &mark)).await;
    assert_eq!((status, &answer["status"]), (401, &json!("error")), "the door of orders, as ever: {answer}");
    let missing = Settings {
        sources: vec![Followed { webhook_secret: None, secrets_file: Some("/nonexistent/webhook".into()), ..followed("platform") }],
        git: service::settings::Git { allowed_hosts: vec!["git.example".into()], ..service::settings::Git::default() },
        ..Settings::default()
    };
    let deps = gateway::GatewayDeps {
        bus: world.store.bus.clone(),
        settings: std::sync::Arc::new(missing),
        metrics: service::metrics::Metrics::new("0", "t"),
        readiness: service::ops::Readiness::new(),
        tasks: service::shutdown::Tasks::new(service::shutdown::Shutdown::new()),
    };
    let refused = gateway::router(&deps, tokio_util::sync::CancellationToken::new()).unwrap_err();
    let told = std::error::Error::source(&refused).and_then(std::error::Error::source).expect("a file").to_string();
    assert!(told.contains("/nonexistent/webhook"), "{told}");
}

#[tokio::test]
async fn w13_a_replay_makes_no_second_run_under_any_id_and_at_any_gateway() {
    let world = world().await;
    let other = world.store.gateway(two_sources).await;
    let body = push(B, &["platform/01.postgres/x"]);
    let (_, first) = told(send(&world.gateway, &body, "d1")).await;
    for gateway in [&world.gateway, &other] {
        let (status, again) = told(send(gateway, &body, "d1")).await;
        assert_eq!((status, &again["status"], &again["run_id"]), (202, &json!("duplicate"), &first["run_id"]), "{again}");
    }
    let (status, fresh) = told(send(&other, &body, "d2")).await;
    assert_eq!((status, &fresh["status"], &fresh["run_id"]), (202, &json!("duplicate"), &first["run_id"]), "{fresh}");
    let run = run_of(&first);
    assert_eq!(triggers(&world.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let verdicts: Vec<_> = records(&world.store).await.into_iter().map(|(_, record)| record["verdict"].clone()).collect();
    assert_eq!(verdicts, ["duplicate", "accepted"]);
}

#[tokio::test]
async fn w13_after_the_inbox_has_forgotten_it_the_run_and_the_record_are_still_known() {
    let (past, world) = (world().await, world().await);
    let body = push(B, &[]);
    let (_, first) = told(send(&past.gateway, &body, "d1")).await;
    let run = run_of(&first);
    let trigger = past.store.bus.inbox().first_trigger(run).await.unwrap().unwrap();
    // Days later: no trigger any more, but the run's view.
    let mut shown = view(run);
    shown.request_digest.clone_from(&trigger.request_digest);
    shown.spec = trigger.spec.clone();
    world.store.bus.views().put(&shown).await.unwrap();
    let (status, again) = told(send(&world.gateway, &body, "another-id")).await;
    assert_eq!((status, &again["status"], run_of(&again)), (202, &json!("duplicate"), run), "{again}");
    // The delivery that made it, whose record was lost with the gateway that should have stored it.
    let (status, again) = told(send(&world.gateway, &body, "d1")).await;
    assert_eq!((status, run_of(&again)), (202, run), "{again}");
    assert_eq!(triggers(&world.store.bus).await, []);
    // And with the record alone, when the run has aged out too.
    let (key, record) = records(&past.store).await.remove(0);
    let later = crate::hooks::world().await;
    later.store.bus.deliveries().create(&key, &record).await.unwrap();
    let (status, again) = told(send(&later.gateway, &body, "d1")).await;
    assert_eq!((status, &again["status"], run_of(&again)), (202, &json!("duplicate"), run), "{again}");
    assert_eq!(triggers(&later.store.bus).await, []);
}

#[tokio::test]
async fn w14_one_id_with_two_bodies_is_two_records_and_an_alarm() {
    let world = world().await;
    let (_, one) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    let (status, two) = told(send(&world.gateway, &push(B, &[]), "d1")).await;
    assert_eq!((status, &two["status"]), (202, &json!("accepted")));
    assert_ne!(one["run_id"], two["run_id"]);
    let kept = records(&world.store).await;
    assert_eq!(kept.iter().map(|(_, record)| &record["id_reused"]).collect::<Vec<_>>(), [&json!(true), &json!(false)]);
    let (_, again) = told(send(&world.gateway, &push(A, &[]), "d1")).await;
    assert_eq!((&again["status"], &again["run_id"]), (&json!("duplicate"), &one["run_id"]));
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_delivery_id_reuse_total 1"), "{metrics}");
}

#[tokio::test]
async fn twins_of_a_delivery_at_two_gateways_make_one_run() {
    let world = world().await;
    let other = world.store.gateway(two_sources).await;
    let body = push(B, &[]);
    let twins = (0..12).map(|n| told(send(if n % 2 == 0 { &world.gateway } else { &other }, &body, &format!("d{}", n % 3))));
    let answers = futures_util::future::join_all(twins).await;
    assert!(answers.iter().all(|(status, answer)| *status == 202 && answer["run_id"] == answers[0].1["run_id"]), "{answers:?}");
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
    let kept = records(&world.store).await;
    assert_eq!(kept.len(), 3);
    assert_eq!(kept.iter().filter(|(_, record)| record["verdict"] == "accepted").count(), 1, "{kept:?}");
}

#[tokio::test]
async fn w30_a_store_that_is_away_is_503_and_the_redelivery_heals_it() {
    let mut world = world().await;
    let body = push(B, &[]);
    world.store.kill().await;
    let refused = soon(send(&world.gateway, &body, "d1").send()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    world.store.start_again().await;
    until(async || told(send(&world.gateway, &body, "d1")).await.0 == 202).await;
    assert_eq!((triggers(&world.store.bus).await.len(), records(&world.store).await.len()), (1, 1));
}

#[tokio::test]
async fn w30_a_record_that_cannot_be_stored_is_503_and_the_redelivery_makes_no_second_run() {
    let world = world().await;
    let body = push(B, &[]);
    let source: SourceId = "platform".parse().unwrap();
    world.store.forbid("$KV.DELIVERIES.*.*.*").await;
    let (status, _) = told(send(&world.gateway, &body, "d1")).await;
    assert!(status >= 500, "{status}");
    let stored = triggers(&world.store.bus).await;
    assert_eq!(stored.len(), 1, "the run is there");
    // Another gateway, whose user may.
    let may = world.store.gateway_over(world.store.bus.clone(), two_sources).await;
    let (status, answer) = told(send(&may, &body, "d1")).await;
    assert_eq!((status, &answer["status"], run_of(&answer)), (202, &json!("accepted"), stored[0].run), "{answer}");
    assert_eq!(triggers(&world.store.bus).await.len(), 0, "and no other");
    let kept = world.store.bus.deliveries().before::<Value>(Some(&source), None, 9, |_| true).await.unwrap().found;
    assert_eq!(kept.iter().map(|stored| stored.record["verdict"].as_str().unwrap()).collect::<Vec<_>>(), ["accepted"]);
}
