//! Webhooks over a real store: what makes a run, what does not, and that each does so once. Tests that begin with `w` and a number
//! are rows of the table of hostile inputs.

use crate::{
    admission::triggers,
    harness::{Gateway, Store, World, told},
    scheduler::secrets_of,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::LocalBoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::{
    RunId,
    message::{RunSpec, Trigger},
    sync::{SourceState, SyncSpec, SyncWanted},
};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use service::settings::{Followed, ForgeKind, Secret, Settings};
use sha2::Sha256;

pub(crate) const SECRET: &str = "the-secret-of-the-webhook-of-these-tests";
pub(crate) const A: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
pub(crate) const B: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

pub(crate) fn followed(id: &str) -> Followed {
    Followed {
        id: id.into(),
        repository: "https://git.example/acme/infra.git".into(),
        webhook_secret: Some(Secret::new(SECRET)),
        ..Followed::default()
    }
}

pub(crate) fn two_sources(settings: &mut Settings) {
    let gitlab = Followed { kind: ForgeKind::Gitlab, branch: "main".into(), environment: Some("prod".into()), ..followed("apps") };
    settings.sources = vec![followed("platform"), gitlab];
}

pub(crate) fn world() -> LocalBoxFuture<'static, World> {
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
pub(crate) fn unsigned(gateway: &Gateway, path: &str, body: Vec<u8>, id: &str) -> RequestBuilder {
    let request = gateway.bare(Method::POST, path).header(header::CONTENT_TYPE, "application/json").body(body);
    request.header("x-github-event", "push").header("x-github-delivery", id)
}

pub(crate) fn send(gateway: &Gateway, body: &Value, id: &str) -> RequestBuilder {
    raw(gateway, body.to_string().into_bytes(), id)
}

pub(crate) fn raw(gateway: &Gateway, body: Vec<u8>, id: &str) -> RequestBuilder {
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    unsigned(gateway, "/hooks/platform", body, id).header("x-hub-signature-256", mark)
}

pub(crate) fn run_of(answer: &Value) -> RunId {
    answer["run_id"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

fn sync_of(trigger: &Trigger) -> &SyncSpec {
    let RunSpec::Sync(spec) = &trigger.spec else { panic!("{trigger:?}") };
    spec
}

/// The records of deliveries, newest first.
pub(crate) async fn records(store: &Store) -> Vec<(String, Value)> {
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
    let secrets = secrets_of(&world.store.bus, trigger.run).await;
    assert!(secrets.is_none() && spec.git_auth.is_none(), "without a login nothing is secret, and nothing is stored");
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
