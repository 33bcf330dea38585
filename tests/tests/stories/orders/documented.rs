//! The job of the documentation: a network, a database that needs it, and migrations that may fail; from a private
//! repository, each order in its own folder.

use super::Ring;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{fs, path::Path};
use system_tests::{fleet::Wishes, git::GitServer};
use tempfile::TempDir;

const TOKEN: &str = "ghp_the-token-of-this-story";
const WEBHOOK_SECRET: &str = "the-secret-of-the-webhook-of-this-story";

/// Each folder says its name into the file that it is told.
const FILES: &[(&str, &str)] = &[
    ("infra/vpc/apply.sh", "echo vpc $TF_VAR_env $(ls -A) >> \"$1\"\n"),
    ("infra/rds/apply.sh", "echo rds $TF_VAR_env $(ls -A) >> \"$1\"\n"),
    ("db/migrate.sh", "echo migrations >> \"$1\"\nexit 3\n"),
    ("README.md", "not for the orders\n"),
];

fn documented(effects: &Path) -> Value {
    let to = effects.display();
    json!({
        "git_repo": "acme/infra", "git_token_location": "env:::var:STORY_GIT_TOKEN", "username": "ann",
        "orders": [
            {"order_name": "vpc", "queue_id": "1", "git_folder": "infra/vpc", "timeout": 600,
             "cmds": ["true", format!("sh apply.sh {to}")], "env_vars": {"TF_VAR_env": "prod"}},
            {"order_name": "rds", "queue_id": "2", "git_folder": "infra/rds", "timeout": 600, "dependencies": ["1"],
             "cmds": [format!("sh apply.sh {to}")], "env_vars": {"TF_VAR_env": "prod"}},
            {"order_name": "migrations", "git_folder": "db", "timeout": 300, "dependencies": ["rds"], "must_succeed": false,
             "cmds": [format!("sh migrate.sh {to}"), format!("echo never >> {to}")], "execution_target": "lambda"},
        ]
    })
}

/// A git server that wants the token, and a ring whose workers have it: in a variable, and in a file of a folder outside.
async fn world() -> anyhow::Result<(GitServer, Ring)> {
    let git = GitServer::private("x-access-token", TOKEN)?;
    git.repo("acme/infra", FILES)?;
    let outside = TempDir::new()?;
    let folder = outside.path().join("credentials");
    fs::create_dir(&folder)?;
    fs::write(folder.join("git.json"), json!({"token": TOKEN}).to_string())?;
    let wishes = Wishes::git(git.server.host())
        .set("NAVVY__WORKER__CREDENTIALS__FOLDERS", folder.display().to_string())
        .set("NAVVY__GATEWAY__ORDERS__GIT_BASE", git.server.url.clone())
        .set("NAVVY__GATEWAY__GITHUB__WEBHOOK_SECRET", WEBHOOK_SECRET)
        .set("NAVVY__WORKER__CREDENTIALS__VARIABLES", "STORY_GIT_TOKEN")
        .set("STORY_GIT_TOKEN", TOKEN);
    let ring = Ring::with(outside, wishes, &["w1", "w2"]).await?;
    Ok((git, ring))
}

const EFFECTS: [&str; 3] = ["vpc prod apply.sh", "rds prod apply.sh", "migrations"];

