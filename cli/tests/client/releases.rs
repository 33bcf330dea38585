//! The verbs about releases, on the real binary: what is sent, what is told, how it ends.

use crate::fake::{Answer, Gateway, RUN, code, stderr, stdout};
use serde_json::{Value, json};

fn accepted() -> Answer {
    Answer::json(202, &json!({"run_id": RUN, "kind": "production", "environment": "production", "ref": "x", "status_url": "x"}))
}

fn run(status: &str, more: &Value) -> Answer {
    let spec = json!({"action": "sync", "source": "platform", "git_url": "https://git.example/a/b", "environment": "production",
                      "git_ref": "refs/tags/v1.2.4", "wanted": {"services": "all"}, "command": ["true"], "timeout_s": 600,
                      "projects": ["platform"], "triggered_by": "ann", "release": {"kind": "production", "from": "refs/tags/v1.2.4"}});
    let mut body = json!({"id": RUN, "status": status, "phase": "sync", "by": "admin", "accepted_at": "2026-11-21T03:50:00Z", "jobs": [],
                          "spec": spec});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Answer::json(200, &body)
}

#[tokio::test]
async fn each_kind_sends_what_was_given_and_nothing_else() {
    for (arguments, body) in [
        (&["stage"][..], json!({"kind": "staging"})),
        (
            &["promote", "v1.2.4", "--confirm", "deploy", "--strict"][..],
            json!({"kind": "production", "from": "v1.2.4", "confirm": "deploy", "strict": true}),
        ),
        (&["promote", "v1.2.4"][..], json!({"kind": "production", "from": "v1.2.4"})),
        (
            &["hotfix", "--from", "v1.3.0", "--ref", "mend", "--confirm", "deploy", "--force"][..],
            json!({"kind": "hotfix", "from": "v1.3.0", "ref": "mend", "confirm": "deploy", "force": true}),
        ),
        (
            &["rollback", "v1.2.0", "--environment", "staging", "--source", "s", "--service", "p/a", "--service", "p/b"][..],
            json!({"kind": "rollback", "from": "v1.2.0", "environment": "staging", "source": "s", "services": ["p/a", "p/b"]}),
        ),
    ] {
        let gateway = Gateway::start(vec![accepted()]).await;
        let output = gateway.navvy(&[&["release"][..], arguments, &["--idempotency-key", "k"]].concat()).await;
        assert_eq!((code(&output), stdout(&output)), (0, format!("{RUN}\n")), "{}", stderr(&output));
        let asked = &gateway.asked()[0];
        assert_eq!((asked.path.as_str(), &asked.body), ("/v1/releases", &body), "{arguments:?}");
        assert_eq!(asked.headers["idempotency-key"], "k");
    }
}

#[tokio::test]
async fn a_release_is_watched_to_its_end() {
    let release =
        json!({"syncs": {"release": {"kind": "production", "tag": "v1.3.0", "commit": "a".repeat(40), "why": "the minor after"}}});
    let sync = json!({"service": "platform/redis", "task": "redis.sync", "reasons": [], "action": "updated", "details": "changed"});
    let job = json!({"n": 2, "name": "redis", "action": "sync", "status": "succeeded", "needs": [], "attempts": [], "sync": sync});
    let mut over = release.clone();
    over["jobs"] = json!([job]);
    let answers = || vec![accepted(), run("running", &json!({})), run("running", &release), run("success", &over)];
    let promote = ["release", "promote", "v1.2.4", "--confirm", "deploy", "--watch"];
    let output = Gateway::start(answers()).await.navvy(&promote).await;
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{RUN}\nv1.3.0: the minor after\nplatform/redis  updated  changed\n"));
    let output = Gateway::start(answers()).await.navvy(&[&promote[..], &["--json"]].concat()).await;
    let events: Vec<Value> = stdout(&output).lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["release", "service", "end"]);
    let failed = Gateway::start(vec![accepted(), run("failed", &json!({}))]).await;
    assert_eq!(code(&failed.navvy(&["release", "stage", "--wait"]).await), 1);
}

#[tokio::test]
async fn releases_are_listed_and_a_refusal_is_told() {
    let gateway = Gateway::start(vec![Answer::json(200, &json!({"releases": [], "next_cursor": null}))]).await;
    let output = gateway.navvy(&["release", "list", "--kind", "hotfix", "--environment", "production", "--limit", "5"]).await;
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "no releases\n"));
    assert_eq!(gateway.asked()[0].path, "/v1/releases?kind=hotfix&environment=production&limit=5");
    let refusing = Gateway::start(vec![Answer::error(400, "bad_input")]).await;
    assert_eq!(code(&refusing.navvy(&["release", "promote", "v1.2.4"]).await), 64);
}
