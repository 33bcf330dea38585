//! Releases: what a request becomes, how they are listed, and the page that GitHub gets.

use crate::{
    admission::triggers,
    forge::{self, Hub},
    harness::{Store, World, soon, told, until},
    scheduler::{at, publish_key, run_id, show, view},
};
use jiff::{SignedDuration, Timestamp};
use proto::{
    RunId,
    message::RunSpec,
    subject,
    sync::{Release, ReleaseKind, SyncWanted},
    view::{RunStatus, RunView, SyncsView},
};
use serde_json::{Value, json};
use service::settings::{Followed, Secret, Settings};

fn followed(settings: &mut Settings) {
    settings.sources = vec![Followed {
        id: "platform".into(),
        repository: "https://git.example/acme/infra.git".into(),
        webhook_secret: Some(Secret::new("the-secret-of-the-webhook-of-these-tests")),
        ..Followed::default()
    }];
}

#[tokio::test]
async fn a_release_becomes_a_run_of_syncs_and_its_repeat_is_the_same() {
    let world = World::with(followed).await;
    let promote = json!({"kind": "production", "from": "v1.2.4", "confirm": "deploy", "triggered_by": "ann \"; rm"});
    let post = || world.gateway.post("/v1/releases").header("idempotency-key", "k1").json(&promote);
    let (status, answer) = told(post()).await;
    assert_eq!(status, 202, "{answer}");
    let run: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
    let expected = json!({"run_id": run, "kind": "production", "environment": "production", "ref": "refs/tags/v1.2.4",
                          "status_url": format!("/v1/runs/{run}")});
    assert_eq!(answer, expected);
    let again = soon(post().send()).await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["idempotency-replayed"].to_str().unwrap()), (202, "true"));
    let (status, answer) = told(world.gateway.post("/v1/releases").header("idempotency-key", "k1").json(&json!({"kind": "staging"}))).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("idempotency_key_reused")));
    let stored = triggers(&world.store.bus).await;
    let [trigger] = stored.as_slice() else { panic!("{stored:?}") };
    let RunSpec::Sync(spec) = &trigger.spec else { panic!("{trigger:?}") };
    assert_eq!((spec.environment.as_str(), spec.git_ref.as_str(), &spec.wanted), ("production", "refs/tags/v1.2.4", &SyncWanted::All));
    let order = spec.release.as_ref().unwrap();
    assert_eq!((order.kind, order.from.as_ref().unwrap().as_str(), order.strict), (ReleaseKind::Production, "refs/tags/v1.2.4", false));
    assert_eq!((spec.triggered_by.as_str(), trigger.by.as_str()), ("ann \"; rm", "admin"));
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_stored() {
    let world = World::with(followed).await;
    for (request, field) in [
        (json!({"kind": "production", "from": "v1.2.4"}), "confirm"),
        (json!({"kind": "production", "from": "1.2.4", "confirm": "deploy"}), "from"),
        (json!({"kind": "hotfix", "from": "v1.2.0", "confirm": "deploy"}), "ref"),
        (json!({"kind": "staging", "source": "other"}), "source"),
        (json!({"kind": "staging", "services": ["bootstrap/vault"]}), "services[0]"),
        (json!({"kind": "x"}), "kind"),
        (json!({"kind": "staging", "tag": "v1"}), "tag"),
    ] {
        let (status, answer) = told(world.gateway.post("/v1/releases").json(&request)).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{request}: {answer}");
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    let without = World::start().await;
    let (status, answer) = told(without.gateway.post("/v1/releases").json(&json!({"kind": "staging"}))).await;
    assert_eq!((status, answer["code"].as_str()), (404, Some("no_source")));
}

fn made(name: &str, kind: ReleaseKind, tag: &str) -> RunView {
    let spec = json!({
        "action": "sync", "source": "platform", "git_url": "https://git.example/acme/infra.git", "environment": "production",
        "git_ref": "refs/tags/v1.2.4", "wanted": {"services": "all"}, "command": ["true"], "timeout_s": 600, "projects": ["platform"],
        "triggered_by": "ann", "release": {"kind": kind, "from": "refs/tags/v1.2.4"},
    });
    let release = Release {
        kind,
        tag: tag.to_owned(),
        commit: "a".repeat(40).parse().unwrap(),
        from: Some("v1.2.4".parse().unwrap()),
        existed: false,
        why: "because".into(),
    };
    let syncs = SyncsView { release: Some(release), ..SyncsView::default() };
    RunView { spec: serde_json::from_value(spec).unwrap(), syncs: Some(syncs), ..view(run_id(name)) }
}

#[tokio::test]
async fn releases_are_listed_with_what_became_of_them() {
    let world = World::with(followed).await;
    for (n, (name, kind, tag)) in [("a", ReleaseKind::Production, "v1.3.0"), ("b", ReleaseKind::Hotfix, "v1.3.1")].into_iter().enumerate() {
        show(&world.store.bus, &mut made(name, kind, tag), |view| view.accepted_at = at(n as i64)).await;
    }
    show(&world.store.bus, &mut view(run_id("probe")), |_| {}).await;
    let list = async |query: &str| told(world.gateway.get(&format!("/v1/releases{query}"))).await;
    until(async || list("").await.1["releases"].as_array().is_some_and(|all| all.len() == 2)).await;
    let (_, answer) = list("").await;
    assert_eq!((&answer["releases"][0]["tag"], &answer["releases"][1]["tag"]), (&json!("v1.3.1"), &json!("v1.3.0")));
    let shown = &answer["releases"][1];
    assert_eq!((&shown["kind"], &shown["from"], &shown["status"]), (&json!("production"), &json!("refs/tags/v1.2.4"), &json!("running")));
    assert_eq!((&shown["commit"], &shown["triggered_by"], &shown["why"]), (&json!("a".repeat(40)), &json!("ann"), &json!("because")));
    let (_, one) = list("?limit=1").await;
    let cursor = one["next_cursor"].as_str().unwrap();
    assert_eq!(list(&format!("?limit=1&cursor={cursor}")).await.1["releases"][0]["tag"], "v1.3.0");
    assert_eq!(list("?kind=hotfix").await.1["releases"].as_array().unwrap().len(), 1);
    assert_eq!(list("?environment=staging").await.1["releases"], json!([]));
    assert_eq!((list("?kind=x").await.0, list("?limit=0").await.0, list("?tag=x").await.0), (400, 400, 400));
}

async fn ended(store: &Store, view: &mut RunView, status: RunStatus) {
    show(&store.bus, view, |view| (view.status, view.ended_at) = (status, Some(Timestamp::now()))).await;
}

/// What NOTICES say about the page of a run's release.
async fn notice(store: &Store, run: RunId) -> Value {
    store.bus.notices().get::<Value>(&subject::published_key(run)).await.unwrap().value
}

/// Two gateways, an outage, an answer that is lost on its way: one page.
#[tokio::test]
async fn a_release_that_was_deployed_has_one_page_at_github() {
    let hub = Hub::start(&[]);
    // The first POST is done and never answered.
    hub.faults(json!([{"kind": "outage", "method": "GET"}, {"kind": "lost", "method": "POST"}])).await;
    let store = Store::start().await;
    publish_key(&store.bus).await;
    let url = hub.url.clone();
    let change = move |settings: &mut Settings| {
        followed(settings);
        settings.gateway.github.api_url = url.clone();
        settings.gateway.github.token = Some(Secret::new(forge::TOKEN));
        settings.gateway.public_url = Some("https://navvy.example/".into());
    };
    let _one = store.gateway(change.clone()).await;
    let _two = store.gateway(change).await;
    let mut promoted = made("promoted", ReleaseKind::Production, "v1.3.0");
    // Nothing is told before the end, nor of a failure, of staging, or of what was over long ago.
    show(&store.bus, &mut promoted, |_| {}).await;
    ended(&store, &mut made("failed", ReleaseKind::Production, "v1.4.0"), RunStatus::Failed).await;
    ended(&store, &mut made("staged", ReleaseKind::Staging, "v1.2.5"), RunStatus::Success).await;
    let mut old = made("old", ReleaseKind::Production, "v1.1.0");
    let long_ago = Timestamp::now() - SignedDuration::from_hours(25);
    show(&store.bus, &mut old, |view| (view.status, view.ended_at) = (RunStatus::Success, Some(long_ago))).await;
    ended(&store, &mut promoted, RunStatus::Success).await;
    until(async || notice(&store, promoted.id).await["over"] == json!(true)).await;
    let pages = hub.releases().await;
    let [page] = pages.as_slice() else { panic!("{pages:?}") };
    assert_eq!((&page["repo"], &page["tag_name"], &page["name"]), (&json!("acme/infra"), &json!("v1.3.0"), &json!("Platform v1.3.0")));
    assert_eq!((&page["draft"], &page["prerelease"]), (&json!(false), &json!(false)));
    let run = promoted.id;
    let body =
        format!("Production release promoted from staging tag: v1.2.4\n\nDeployed by: ann\n\nRun: https://navvy.example/v1/runs/{run}\n");
    assert_eq!(page["body"], json!(body));
    // The same commit promoted again: another run, and the page that is there.
    let mut again = made("again", ReleaseKind::Production, "v1.3.0");
    ended(&store, &mut again, RunStatus::Success).await;
    until(async || notice(&store, again.id).await["over"] == json!(true)).await;
    assert_eq!(hub.releases().await.len(), 1);
    let posts = hub.asked().await.into_iter().filter(|asked| asked.starts_with("POST")).count();
    assert_eq!(posts, 1, "what was done without an answer is found");
}
