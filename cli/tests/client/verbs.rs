//! What the client verbs ask of the gateway and what they print, on the real binary.

use crate::fake::{Answer, Gateway, RUN, code, navvy, stderr, stdout};
use serde_json::{Value, json};

fn accepted() -> Answer {
    Answer::json(202, &json!({"deployment_id": RUN, "status": "running", "message": "Deployment started"}))
}

const DEPLOY: [&str; 7] = ["deploy", "--git-url", "https://git.example/a", "--git-ref", "main", "--tool", "tofu"];

#[tokio::test]
async fn deploy_prints_the_id_and_sends_what_was_asked() {
    let gateway = Gateway::start(vec![accepted()]).await;
    let extra = ["--secret-env", "TF_VAR_pw", "--env", "TF_VAR_a=1", "--idempotency-key", "k1"];
    let output = gateway.command(&[&DEPLOY[..], &extra].concat()).env("TF_VAR_pw", "canary").output().await.unwrap();
    assert_eq!((code(&output), stdout(&output)), (0, format!("{RUN}\n")));
    assert!(stderr(&output).contains("--env can be seen") && !stderr(&output).contains("canary"), "{}", stderr(&output));
    let asked = &gateway.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/deploy"));
    assert_eq!(
        (&asked.headers["authorization"], &asked.headers["idempotency-key"]),
        (&"Bearer t0ken".parse().unwrap(), &"k1".parse().unwrap())
    );
    let body = json!({"tool": "tofu", "git_url": "https://git.example/a", "git_ref": "main", "env_vars": {"TF_VAR_a": "1", "TF_VAR_pw": "canary"}});
    assert_eq!(asked.body, body);
}

#[tokio::test]
async fn deploy_as_json_prints_the_answer_alone() {
    let gateway = Gateway::start(vec![accepted()]).await;
    let output = gateway.navvy(&[&DEPLOY[..], &["--json"]].concat()).await;
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((printed["deployment_id"].as_str(), stderr(&output).as_str()), (Some(RUN), ""));
}

#[tokio::test]
async fn a_deploy_is_repeated_with_one_key_when_the_answer_is_lost() {
    let gateway = Gateway::start(vec![Answer::error(503, "unavailable"), accepted()]).await;
    let output = gateway.navvy(&DEPLOY).await;
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let asked = gateway.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
}

#[tokio::test]
async fn decisions_go_to_their_run() {
    let digest = "ab".repeat(32);
    let cases: [(&[&str], &str, Value); 6] = [
        (&["approve", RUN], "approve", json!({})),
        (&["approve", RUN, "--plan-sha256", &digest], "approve", json!({"plan_sha256": digest})),
        (&["reject", RUN], "reject", json!({})),
        (&["cancel", RUN], "cancel", json!({"force": false})),
        (&["cancel", "--force", RUN], "cancel", json!({"force": true})),
        (&["run", "resolve", RUN, "--as", "failed", "--reason", "looked"], "resolve", json!({"as": "failed", "reason": "looked"})),
    ];
    for (arguments, verb, body) in cases {
        let gateway = Gateway::start(vec![Answer::json(200, &json!({"message": "Deployment approved"}))]).await;
        let output = gateway.navvy(arguments).await;
        assert_eq!((code(&output), stdout(&output).as_str()), (0, "Deployment approved\n"), "{arguments:?}");
        let asked = &gateway.asked()[0];
        assert_eq!((asked.path.clone(), asked.body.clone()), (format!("/v1/runs/{RUN}/{verb}"), body));
    }
}

#[tokio::test]
async fn lists_pass_filters_on_and_json_through() {
    let list = json!({"runs": [], "next_cursor": "abc", "something_new": 1});
    let gateway = Gateway::start(vec![Answer::json(200, &list)]).await;
    let filters = ["--status", "awaiting_approval", "--repo", "https://git.example/a b", "--by", "ann", "--limit", "7"];
    let output = gateway.navvy(&[&["runs"], &filters[..]].concat()).await;
    assert_eq!(stdout(&output), "no runs\n");
    assert!(stderr(&output).contains("--cursor abc"));
    let path = "/v1/runs?status=awaiting_approval&repo=https%3A%2F%2Fgit.example%2Fa+b&by=ann&limit=7";
    assert_eq!(gateway.asked()[0].path, path);
    let output = gateway.navvy(&["runs", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), list);
}

