//! A source whose webhook's secret is fetched from a store of secrets: nothing is believed before it was fetched, and what was good
//! last goes on while the store is away.

use crate::{
    admission::triggers,
    harness::{Store, told, until},
    hooks::{B, SECRET, followed, push, records, run_of, send},
    syncs::signed,
};
use gateway::{Fetching, SecretStore};
use proto::Secret;
use reqwest::header;
use serde_json::json;
use service::settings::Followed;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A store that says what a test wants it to.
#[derive(Debug, Default)]
struct Vault {
    says: Mutex<Option<String>>,
    asked: Notify,
}

impl SecretStore for Vault {
    fn fetch<'a>(&'a self, path: &'a str) -> Fetching<'a> {
        assert_eq!(path, "secret/platform/webhook#SECRET");
        let says = self.says.lock().unwrap().clone();
        self.asked.notify_one();
        Box::pin(async move { says.map(|text| Secret::new(text.as_str())).ok_or_else(|| "Vault cannot be reached".to_owned()) })
    }
}

fn of_vault() -> Followed {
    Followed { webhook_secret: None, vault_path: Some("secret/platform/webhook#SECRET".into()), ..followed("platform") }
}

#[tokio::test]
async fn nothing_is_believed_before_the_secret_was_fetched_and_the_rest_works() {
    let (store, vault) = (Store::start().await, Arc::new(Vault::default()));
    // It serves, and is ready: another source needs no Vault.
    let gateway =
        store.gateway_with(store.bus.clone(), Some(vault.clone()), |settings| settings.sources = vec![of_vault(), followed("apps")]);
    let gateway = gateway.await;
    vault.asked.notified().await;
    let body = push(B, &["platform/01.postgres/x"]);
    for _ in 0..2 {
        let refused = send(&gateway, &body, "d1").send().await.unwrap();
        assert!(refused.status() == 503 && refused.headers().contains_key(header::RETRY_AFTER), "{refused:?}");
    }
    let refused = told(signed(&gateway, "/sync", &json!({"all": true}))).await;
    assert_eq!(refused.0, 503, "its secret signs here too: {}", refused.1);
    assert_eq!((triggers(&store.bus).await, records(&store).await), (vec![], vec![]));
    let (status, ready) = told(gateway.get("/readyz")).await;
    let of_source = ready["probes"].as_array().unwrap().iter().find(|probe| probe["name"] == "source:platform").unwrap();
    assert_eq!((status, &of_source["ok"], &of_source["partial"]), (200, &json!(false), &json!(true)), "{ready}");
    let (status, health) = told(gateway.get("/health")).await;
    assert_eq!((status, &health["checks"]["source:platform"], &health["checks"]["source:apps"]), (503, &json!(false), &json!(true)));

    *vault.says.lock().unwrap() = Some(format!("{SECRET}\n"));
    until(async || told(send(&gateway, &body, "d1")).await.0 == 202).await;
    let (_, again) = told(send(&gateway, &body, "d1")).await;
    let runs: Vec<_> = triggers(&store.bus).await.into_iter().map(|trigger| trigger.run).collect();
    assert_eq!((&again["status"], runs), (&json!("duplicate"), vec![run_of(&again)]));
    until(async || told(gateway.get("/readyz")).await.1["probes"].as_array().unwrap().iter().all(|probe| probe["ok"] == true)).await;
}

#[tokio::test]
async fn without_a_store_no_gateway_starts_with_such_a_source() {
    use gateway::{GatewayDeps, router};
    use service::{
        metrics::Metrics,
        ops::Readiness,
        settings::Settings,
        shutdown::{Shutdown, Tasks},
    };
    let store = Store::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings { data_dir: dir.path().to_owned(), sources: vec![of_vault()], ..Settings::default() };
    settings.git.allowed_hosts = vec!["git.example".into()];
    let deps = GatewayDeps {
        bus: store.bus.clone(),
        settings: Arc::new(settings),
        metrics: Metrics::new("0.0.0", "test"),
        readiness: Readiness::new(),
        tasks: Tasks::new(Shutdown::new()),
        secret_store: None,
    };
    let refused = router(&deps, tokio_util::sync::CancellationToken::new()).unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("platform") && cause.contains("worker.credentials.vault_url"), "{cause}");
}
