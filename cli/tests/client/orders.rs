//! The verbs about orders, on the real binary: what is sent, what is told, how it ends.

use std::io::Write as _;
use std::process::Stdio;

use crate::fake::{Answer, Gateway, RUN, code, navvy, stderr, stdout};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/orders-hello/job.json");

fn accepted() -> Answer {
    Answer::json(202, &json!({"run_id": RUN, "trace_id": "leg-0001", "flow_id": "ann:leg-0001-exec", "orders": 2}))
}

fn file(job: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(job.to_string().as_bytes()).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

fn job() -> Value {
    json!({"username": "ann", "orders": [
        {"order_name": "vpc", "cmds": ["echo canary"], "timeout": 60},
        {"order_name": "rds", "cmds": ["true"], "timeout": 60, "dependencies": ["vpc"]}
    ]})
}

fn run(status: &str, counts: &[(&str, u32)]) -> Answer {
    let mut orders = json!({"total": 2, "blocked": 0, "ready": 0, "queued": 0, "running": 0, "unknown": 0, "succeeded": 0,
                            "failed": 0, "timed_out": 0, "cancelled": 0});
    for (name, count) in counts {
        orders[name] = json!(count);
    }
    let spec = json!({"action": "orders", "trace_id": "leg-0001", "username": "ann", "flow_label": "exec", "search_tag": "t",
                      "job_timeout_s": 3600, "max_parallel": 10, "priority": 5, "graph": ""});
    Answer::json(
        200,
        &json!({"id": RUN, "status": status, "phase": "orders", "by": "admin", "accepted_at": "2026-11-21T03:50:00Z", "jobs": [],
                "spec": spec, "orders": orders}),
    )
}

fn order(n: u32, name: &str, status: &str, needs: &[u32]) -> Value {
    json!({"n": n, "name": name, "action": "shell", "status": status, "needs": needs, "attempts": []})
}

fn part(jobs: &[Value], next_from: Option<u32>) -> Answer {
    Answer::json(200, &json!({"jobs": jobs, "next_from": next_from}))
}

#[tokio::test]
async fn a_job_is_sent_as_it_is_and_its_run_id_is_the_key() {
    let given = file(&job());
    let gateway = Gateway::start(vec![accepted()]).await;
    let output = gateway.navvy(&["orders", "submit", path(&given), "--idempotency-key", "k1"]).await;
    assert_eq!((code(&output), stdout(&output)), (0, format!("{RUN}\n")), "{}", stderr(&output));
    let asked = &gateway.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str(), &asked.body), ("POST", "/v1/orders", &job()));
    assert_eq!(asked.headers["idempotency-key"], "k1");
    assert_eq!(asked.headers["content-type"], "application/json");

    let mut with_id = job();
    with_id["run_id"] = json!(RUN.to_uppercase());
    let mut child = gateway.command(&["orders", "submit", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(with_id.to_string().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((printed["flow_id"].as_str(), stderr(&output).as_str()), (Some("ann:leg-0001-exec"), ""));
    let asked = &gateway.asked()[1];
    assert_eq!((&asked.body, asked.headers["idempotency-key"].to_str().unwrap()), (&with_id, RUN));
}

#[tokio::test]
async fn an_envelope_is_opened_before_it_is_sent() {
    let envelope = file(&json!({"job_parameters_b64": "eyJ1c2VybmFtZSI6ImFubiIsIm9yZGVycyI6W119", "trace_id": "leg-0001"}));
    let gateway = Gateway::start(vec![accepted()]).await;
    assert_eq!(code(&gateway.navvy(&["orders", "submit", path(&envelope)]).await), 0);
    assert_eq!(gateway.asked()[0].body, json!({"username": "ann", "orders": [], "trace_id": "leg-0001"}));
}

#[tokio::test]
async fn every_problem_of_a_refused_job_has_a_line() {
    let errors =
        json!([{"field": "orders[0].cmds", "message": "vpc: cmds is empty"}, {"field": "username", "message": "username is missing"}]);
    let body = json!({"error": "vpc: cmds is empty", "code": "bad_input", "field": "orders[0].cmds", "status": null, "errors": errors});
    let gateway = Gateway::start(vec![Answer::json(400, &body)]).await;
    let given = file(&job());
    let output = gateway.navvy(&["orders", "submit", path(&given), "--watch"]).await;
    assert_eq!((code(&output), stdout(&output).as_str()), (64, ""));
    let told = stderr(&output);
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines.contains(&"orders[0].cmds: vpc: cmds is empty") && lines.contains(&"username: username is missing"), "{told}");
    let output = gateway.navvy(&["orders", "submit", path(&given), "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&stderr(&output)).unwrap()["problems"], errors);
}

#[tokio::test]
async fn watching_tells_what_moves_and_exits_by_the_result() {
    let given = file(&job());
    let before = [order(0, "vpc", "running", &[]), order(1, "rds", "blocked", &[0])];
    let mut failed = order(1, "rds", "failed", &[0]);
    failed["failure"] = json!({"kind": "exit_code", "phase": "run", "message": "exit code 3", "next_action": ""});
    let gateway = Gateway::start(vec![
        accepted(),
        run("running", &[("running", 1), ("blocked", 1)]),
        part(&before[..1], Some(1)),
        part(&before[1..], None),
        // Nothing moved: the jobs are not asked for.
        run("running", &[("running", 1), ("blocked", 1)]),
        run("running", &[("succeeded", 1), ("running", 1)]),
        part(&[order(0, "vpc", "succeeded", &[]), order(1, "rds", "queued", &[0])], None),
        run("failed", &[("succeeded", 1), ("failed", 1)]),
        // The page is behind the run.
        part(&[order(1, "rds", "running", &[0])], None),
        part(&[failed], None),
    ])
    .await;
    let output = gateway.navvy(&["orders", "submit", path(&given), "--watch"]).await;
    let expected = "0001  vpc  running\n0001  vpc  succeeded\n0002  rds  running\n0002  rds  failed: exit code 3\n";
    assert_eq!((code(&output), stdout(&output)), (1, format!("{RUN}\n{expected}")), "{}", stderr(&output));
    assert!(stderr(&output).contains("failed") && stderr(&output).contains("1 failed, 1 succeeded"), "{}", stderr(&output));
    let parts: Vec<String> =
        gateway.asked().iter().filter_map(|asked| asked.path.split_once("/jobs").map(|(_, rest)| rest.to_owned())).collect();
    assert_eq!(parts, ["", "?from=1&limit=200", "", "?from=1&limit=200", "?from=1&limit=200"]);
}

#[tokio::test]
async fn watching_as_json_is_one_object_a_line() {
    let given = file(&job());
    let done = [order(0, "vpc", "succeeded", &[]), order(1, "rds", "succeeded", &[0])];
    let gateway = Gateway::start(vec![accepted(), run("success", &[("succeeded", 2)]), part(&done, None)]).await;
    let output = gateway.navvy(&["orders", "submit", path(&given), "--watch", "--json"]).await;
    let told: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code(&output), told.len(), stderr(&output).as_str()), (0, 4, ""));
    assert_eq!(told[2], json!({"event": "order", "n": 1, "order_num": "0002", "name": "rds", "status": "succeeded", "failure": null}));
    assert_eq!((&told[3]["event"], &told[3]["status"], &told[3]["orders"]["succeeded"]), (&json!("end"), &json!("success"), &json!(2)));
}

#[tokio::test]
async fn a_gateway_that_shows_no_jobs_can_be_watched_too() {
    let given = file(&job());
    let none = || Answer::json(200, &json!({"jobs": []}));
    let gateway =
        Gateway::start(vec![accepted(), run("running", &[("ready", 2)]), none(), run("success", &[("succeeded", 2)]), none()]).await;
    let output = gateway.navvy(&["orders", "submit", path(&given), "--watch"]).await;
    assert_eq!((code(&output), stdout(&output)), (0, format!("{RUN}\n")), "{}", stderr(&output));
    let gateway = Gateway::start(vec![accepted(), run("running", &[("ready", 2)]), none(), run("running", &[("ready", 2)])]).await;
    let output = gateway.navvy(&["orders", "submit", path(&given), "--watch", "--wait-timeout", "1s"]).await;
    assert_eq!(code(&output), 75, "{}", stderr(&output));
}

#[tokio::test]
async fn the_example_is_valid_and_no_key_is_needed_to_know() {
    let output = navvy(&["orders", "validate", EXAMPLE]).env("NAVVY_TOKEN", "not\na key").output().await.unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let told = stdout(&output);
    assert!(told.contains("vpc -> rds -> migrations") && told.contains("3, 1 of them optional"), "{told}");
    assert!(stderr(&output).contains("pools default"), "{}", stderr(&output));
    let output = navvy(&["orders", "validate", EXAMPLE, "--json"]).output().await.unwrap();
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let summary = json!({"orders": 3, "optional": 1, "dependencies": 2, "levels": 3, "widest_level": 1, "pools": {"default": 3},
                         "longest_chain": ["vpc", "rds", "migrations"], "max_parallel": 10, "job_timeout_seconds": 300});
    assert_eq!((&told["valid"], &told["summary"], &told["assumed"]["pools"]), (&json!(true), &summary, &json!(["default"])));
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_without_a_gateway() {
    let mut wrong = job();
    wrong["orders"][0]["execution_target"] = json!("gpu");
    wrong["orders"][1]["timeout"] = json!("canary");
    wrong["orders"][1]["git_repo"] = json!("https://git.example/acme/infra.git");
    wrong["git_token_location"] = json!("aws:::ssm:/ci/token");
    let wrong = file(&wrong);
    let output = navvy(&["orders", "validate", path(&wrong)]).output().await.unwrap();
    assert_eq!((code(&output), stdout(&output).as_str()), (64, ""));
    let told = stderr(&output);
    for field in ["orders[0].execution_target: ", "orders[1].timeout: ", "orders[1].git_repo: "] {
        assert_eq!(told.lines().filter(|line| line.trim().starts_with(field)).count(), 1, "{field} in {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    let known = ["orders", "validate", path(&wrong), "--pool", "gpu", "--allow-git-host", "git.example", "--json"];
    let output = navvy(&known).output().await.unwrap();
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let fields: Vec<_> = told["problems"].as_array().unwrap().iter().map(|problem| problem["field"].clone()).collect();
    assert!(code(&output) == 64 && told["valid"] == json!(false) && fields.contains(&json!("orders[1].timeout")), "{told}");
    assert!(!fields.contains(&json!("orders[0].execution_target")) && !fields.contains(&json!("orders[1].git_repo")), "{told}");
}

#[tokio::test]
async fn what_is_no_job_or_no_file_says_so() {
    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), "// canary\n{}").unwrap();
    for verb in ["validate", "submit"] {
        let output = navvy(&["orders", verb, path(&text)]).output().await.unwrap();
        assert_eq!(code(&output), 64, "{}", stderr(&output));
        assert!(stderr(&output).contains("not JSON") && !stderr(&output).contains("canary"), "{}", stderr(&output));
        assert_eq!(code(&navvy(&["orders", verb, "/nonexistent"]).output().await.unwrap()), 74);
    }
}

#[tokio::test]
async fn a_graph_is_read_part_by_part() {
    let jobs = [order(0, "vpc", "succeeded", &[]), order(1, "rds", "running", &[0])];
    let answers = || vec![run("running", &[("succeeded", 1), ("running", 1)]), part(&jobs[..1], Some(1)), part(&jobs[1..], None)];
    let gateway = Gateway::start(answers()).await;
    let output = gateway.navvy(&["run", "graph", RUN]).await;
    let expected =
        "2 orders: 1 running, 1 succeeded\nlevel 1: 1 order\n  0001  vpc  succeeded\nlevel 2: 1 order\n  0002  rds  running  needs 0001\n";
    assert_eq!((code(&output), stdout(&output)), (0, format!("run {RUN}  running\n{expected}")), "{}", stderr(&output));
    assert_eq!(gateway.asked()[2].path, format!("/v1/runs/{RUN}/jobs?from=1&limit=200"));
    let output = Gateway::start(answers()).await.navvy(&["run", "graph", RUN, "--json"]).await;
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&told["levels"], &told["jobs"], &told["orders"]["total"]), (&json!([[0], [1]]), &json!(jobs), &json!(2)));
    let circle = Gateway::start(vec![run("running", &[]), part(&jobs, Some(0))]).await;
    assert_eq!(code(&circle.navvy(&["run", "graph", RUN]).await), 70, "parts that do not go forward");
}