#[tokio::test]
async fn keys_are_created_shown_once_and_revoked() {
    let key = json!({"id": "k1", "key": "nvk_k1_canary", "name": "ci", "scopes": ["read"], "created_at": "2026-11-21T03:50:00Z", "expires_at": null});
    let gateway = Gateway::start(vec![Answer::json(201, &key)]).await;
    let output = gateway.navvy(&["keys", "create", "ci", "--scope", "read", "--scope", "deploy", "--expires-in-days", "9"]).await;
    assert_eq!(stdout(&output), "nvk_k1_canary\n");
    assert!(!stderr(&output).contains("canary"));
    assert_eq!(gateway.asked()[0].body, json!({"name": "ci", "scopes": ["read", "deploy"], "expires_in_days": 9}));

    let gateway = Gateway::start(vec![Answer::json(204, &Value::Null)]).await;
    assert_eq!(stdout(&gateway.navvy(&["keys", "revoke", "k1"]).await), "revoked k1\n");
    assert_eq!(gateway.asked()[0].path, "/v1/keys/k1");
    assert_eq!(code(&gateway.navvy(&["keys", "revoke", "../runs"]).await), 64);
    assert_eq!(gateway.asked().len(), 1);
}

#[tokio::test]
async fn verbs_that_need_no_gateway_work_without_one() {
    let output = navvy(&["completions", "bash"]).output().await.unwrap();
    assert!(code(&output) == 0 && stdout(&output).contains("_navvy"));
    let output = navvy(&["config", "check"]).env("NAVVY__WORKER__SLOTS", "7").output().await.unwrap();
    let row = stdout(&output).lines().find(|line| line.starts_with("worker.slots")).unwrap_or_default().to_owned();
    assert!(code(&output) == 0 && row.contains('7') && row.contains("environment NAVVY__WORKER__SLOTS"), "{row}");
    let output =
        navvy(&["config", "check"]).env("NAVVY__GATEWAY__ADMIN_TOKEN", "canary-canary-canary-canary-canary").output().await.unwrap();
    assert!(stdout(&output).contains("***") && !stdout(&output).contains("canary"));
    let output = navvy(&["completions", "fish", "--json"]).output().await.unwrap();
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["shell"], "fish");
    assert!(printed["script"].as_str().is_some_and(|script| script.contains("complete -c navvy")), "{printed}");
}

#[tokio::test]
async fn a_refused_configuration_is_78_with_every_problem() {
    let mut command = navvy(&["config", "check"]);
    let output = command.env("NAVVY__WORKER__SLOT", "7").env("NAVVY__GATEWAY__LISTEN", "nowhere").output().await.unwrap();
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("NAVVY__WORKER__SLOT") && stderr(&output).contains("gateway.listen"), "{}", stderr(&output));
    let output = navvy(&["config", "check", "--json"]).env("NAVVY__WORKER__SLOT", "7").output().await.unwrap();
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((code(&output), told["valid"].as_bool()), (78, Some(false)));
}

/// Without a gateway and without a key.
#[tokio::test]
async fn a_mapping_is_checked_where_it_lies() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/gitops-hello");
    let output = crate::fake::navvy(&["mapping", "check", example, "--json"]).output().await.unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&told["valid"], &told["services"][0]["after"][0]), (&json!(true), &json!("platform/postgres")));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("navvy.yaml"), "version: 3\n").unwrap();
    let path = dir.path().join("navvy.yaml");
    let output = crate::fake::navvy(&["mapping", "check", path.to_str().unwrap(), "--json"]).output().await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((code(&output), &told["valid"], &told["problems"][0]["line"]), (64, &json!(false), &json!(1)));
}
