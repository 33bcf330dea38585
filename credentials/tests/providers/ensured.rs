//! Secrets that are made if they are missing, against a stand-in for Vault that holds versions and checks `cas`.

use crate::stand_in::{Asked, Said, StandIn, keeper, private};
use credentials::{Access, Cause, Keeper, KeptSecret, VaultAccess, VaultLogin};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// One secret: its version and entries. `None`: its latest version was deleted.
#[derive(Default)]
struct Held {
    version: u64,
    entries: Option<Value>,
    /// Somebody else writes right before the next write.
    rival: bool,
}

fn answered(held: &mut Held, asked: &Asked) -> Said {
    if asked.target != "/v1/secret/data/platform/staging/redis" || asked.header("x-vault-token") != Some("hvs.hunter2") {
        return (403, r#"{"errors":["permission denied"]}"#.into());
    }
    if asked.method == "GET" {
        let metadata = json!({ "version": held.version });
        return match (&held.entries, held.version) {
            (_, 0) => (404, r#"{"errors":[]}"#.into()),
            (None, _) => (404, json!({ "data": { "data": null, "metadata": metadata } }).to_string()),
            (Some(entries), _) => (200, json!({ "data": { "data": entries, "metadata": metadata } }).to_string()),
        };
    }
    if std::mem::take(&mut held.rival) {
        held.version += 1;
        held.entries = Some(json!({ "PASSWORD": "rival-hunter2" }));
    }
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    if body["options"]["cas"].as_u64() != Some(held.version) {
        return (400, r#"{"errors":["check-and-set parameter did not match the current version"]}"#.into());
    }
    held.version += 1;
    held.entries = Some(body["data"].clone());
    (200, json!({ "data": { "version": held.version } }).to_string())
}

struct Rig {
    held: Arc<Mutex<Held>>,
    server: StandIn,
    keeper: Keeper,
    _folder: tempfile::TempDir,
}

const PATH: &str = "secret/platform/staging/redis";

impl Rig {
    async fn new(held: Held) -> Self {
        let held = Arc::new(Mutex::new(held));
        let kept = Arc::clone(&held);
        let server = StandIn::start(move |asked, _| answered(&mut kept.lock().expect("not poisoned"), asked)).await;
        let folder = tempfile::tempdir().expect("a folder");
        let login = VaultLogin::Token { file: private(folder.path(), "token", "hvs.hunter2") };
        let vault = VaultAccess { address: server.url.clone(), login, namespace: None, ca_file: None };
        Self { held, server, keeper: keeper(Access { vault: Some(vault), ..Access::default() }), _folder: folder }
    }

    fn keys() -> Vec<String> {
        ["PASSWORD", "SALT"].map(str::to_owned).to_vec()
    }

    async fn ensure(&self) -> Result<KeptSecret, Cause> {
        self.keeper.ensure_secret(PATH, &Self::keys()).await.map_err(|error| {
            assert!(!error.to_string().contains("hunter2"), "{error}");
            error.cause
        })
    }

    fn entry(&self, name: &str) -> String {
        self.held.lock().expect("not poisoned").entries.as_ref().expect("entries")[name].as_str().expect("a text").to_owned()
    }
}

#[tokio::test]
async fn what_is_missing_is_made_once_and_what_is_there_stays() {
    let rig = Rig::new(Held::default()).await;
    let kept = rig.keeper.kept_secret(PATH, &Rig::keys()).await.expect("read");
    assert_eq!(kept, KeptSecret { version: 0, missing: Rig::keys() });
    assert!(rig.server.asked().iter().all(|asked| asked.method == "GET"), "looking changes nothing");
    assert_eq!(rig.ensure().await, Ok(KeptSecret { version: 1, missing: Rig::keys() }));
    let password = rig.entry("PASSWORD");
    assert!(password.len() == 24 && password != rig.entry("SALT"));
    assert_eq!(rig.ensure().await, Ok(KeptSecret { version: 1, missing: Vec::new() }));
    assert_eq!(rig.entry("PASSWORD"), password);
}

#[tokio::test]
async fn a_secret_with_other_entries_keeps_them() {
    let rig = Rig::new(Held { version: 7, entries: Some(json!({ "PASSWORD": "old", "OTHER": 5 })), rival: false }).await;
    assert_eq!(rig.ensure().await, Ok(KeptSecret { version: 8, missing: vec!["SALT".to_owned()] }));
    assert_eq!((rig.entry("PASSWORD").as_str(), rig.entry("SALT").len()), ("old", 24));
    assert_eq!(rig.held.lock().expect("not poisoned").entries.as_ref().expect("entries")["OTHER"], 5);
}

#[tokio::test]
async fn whoever_was_quicker_is_not_overwritten() {
    let rig = Rig::new(Held { rival: true, ..Held::default() }).await;
    assert_eq!(rig.ensure().await, Ok(KeptSecret { version: 2, missing: vec!["SALT".to_owned()] }));
    assert_eq!(rig.entry("PASSWORD"), "rival-hunter2");
}

#[tokio::test]
async fn a_deleted_secret_is_not_made_again_and_no_vault_is_said() {
    let rig = Rig::new(Held { version: 3, entries: None, rival: false }).await;
    assert!(matches!(rig.ensure().await, Err(Cause::Denied(why)) if why.contains("deleted")));
    let without = keeper(Access::default()).ensure_secret(PATH, &Rig::keys()).await;
    assert!(matches!(without.map_err(|error| error.cause), Err(Cause::Denied(why)) if why.contains("not set up Vault")));
    let elsewhere = rig.keeper.kept_secret("secret/other", &Rig::keys()).await;
    assert!(matches!(elsewhere.map_err(|error| error.cause), Err(Cause::Denied(_))));
}
