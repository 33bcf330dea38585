//! Secrets of a service that are made in Vault: after the last word, once, and part of what identifies it.

use crate::rig::{Rig, action, brought};
use axum::Router;
use axum::extract::Request;
use credentials::{Access, VaultAccess, VaultLogin};
use proto::sync::SyncAction;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

/// A stand-in for Vault with one secret: its versions, and how often it was written.
#[derive(Debug, Default)]
struct Held {
    version: u64,
    entries: Value,
    writes: u32,
}

async fn vault() -> (String, Arc<Mutex<Held>>) {
    let held = Arc::new(Mutex::new(Held::default()));
    let kept = Arc::clone(&held);
    let handler = move |request: Request| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            assert_eq!(parts.uri.path(), "/v1/secret/data/platform/staging/redis");
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
            let mut held = kept.lock().expect("not poisoned");
            if parts.method == "POST" {
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!(body["options"]["cas"], held.version);
                (held.version, held.entries, held.writes) = (held.version + 1, body["data"].clone(), held.writes + 1);
                return (axum::http::StatusCode::OK, json!({ "data": { "version": held.version } }).to_string());
            }
            let metadata = json!({ "version": held.version });
            match held.version {
                0 => (axum::http::StatusCode::NOT_FOUND, r#"{"errors":[]}"#.to_owned()),
                _ => (axum::http::StatusCode::OK, json!({ "data": { "data": held.entries, "metadata": metadata } }).to_string()),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (address, held)
}

#[tokio::test]
async fn a_missing_secret_is_made_after_the_last_word_and_a_new_version_is_deployed() {
    let (address, held) = vault().await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "hvs.token").expect("written");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("made private");
    let mut rig = Rig::new().await;
    let login = VaultLogin::Token { file: token };
    let vault = VaultAccess { address: address.parse().expect("an address"), login, namespace: None, ca_file: None };
    rig.access = Access { vault: Some(vault), ..Access::default() };
    rig.target = json!({ "file": "compose.yaml", "secret": { "path": "{project}/{env}/{service}", "keys": ["PASSWORD"] } });

    rig.refusal = Some("no".to_owned());
    rig.sync().await;
    assert_eq!(held.lock().expect("not poisoned").writes, 0, "nothing is made without the last word");
    rig.refusal = None;
    let first = rig.sync().await;
    assert_eq!(action(&first), SyncAction::Created);
    let password = held.lock().expect("not poisoned").entries["PASSWORD"].as_str().expect("a value").to_owned();
    assert!(password.len() == 24 && !rig.dokploy.service().text("env").contains(&password), "it stays in Vault");
    let second = rig.sync().await;
    assert_eq!((action(&second), held.lock().expect("not poisoned").writes), (SyncAction::Skipped, 1));
    assert_eq!(brought(&second).hash, brought(&first).hash, "the version was known before it was made");

    held.lock().expect("not poisoned").version += 1;
    let rotated = rig.sync().await;
    assert_eq!((action(&rotated), held.lock().expect("not poisoned").writes), (SyncAction::Updated, 1));
}
