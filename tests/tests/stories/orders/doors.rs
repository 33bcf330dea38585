//! What is refused at the doors of orders leaves nothing behind.

use super::{Ring, job, note, order};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::ShardNo;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::fleet::Wishes;

#[tokio::test]
async fn a_refused_job_is_told_everything_at_once_and_leaves_nothing_behind() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default(), &[]).await?;
    let client = &ring.fleet.client;
    let (code, answer) = client.call(Method::POST, "/webhook", None).await?;
    assert_eq!((code, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("Missing job_parameters_b64")));
    let (code, answer) = client.call(Method::POST, "/webhook", Some(&json!({"job_parameters_b64": "no base64!"}))).await?;
    assert_eq!((code, &answer["status"]), (StatusCode::BAD_REQUEST, &json!("error")), "{answer}");
    let (code, answer) = client.call(Method::PUT, "/webhook", Some(&json!({}))).await?;
    assert_eq!((code, answer), (StatusCode::METHOD_NOT_ALLOWED, json!({"status": "error", "error": "Method PUT not allowed"})));

    let wrong = json!({
        "username": "ada", "git_repo": "acme/infra", "presign_expiry": 700,
        "orders": [
            {"order_name": "a", "timeout": 60, "dependencies": ["c"], "s3_location": "s3://b/k.zip"},
            {"order_name": "b", "cmds": ["true"], "dependencies": ["a"], "s3_location": "s3://b/k.zip"},
            {"order_name": "c", "cmds": ["true"], "timeout": 60, "dependencies": ["b"], "execution_target": "the moon"},
            {"order_name": "d", "cmds": ["true"], "timeout": 600, "execution_target": "ssm", "s3_location": "s3://b/k.zip"},
            {"cmds": ["true"], "timeout": 60, "execution_target": "ssm", "ssm_targets": {}, "s3_location": "s3://b/k.zip"},
        ]
    });
    let envelope = json!({"job_parameters_b64": STANDARD.encode(wrong.to_string())});
    let (code, answer) = client.call(Method::POST, "/webhook", Some(&envelope)).await?;
    assert_eq!(code, StatusCode::BAD_REQUEST, "{answer}");
    let errors: Vec<&str> = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for expected in [
        "a: cmds is empty or missing",
        "b: timeout is missing or invalid",
        "c: invalid execution_target 'the moon' (must be one of [",
        "c: no code source (need s3_location or git_repo + git_token_location)",
        "presign_expiry (700) must be >= max order timeout (600) + 300s buffer",
        "cyclic dependency involving ",
        "d: ssm_targets is required for execution_target 'ssm'",
        "order[4]: ssm_targets must contain 'instance_ids' or 'tags'",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:#?}");
    }
    let (_, answer) = client.call(Method::POST, "/v1/orders", Some(&json!({"username": "ada", "orders": []}))).await?;
    assert_eq!(answer["errors"][0]["message"], "Job has no orders", "{answer}");

    assert_eq!(ring.bus.sealed().list().await?, [], "no sealed page");
    assert_eq!(ring.bus.inbox().depth(ShardNo(0)).await?, 0, "no trigger");
    assert_eq!(client.get("/v1/runs").await?["runs"], json!([]));
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeat_the_same_run_and_another_job_a_conflict() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default(), &["w1"]).await?;
    let once = job(&[order("once", &note(&ring.path("effects"), "once"))]);
    let send = |body: Value| {
        let client = &ring.fleet.client;
        let request = reqwest::Client::new().post(format!("{}/v1/orders", client.url)).bearer_auth(&client.token);
        let request = request.header("idempotency-key", "the-key-of-this-story").json(&body);
        async move { anyhow::Ok(request.send().await?) }
    };
    let twins = tokio::try_join!(send(once.clone()), send(once.clone()), send(once.clone()))?;
    let mut runs = Vec::new();
    for answer in [twins.0, twins.1, twins.2] {
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        runs.push(answer.json::<Value>().await?["run_id"].clone());
    }
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    let run = runs[0].as_str().unwrap_or_default();
    assert_eq!(ring.ended(run.parse()?).await?["status"], "success");
    let again = send(once).await?;
    assert_eq!(again.headers().get("idempotency-replayed").and_then(|value| value.to_str().ok()), Some("true"));
    assert_eq!(again.json::<Value>().await?["run_id"], run);
    assert_eq!(send(job(&[order("other", "true")])).await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ring.lines("effects"), ["once"]);
    Ok(())
}