#[tokio::test]
async fn done_exits_by_the_end_and_says_when_there_is_none_yet() {
    for (status, expected) in [("succeeded", 0), ("failed", 1), ("timed_out", 1), ("cancelled", 1)] {
        let marker = json!({"status": status, "summary": {"succeeded": 3, "failed": 1, "timed_out": 0}});
        let gateway = Gateway::start(vec![Answer::json(200, &marker)]).await;
        let output = gateway.navvy(&["run", "done", RUN]).await;
        let word = status.replace('_', " ");
        assert_eq!((code(&output), stdout(&output)), (expected, format!("{word}: 3 succeeded, 1 failed, 0 timed out\n")));
        assert_eq!(gateway.asked()[0].path, format!("/v1/runs/{RUN}/done"));
        let output = gateway.navvy(&["run", "done", RUN, "--json"]).await;
        assert_eq!((code(&output), serde_json::from_str::<Value>(&stdout(&output)).unwrap()), (expected, marker));
    }
    for (http, word, expected) in [(404, "not_over", 75), (404, "not_found", 65), (410, "gone", 65)] {
        let gateway = Gateway::start(vec![Answer::error(http, word)]).await;
        let output = gateway.navvy(&["run", "done", RUN]).await;
        assert_eq!((code(&output), stdout(&output).as_str()), (expected, ""), "{word}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn the_log_of_one_order_is_asked_for_by_its_number() {
    let end = "event: log\nid: 1.1.3\ndata: ok\n\nevent: end\ndata: {\"status\":\"running\"}\n\n";
    for (flag, number) in [("--job", "1"), ("--order", "0002")] {
        let gateway = Gateway::start(vec![Answer::stream(&[end])]).await;
        let output = gateway.navvy(&["logs", RUN, flag, number]).await;
        assert_eq!((code(&output), stdout(&output).as_str()), (0, "ok\n"), "{}", stderr(&output));
        assert_eq!(gateway.asked()[0].path, format!("/v1/runs/{RUN}/logs?follow=0&job=1"));
    }
    assert_eq!(code(&navvy(&["logs", RUN, "--order", "0"]).output().await.unwrap()), 64);
    assert_eq!(code(&navvy(&["logs", RUN, "--order", "1", "--job", "0"]).output().await.unwrap()), 64);
}
