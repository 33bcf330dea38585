//! Every way a client verb can end, with its exit code, on the real binary.

use crate::fake::{Answer, Gateway, RUN, code, navvy, stderr, stdout};
use serde_json::{Value, json};

const DEPLOY: [&str; 7] = ["deploy", "--git-url", "https://git.example/a", "--git-ref", "main", "--tool", "tofu"];

fn run(status: &str) -> Value {
    json!({
        "id": RUN, "status": status, "phase": "plan", "pool": "default", "by": "admin",
        "accepted_at": "2026-11-21T03:50:00Z", "outputs": "", "jobs": [],
        "spec": {"action": "probe"}
    })
}

#[tokio::test]
async fn answers_of_the_gateway_become_exit_codes() {
    for (status, expected) in
        [(400, 64), (401, 77), (403, 77), (404, 65), (409, 65), (413, 64), (415, 64), (422, 65), (500, 70), (502, 69), (503, 69), (302, 70)]
    {
        let gateway = Gateway::start(vec![Answer::error(status, "word")]).await;
        let output = gateway.navvy(&["approve", RUN]).await;
        assert_eq!(code(&output), expected, "{status}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn an_error_is_one_json_object_for_machines() {
    let body = json!({"error": "not waiting", "code": "wrong_state", "field": null, "status": "failed"});
    let gateway = Gateway::start(vec![Answer::json(409, &body)]).await;
    let output = gateway.navvy(&["--json", "reject", RUN]).await;
    let told: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!((told["code"].as_str(), told["status"].as_str(), told["exit"].as_u64()), (Some("wrong_state"), Some("failed"), Some(65)));
    assert_eq!(stdout(&output), "");
}

#[tokio::test]
async fn an_absent_gateway_is_69() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let output = navvy(&["--url", &format!("http://{closed}"), "runs"]).output().await.unwrap();
    assert_eq!(code(&output), 69);
    assert!(stderr(&output).contains(&closed.to_string()), "{}", stderr(&output));
}

#[tokio::test]
async fn a_wrong_command_line_is_64_also_as_json() {
    for arguments in [&["nonsense"] as &[&str], &["run", "not-a-run"], &["deploy"], &["--url", "ftp://x", "runs"], &["cancel"]] {
        let output = navvy(arguments).output().await.unwrap();
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert_eq!(stdout(&output), "");
    }
    let output = navvy(&["--json", "run", "not-a-run"]).output().await.unwrap();
    let told: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!((code(&output), told["code"].as_str()), (64, Some("usage")));
    for arguments in [&["--help"] as &[&str], &["--version"], &["deploy", "--help"]] {
        assert_eq!(code(&navvy(arguments).output().await.unwrap()), 0, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_key_must_be_clear_and_never_shows() {
    let output = navvy(&["runs"]).env("NAVVY_TOKEN", "can\nary").output().await.unwrap();
    assert_eq!(code(&output), 64);
    let output = navvy(&["runs"]).env("NAVVY_TOKEN", "canary").env("NAVVY_TOKEN_FILE", "/x").output().await.unwrap();
    assert_eq!(code(&output), 64);
    let output = navvy(&["runs", "--token-file", "/nonexistent"]).output().await.unwrap();
    assert_eq!(code(&output), 74);
    let gateway = Gateway::start(vec![Answer::error(401, "no_key")]).await;
    let output = gateway.navvy(&["runs", "--token", "canary"]).await;
    assert_eq!(code(&output), 77);
    assert!(stderr(&output).contains("warning") && !stderr(&output).contains("canary"), "{}", stderr(&output));
    assert_eq!(gateway.asked()[0].headers["authorization"], "Bearer canary");
}

#[tokio::test]
async fn waiting_exits_by_the_result() {
    for (status, expected) in [("success", 0), ("failed", 1), ("cancelled", 1), ("unknown", 1)] {
        let accepted = json!({"deployment_id": RUN, "status": "running", "message": "Deployment started"});
        let answers = vec![Answer::json(202, &accepted), Answer::json(200, &run("running")), Answer::json(200, &run(status))];
        let gateway = Gateway::start(answers).await;
        let output = gateway.navvy(&[&DEPLOY[..], &["--wait"]].concat()).await;
        assert_eq!(code(&output), expected, "{status}: {}", stderr(&output));
        assert_eq!(stdout(&output), format!("{RUN}\n"));
    }
}

#[tokio::test]
async fn waiting_too_long_is_75_and_outlives_a_gateway_that_is_away() {
    let away = Answer::error(503, "unavailable");
    let gateway = Gateway::start(vec![Answer::json(200, &run("running")), away, Answer::json(200, &run("running"))]).await;
    let output = gateway.navvy(&["run", RUN, "--wait-timeout", "1s"]).await;
    assert_eq!(code(&output), 75, "{}", stderr(&output));
    assert!(stderr(&output).contains("still running"), "{}", stderr(&output));
}

#[tokio::test]
async fn ctrl_c_leaves_the_run_alone_and_is_130() {
    let gateway = Gateway::start(vec![Answer::json(200, &run("awaiting_approval"))]).await;
    let child = gateway.command(&["run", RUN, "--wait"]).spawn().unwrap();
    let asked = async {
        while gateway.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), asked).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(code(&output), 130);
    assert!(stderr(&output).contains("the run goes on"), "{}", stderr(&output));
    assert!(gateway.asked().iter().all(|asked| asked.method == "GET"));
}

#[tokio::test]
async fn a_closed_stdout_is_no_panic() {
    let runs: Vec<Value> = (0..200).map(|_| run("success")).collect();
    let gateway = Gateway::start(vec![Answer::json(200, &json!({"runs": runs, "next_cursor": null}))]).await;
    let mut child = gateway.command(&["runs"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(code(&output), 141);
    assert_eq!(stderr(&output), "");
}
