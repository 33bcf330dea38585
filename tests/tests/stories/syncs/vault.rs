//! Secrets of Vault in the environment of syncs, with a worker that logs in by AppRole. Against a stand-in: see
//! `credentials/tests/providers/vault.rs`.

use super::{Wanted, World, private};
use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};

async fn login(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    if body != json!({"role_id": "role", "secret_id": "the-secret-id"}) {
        return (StatusCode::BAD_REQUEST, Json(json!({"errors": ["invalid role or secret ID"]})));
    }
    (StatusCode::OK, Json(json!({"auth": {"client_token": "hvs.canary", "lease_duration": 3600, "renewable": true}})))
}

async fn look(headers: HeaderMap) -> StatusCode {
    if headers.get("x-vault-token").is_some_and(|token| token == "hvs.canary") { StatusCode::OK } else { StatusCode::FORBIDDEN }
}

async fn read(Path(path): Path<String>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let known = headers.get("x-vault-token").is_some_and(|token| token == "hvs.canary");
    let data = match (known, path.as_str()) {
        (false, _) => return (StatusCode::FORBIDDEN, Json(json!({"errors": ["permission denied"]}))),
        (true, "shared/staging") => json!({"DB_PASSWORD": "canary-shared", "SHARED": "canary-of-all"}),
        (true, "platform/staging/redis") => json!({"DB_PASSWORD": "canary-of-redis"}),
        (true, _) => return (StatusCode::NOT_FOUND, Json(json!({"errors": []}))),
    };
    (StatusCode::OK, Json(json!({"data": {"data": data, "metadata": {"version": 1}}})))
}

#[tokio::test]
async fn syncs_get_the_secrets_of_their_service_and_their_values_are_shown_nowhere() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let vault = Router::new()
        .route("/v1/auth/approle/login", post(login))
        .route("/v1/auth/token/lookup-self", get(look))
        .route("/v1/secret/data/{*path}", get(read));
    tokio::spawn(async move { axum::serve(listener, vault).await });
    let outside = tempfile::tempdir()?;
    let secret_id = outside.path().join("secret-id");
    private(&secret_id, "the-secret-id\n")?;
    let settings =
        format!("[worker.credentials]\nvault_url = \"http://{address}\"\nvault_role_id = \"role\"\nvault_secret_id_file = {secret_id:?}\n");
    let command = r#"["sh", "-c", "echo \"$DB_PASSWORD\"; test \"$DB_PASSWORD/$SHARED\" = canary-of-redis/canary-of-all"]"#;
    let world = World::with(Wanted {
        settings: &settings,
        worker_sync: "vault_paths = [\"secret/shared/{env}\", \"secret/{project}/{env}/{service}\"]",
        command: Some(command),
        ..Wanted::default()
    })
    .await?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {}}\n")]).await?;
    assert_eq!(world.synced(&run).await?["platform/redis"], "updated");
    let log = world.fleet.client.log(&run).await?.join("\n");
    assert!(log.contains("***") && !log.contains("canary"), "{log}");
    // Vault has nothing for it, so nothing is done.
    let run = world.push(&[("platform/01.postgres/compose.yaml", "services: {postgres: {}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!(view["failure"]["kind"], "vault_secret_missing", "{view:#}");
    assert!(!view["failure"].to_string().contains("canary"), "{view:#}");
    Ok(())
}
