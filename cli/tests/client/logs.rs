//! `navvy logs` against streams that are cut, repeated, broken off and resumed.

use crate::fake::{Answer, Gateway, RUN, code, stderr, stdout};
use serde_json::{Value, json};

fn line(offset: u64, text: &str) -> String {
    format!("event: log\nid: 0.1.{offset}\ndata: {text}\n\n")
}

const END: &str = "event: end\ndata: {\"status\":\"success\"}\n\n";

#[tokio::test]
async fn a_lost_stream_is_resumed_without_gap_or_duplicate() {
    let first = [line(4, "one"), line(8, "two"), "event: log\nid: 0.1.14\nda".to_owned()].concat();
    // The gateway repeats a line that was already given out, as it may after a restart.
    let second = [line(8, "two"), line(14, "three")].concat();
    let third = [line(19, "four"), "event: log\nid: 1.1.2\ndata: x\n\n".to_owned(), END.to_owned()].concat();
    let gateway = Gateway::start(vec![
        Answer::stream(&[&first]),
        Answer::error(503, "unavailable"),
        Answer::stream(&[&second[..9], &second[9..]]),
        Answer::stream(&[&third]),
    ])
    .await;
    let output = gateway.navvy(&["logs", "-f", RUN]).await;
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "one\ntwo\nthree\nfour\nx\n"), "{}", stderr(&output));
    let resumed: Vec<Option<String>> =
        gateway.asked().iter().map(|asked| asked.headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned())).collect();
    let after = |id: &str| Some(id.to_owned());
    assert_eq!(resumed, [None, after("0.1.8"), after("0.1.8"), after("0.1.14")]);
}

#[tokio::test]
async fn without_follow_it_prints_what_is_there_and_returns() {
    let gateway = Gateway::start(vec![Answer::stream(&[&line(4, "one")])]).await;
    let output = gateway.navvy(&["logs", RUN, "--after", "0.1.2"]).await;
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "one\n"));
    let asked = gateway.asked();
    assert_eq!((asked.len(), asked[0].path.clone()), (1, format!("/v1/runs/{RUN}/logs?follow=0")));
    assert_eq!(asked[0].headers["last-event-id"], "0.1.2");
}

#[tokio::test]
async fn a_gateway_that_refuses_on_resume_ends_it() {
    let gateway = Gateway::start(vec![Answer::stream(&[&line(4, "one")]), Answer::error(404, "not_found")]).await;
    let output = gateway.navvy(&["logs", "-f", RUN]).await;
    assert_eq!((code(&output), stdout(&output).as_str()), (65, "one\n"));
}

#[tokio::test]
async fn an_approval_is_asked_for_on_stderr_and_colours_stay_out_of_files() {
    let waiting = "event: status\ndata: {\"status\":\"awaiting_approval\",\"phase\":\"plan\"}\n\n";
    let gap = "event: gap\ndata: {\"missing_bytes\":7}\n\n";
    let text = [&line(9, "\u{1b}[32mok\u{1b}[0m\u{1b}]0;x\u{7}"), waiting, waiting, gap, END].concat();
    let gateway = Gateway::start(vec![Answer::stream(&[&text])]).await;
    let output = gateway.navvy(&["logs", "-f", RUN]).await;
    assert_eq!(stdout(&output), "ok\n");
    let told = stderr(&output);
    assert_eq!(told.matches(&format!("navvy approve {RUN}")).count(), 1, "{told}");
    assert!(told.contains("7 bytes of output are missing"), "{told}");
    let output = gateway.navvy(&["logs", "-f", RUN, "--color", "always"]).await;
    assert_eq!(stdout(&output), "\u{1b}[32mok\u{1b}[0m\n");
}

#[tokio::test]
async fn as_json_every_event_is_one_line_untouched() {
    let text = [&line(9, "\u{1b}[32mok"), "event: newer\ndata: ?\n\n", END].concat();
    let gateway = Gateway::start(vec![Answer::stream(&[&text])]).await;
    let output = gateway.navvy(&["logs", "-f", RUN, "--json"]).await;
    let events: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [json!({"event": "log", "id": "0.1.9", "line": "\u{1b}[32mok"}), json!({"event": "end", "status": "success"})];
    assert_eq!(events, expected);
    assert_eq!(stderr(&output), "");
}

#[tokio::test]
async fn following_a_deploy_exits_by_the_result() {
    let accepted = json!({"deployment_id": RUN, "status": "running", "message": "Deployment started"});
    let run = json!({"id": RUN, "status": "failed", "phase": "completed", "failed_phase": "init", "by": "admin",
                     "accepted_at": "2026-11-21T03:50:00Z", "spec": {"action": "probe"},
                     "failure": {"kind": "init", "phase": "init", "message": "no provider"}});
    let answers = vec![Answer::json(202, &accepted), Answer::stream(&[&line(4, "one"), END]), Answer::json(200, &run)];
    let gateway = Gateway::start(answers).await;
    let deploy = ["deploy", "--git-url", "https://git.example/a", "--git-ref", "main", "--tool", "tofu", "--follow"];
    let output = gateway.navvy(&deploy).await;
    assert_eq!((code(&output), stdout(&output)), (1, format!("{RUN}\none\n")), "{}", stderr(&output));
    assert!(stderr(&output).contains("no provider"), "{}", stderr(&output));
}
