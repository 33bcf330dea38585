//! A stand-in for Vault with the secrets of services: made once, each write over the version that it saw.

use axum::{Router, extract::Request, http::StatusCode};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

pub(super) const TOKEN: &str = "hvs.token-c4nary-3301";

type Kept = Arc<Mutex<BTreeMap<String, (u64, Value)>>>;

/// Ends with the test's runtime.
pub(super) struct Vault {
    pub(super) url: String,
    kept: Kept,
}

impl Vault {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let kept = Kept::default();
        let held = kept.clone();
        let handler = move |request: Request| answer(held.clone(), request);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Ok(Self { url, kept })
    }

    /// The entry of a secret, such as `platform/staging/postgres`, and the secret's version.
    pub(super) fn entry(&self, path: &str, key: &str) -> Option<(String, u64)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, entries) = kept.get(path)?;
        Some((entries[key].as_str()?.to_owned(), *version))
    }
}

async fn answer(kept: Kept, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    if parts.headers.get("x-vault-token").is_none_or(|token| token != TOKEN) {
        return (StatusCode::FORBIDDEN, json!({"errors": ["permission denied"]}).to_string());
    }
    let Some(path) = parts.uri.path().strip_prefix("/v1/secret/data/") else { return (StatusCode::OK, json!({"data": {}}).to_string()) };
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let found = kept.get(path).cloned();
    if parts.method != "POST" {
        return match found {
            None => (StatusCode::NOT_FOUND, json!({"errors": []}).to_string()),
            Some((version, data)) => (StatusCode::OK, json!({"data": {"data": data, "metadata": {"version": version}}}).to_string()),
        };
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let version = found.map_or(0, |(version, _)| version);
    if body["options"]["cas"] != version {
        return (StatusCode::BAD_REQUEST, json!({"errors": ["check-and-set parameter did not match the current version"]}).to_string());
    }
    kept.insert(path.to_owned(), (version + 1, body["data"].clone()));
    (StatusCode::OK, json!({"data": {"version": version + 1}}).to_string())
}
