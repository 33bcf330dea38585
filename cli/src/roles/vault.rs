//! Vault, where a gateway fetches secrets of webhooks: with the login that the settings have for credentials.

use credentials::Keeper;
use gateway::{Fetching, SecretStore};
use service::settings::Settings;

use crate::problem::CliError;

/// A Vault that is logged in to when it is first asked.
#[derive(Debug, Clone)]
pub(crate) struct Vault(Keeper);

impl Vault {
    /// The one of the settings, if a source needs it.
    pub(crate) fn of_sources(settings: &Settings) -> Result<Option<Self>, CliError> {
        if settings.sources.iter().all(|source| source.vault_path.is_none()) {
            return Ok(None);
        }
        let keeper = worker::keeper(settings).map_err(super::role_failed("Vault cannot be asked", "correct worker.credentials"))?;
        Ok(Some(Self(keeper)))
    }

    /// Keeps the login alive for ever.
    pub(crate) async fn keep_alive(&self) {
        self.0.keep_alive().await;
    }
}

impl SecretStore for Vault {
    fn fetch<'a>(&'a self, path: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let location = format!("vault:::kv2:{path}").parse::<proto::orders::Location>().map_err(|error| error.to_string())?;
            self.0.token(&location).await.map_err(|error| {
                let causes = crate::problem::causes(&error);
                if causes.is_empty() { error.to_string() } else { format!("{error}: {causes}") }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing::get, routing::post};
    use serde_json::{Value, json};
    use service::settings::Followed;
    use std::os::unix::fs::PermissionsExt as _;

    async fn log_in(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
        let known = body == json!({"role_id": "role", "secret_id": "the-secret-id"});
        let status = if known { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        (status, Json(json!({"auth": {"client_token": "hvs.canary", "lease_duration": 3600, "renewable": true}})))
    }

    async fn read(headers: HeaderMap) -> (StatusCode, Json<Value>) {
        let known = headers.get("x-vault-token").is_some_and(|token| token == "hvs.canary");
        let status = if known { StatusCode::OK } else { StatusCode::FORBIDDEN };
        (status, Json(json!({"data": {"data": {"SECRET": "canary-one\ncanary-two\n", "OTHER": "x"}, "metadata": {"version": 1}}})))
    }

    #[tokio::test]
    async fn a_field_of_a_secret_is_fetched_with_the_login_of_an_app_role() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/auth/approle/login", post(log_in)).route("/v1/secret/data/platform/webhook", get(read));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let dir = tempfile::tempdir().unwrap();
        let secret_id = dir.path().join("secret-id");
        std::fs::write(&secret_id, "the-secret-id\n").unwrap();
        std::fs::set_permissions(&secret_id, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = Settings::default();
        settings.worker.credentials.vault_url = Some(format!("http://{address}"));
        settings.worker.credentials.vault_role_id = Some("role".into());
        settings.worker.credentials.vault_secret_id_file = Some(secret_id);
        assert!(Vault::of_sources(&settings).unwrap().is_none(), "nobody needs it");
        settings.sources = vec![Followed { vault_path: Some("secret/platform/webhook#SECRET".into()), ..Followed::default() }];
        let vault = Vault::of_sources(&settings).unwrap().unwrap();
        assert_eq!(vault.fetch("secret/platform/webhook#SECRET").await.unwrap().expose(), "canary-one\ncanary-two\n");
        for (path, word) in [("secret/platform/webhook#GONE", "has no entry `GONE`"), ("secret/none#X", "nothing there")] {
            let why = vault.fetch(path).await.unwrap_err();
            assert!(why.contains(word) && !why.contains("canary"), "{path}: {why}");
        }
        assert!(!format!("{vault:?}").contains("canary"));
    }
}
