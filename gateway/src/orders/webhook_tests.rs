//! The answers of `/webhook`, byte for byte where the replaced engine's clients read them.

use super::super::fixtures::{Fixture, body_of, job, order};
use super::*;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn envelope(job: &Value) -> Value {
    json!({"job_parameters_b64": STANDARD.encode(job.to_string())})
}

/// The answer to a body, from a store that takes everything.
async fn told(body: impl Into<Vec<u8>>) -> (u16, Value) {
    let fixture = Fixture { body: body.into().into(), ..Fixture::default() };
    let store = |intake: Intake| async move { Ok(Admitted { run: intake.identity.run, replayed: false }) };
    body_of(answer(&fixture.desk(), &fixture.asked(), store).await).await
}

#[tokio::test]
async fn an_accepted_job_is_answered_as_ever() {
    let (status, body) = told(envelope(&job(&json!([order()]))).to_string()).await;
    let (run, trace) = (body["run_id"].as_str().unwrap(), body["trace_id"].as_str().unwrap());
    let expected = json!({
        "status": "ok", "run_id": run, "trace_id": trace, "flow_id": format!("ann:{trace}-exec"),
        "done_endpt": format!("https://navvy.example/v1/runs/{run}/done"), "pr_search_tag": body["pr_search_tag"],
        "init_pr_comment": null,
    });
    assert_eq!((status, &body), (200, &expected));
    assert_eq!((trace.len(), body["pr_search_tag"].as_str().map(str::len)), (8, Some(8)));
}

#[tokio::test]
async fn what_is_no_job_is_a_bad_request_with_the_old_words() {
    let b64 = |text: &str| json!({"job_parameters_b64": STANDARD.encode(text)}).to_string();
    for (body, expected) in [
        (String::new(), "Missing job_parameters_b64"),
        ("{}".into(), "Missing job_parameters_b64"),
        (json!({"job_parameters_b64": null, "zen": "x"}).to_string(), "Missing job_parameters_b64"),
        (json!({"job_parameters_b64": ""}).to_string(), "job_parameters_b64 must be a text in base64"),
        (json!({"job_parameters_b64": 5}).to_string(), "job_parameters_b64 must be a text in base64"),
        (json!({"job_parameters_b64": "%%"}).to_string(), "job_parameters_b64 is not base64: encode the job's JSON with it"),
        ("nonsense".into(), "the body cannot be read: this is not JSON (line 1, column 2)"),
        ("[]".into(), "the body cannot be read: the JSON must be an object"),
        (b64("{"), "the job in job_parameters_b64 cannot be read: the JSON ends too early (line 1, column 1)"),
        (b64("5"), "the job in job_parameters_b64 cannot be read: the JSON must be an object"),
        (b64(&"[".repeat(10_000)), "the job in job_parameters_b64 cannot be read: the JSON is nested too deeply: more than 64 levels"),
    ] {
        assert_eq!(told(body.clone()).await, (400, json!({"status": "error", "error": expected})), "{body:.80}");
    }
}

#[tokio::test]
async fn a_wrong_job_is_answered_with_all_its_errors() {
    let (status, body) = told(envelope(&json!({"username": "ann", "orders": []})).to_string()).await;
    let expected = json!({"status": "error", "errors": ["Job has no orders"], "run_id": body["run_id"], "trace_id": body["trace_id"]});
    assert_eq!((status, &body), (400, &expected));
    assert!(body["run_id"].is_string() && body["trace_id"].is_string());
    let mut beside = envelope(&job(&json!([{"timeout": 5}, {"cmds": ["x"], "timeout": 5, "dependencies": ["9"]}])));
    beside["trace_id"] = json!("leg-0001");
    let (_, body) = told(beside.to_string()).await;
    let errors = ["order[0]: cmds is empty or missing", "order[1]: unknown dependency '9': no order has this queue_id or order_name"];
    assert_eq!((&body["errors"], &body["trace_id"]), (&json!(errors), &json!("leg-0001")));
}

#[tokio::test]
async fn nothing_is_stored_of_a_wrong_job() {
    let fixture = Fixture { body: envelope(&json!({})).to_string().into_bytes().into(), ..Fixture::default() };
    let never = |_: Intake| async { panic!("it must not be stored") };
    assert_eq!(body_of(answer(&fixture.desk(), &fixture.asked(), never).await).await.0, 400);
}

#[tokio::test]
async fn base64_comes_in_lines_and_without_padding() {
    let encoded = STANDARD.encode(job(&json!([order()])).to_string());
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for text in [lines.join("\n"), encoded.trim_end_matches('=').to_owned()] {
        assert_eq!(told(json!({"job_parameters_b64": text}).to_string()).await.0, 200);
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_told_in_the_same_form() {
    let fixture = Fixture { body: envelope(&job(&json!([order()]))).to_string().into_bytes().into(), ..Fixture::default() };
    let away = |_: Intake| async { Err(Refusal::Unavailable) };
    let response = answer(&fixture.desk(), &fixture.asked(), away).await;
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    let (status, body) = body_of(response).await;
    assert_eq!((status, &body), (503, &json!({"status": "error", "error": Refusal::Unavailable.text()})));
    let again = |intake: Intake| async move { Ok(Admitted { run: intake.identity.run, replayed: true }) };
    let response = answer(&fixture.desk(), &fixture.asked(), again).await;
    assert_eq!(response.headers()[identity::REPLAYED], "true");
}

#[tokio::test]
async fn other_methods_and_other_senders() {
    let response = method_not_allowed(&Method::PUT);
    assert_eq!(response.headers()[header::ALLOW], "POST");
    assert_eq!(body_of(response).await, (405, json!({"status": "error", "error": "Method PUT not allowed"})));
    assert_eq!(body_of(event_not_taken()).await.0, 404);
    for (body, expected) in
        [(r#"{"job_parameters_b64": 5}"#, true), (r#"{"ref": "refs/heads/main"}"#, false), ("", false), ("payload=%7B%7D", false)]
    {
        assert_eq!(is_job(body.as_bytes()), expected, "{body}");
    }
}
