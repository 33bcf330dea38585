//! Bad input gets a clear error that names the field, and leaves nothing behind.

use crate::{HELLO, request, with, world};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn every_bad_request_is_a_400_that_names_its_field() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let good = request(&repo);
    for (change, field) in [
        (json!({"tool": null}), "tool"),
        (json!({"tool": "pulumi"}), "tool"),
        (json!({"git_ref": "--upload-pack=x"}), "git_ref"),
        (json!({"git_url": "ext::sh -c id"}), "git_url"),
        (json!({"git_url": "file:///etc/passwd"}), "git_url"),
        (json!({"git_url": "https://example.invalid/x.git"}), "git_url"),
        (json!({"git_url": "http://169.254.169.254/latest"}), "git_url"),
        (json!({"path": "../../etc"}), "path"),
        (json!({"path": "/etc"}), "path"),
        (json!({"tfvars_files": ["../secret.tfvars"]}), "tfvars_files[0]"),
        (json!({"init_flags": "-plugin-dir=/tmp"}), "init_flags"),
        (json!({"plan_flags": "-chdir=/"}), "plan_flags"),
        (json!({"plan_flags": "-out=x"}), "plan_flags"),
        (json!({"plan_flags": "-lock=false"}), "plan_flags"),
        (json!({"plan_flags": "-state=x"}), "plan_flags"),
        (json!({"plan_flags": "'open"}), "plan_flags"),
        (json!({"env_vars": {"LD_PRELOAD": "x"}}), "env_vars"),
        (json!({"env_vars": {"PATH": "/tmp"}}), "env_vars"),
        (json!({"env_vars": {"TF_CLI_ARGS_apply": "-lock=false"}}), "env_vars"),
        (json!({"env_vars": {"TF_CLI_CONFIG_FILE": "x"}}), "env_vars"),
        (json!({"env_vars": {"GIT_SSH_COMMAND": "x"}}), "env_vars"),
        (json!({"timeout": 0}), "timeout"),
        (json!({"timeout": -1}), "timeout"),
        (json!({"timeout": 1_000_000_000}), "timeout"),
        (json!({"role": "admin"}), "role"),
        (json!({"pool": "a.b"}), "pool"),
    ] {
        let (status, answer) = fleet.client.call(Method::POST, "/deploy", Some(&with(good.clone(), change.clone()))).await?;
        assert_eq!((status, answer["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{change}: {answer}");
    }
    let runs = fleet.client.get("/v1/runs").await?;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(0), "nothing was left behind");
    Ok(())
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let url = format!("{}/deploy", fleet.client.url);
    let http = reqwest::Client::new();
    let post = |body: Vec<u8>| http.post(&url).bearer_auth(&fleet.client.token).header("content-type", "application/json").body(body);
    for (body, expected) in [
        (Vec::new(), StatusCode::BAD_REQUEST),
        (b"{".to_vec(), StatusCode::BAD_REQUEST),
        (b"[]".to_vec(), StatusCode::BAD_REQUEST),
        (b"null".to_vec(), StatusCode::BAD_REQUEST),
        (b"{\"tool\":\"tofu\",\"tool\":\"terraform\"}".to_vec(), StatusCode::BAD_REQUEST),
        (vec![b'['; 200_000], StatusCode::BAD_REQUEST),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        assert_eq!(post(body).send().await?.status(), expected, "{shown}");
    }
    let form = http
        .post(&url)
        .bearer_auth(&fleet.client.token)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("tool=terraform")
        .send();
    assert_eq!(form.await?.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Refused by its length, before a byte of it is read.
    let address = fleet.client.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let token = &fleet.client.token;
    let head = format!(
        "POST /deploy HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 2097152\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    assert_eq!(&start, b"HTTP/1.1 413");
    for path in [
        "/deploy/0192f0c1-7e3a-7abc-8def-0123456789ab/status",
        "/deploy/nonsense/status",
        "/v1/runs/nonsense",
        "/deploy/..%2f..%2fx/status",
    ] {
        assert_eq!(fleet.client.send(Method::GET, path, None).await?.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let missing: Value = with(request(&repo), json!({"git_url": null}));
    let (status, answer) = fleet.client.call(Method::POST, "/deploy", Some(&missing)).await?;
    assert_eq!((status, answer["field"].as_str()), (StatusCode::BAD_REQUEST, Some("git_url")));
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_is_one_run_and_another_body_under_the_same_key_is_refused() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let body = request(&repo);
    let (status, first) = fleet.client.deploy_once("key-1", &body).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, again) = fleet.client.deploy_once("key-1", &body).await?;
    assert_eq!((status, &again["deployment_id"]), (StatusCode::ACCEPTED, &first["deployment_id"]));
    let (status, _) = fleet.client.deploy_once("key-1", &with(body.clone(), json!({"destroy": true}))).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, other) = fleet.client.deploy_once("key-2", &with(body, json!({"workspace": "other"}))).await?;
    assert_ne!(other["deployment_id"], first["deployment_id"]);
    let id = first["deployment_id"].as_str().expect("an id");
    fleet.client.wait_for(id, "awaiting_approval").await?;
    Ok(())
}