#[tokio::test]
async fn the_job_of_the_documentation_runs_in_its_order_each_in_its_folder() -> anyhow::Result<()> {
    let (_git, ring) = world().await?;
    let run = ring.submit(&documented(&ring.path("effects"))).await?;
    let ended = ring.ended(run).await?;
    assert_eq!(ended["status"], "success", "an optional order may fail: {ended:#}");
    assert_eq!(ring.lines("effects"), EFFECTS);
    assert_eq!(ring.ends(run).await?, ["vpc succeeded", "rds succeeded", "migrations failed: exit_code"]);
    let log = ring.log(run, 2).await?;
    assert!(log.contains("Exit code: 3") && !log.contains("echo never"), "it stops at the first that fails: {log}");
    let done = ring.fleet.client.get(&format!("/v1/runs/{run}/done")).await?;
    assert_eq!(done, json!({"status": "succeeded", "summary": {"succeeded": 2, "failed": 1, "timed_out": 0}}));
    let result = ring.fleet.client.get(&format!("/v1/runs/{run}/orders/0003/result.json")).await?;
    assert_eq!((&result["schema_version"], &result["status"]), (&json!("v1"), &json!("failed")), "{result}");
    let events = ring.fleet.client.get(&format!("/v1/runs/{run}/events")).await?;
    let told = |name: &str, kind: &str| {
        let all = events["events"].as_array().into_iter().flatten();
        all.clone().position(|event| event["order_name"] == name && event["event_type"] == kind)
    };
    let story = [
        told("_job", "job_started"),
        told("vpc", "completed"),
        told("rds", "started"),
        told("migrations", "completed"),
        told("_job", "job_completed"),
    ];
    assert!(story.iter().all(Option::is_some) && story.is_sorted(), "{story:?}: {events:#}");
    Ok(())
}

/// The job as the replaced engine's clients send it.
fn envelope(job: &Value) -> Vec<u8> {
    json!({"job_parameters_b64": STANDARD.encode(job.to_string())}).to_string().into_bytes()
}

async fn signed(ring: &Ring, body: &[u8], signature: &str) -> anyhow::Result<(StatusCode, Value)> {
    let request = reqwest::Client::new().post(format!("{}/webhook", ring.fleet.client.url));
    let request = request.header("content-type", "application/json").header("x-hub-signature-256", signature);
    let answer = request.body(body.to_vec()).send().await?;
    Ok((answer.status(), answer.json().await?))
}

#[tokio::test]
async fn the_same_job_comes_in_through_the_webhook_with_a_signature_or_a_key_and_a_repeat_is_the_same_run() -> anyhow::Result<()> {
    let (_git, ring) = world().await?;
    let mut job = documented(&ring.path("effects"));
    job["run_id"] = json!("0192f0c1-7e3a-7abc-8def-0123456789ab");
    let body = envelope(&job);
    let digest = super::hmac_sha256(WEBHOOK_SECRET.as_bytes(), &body)?;
    let hex = digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let (code, answer) = signed(&ring, &body, &format!("sha256={hex}")).await?;
    assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("ok")), "{answer}");
    let run = answer["run_id"].as_str().unwrap_or_default().to_owned();
    let flow = format!("ann:{}-exec", answer["trace_id"].as_str().unwrap_or_default());
    assert_eq!((&answer["flow_id"], &answer["init_pr_comment"]), (&json!(flow), &Value::Null));

    // While it runs, and when it is over.
    assert_eq!(signed(&ring, &body, &format!("sha256={hex}")).await?.1["run_id"], json!(run));
    assert_eq!(ring.ended(run.parse()?).await?["status"], "success");
    assert_eq!(signed(&ring, &body, &format!("sha256={hex}")).await?.1["run_id"], json!(run));
    let bad = signed(&ring, &body, &format!("sha256={}", "0".repeat(64))).await?;
    assert_eq!((bad.0, &bad.1["status"]), (StatusCode::UNAUTHORIZED, &json!("error")), "{}", bad.1);
    assert_eq!(ring.lines("effects"), EFFECTS, "once");

    // Another caller's run_id is another run; with a key of the API and no signature, and the token in a file.
    let mut job = documented(&ring.path("effects-by-key"));
    job["git_token_location"] = json!(format!("file:::json:{}", ring.path("credentials/git.json").display()));
    job["run_id"] = json!("0192f0c1-7e3a-7abc-8def-0123456789ab");
    let envelope: Value = serde_json::from_slice(&envelope(&job))?;
    let (code, answer) = ring.fleet.client.call(reqwest::Method::POST, "/webhook", Some(&envelope)).await?;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let by_key = answer["run_id"].as_str().unwrap_or_default();
    assert_ne!(by_key, run);
    assert_eq!(ring.ended(by_key.parse()?).await?["status"], "success");
    assert_eq!(ring.lines("effects-by-key"), EFFECTS);
    let runs = ring.fleet.client.get("/v1/runs").await?;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(2), "{runs}");
    Ok(())
}
