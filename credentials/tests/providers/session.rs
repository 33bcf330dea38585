//! A worker stays known to Vault: against a stand-in that grants leases, caps them, refuses and is away. Waits are over at once,
//! so what is looked at is the order of requests; when each is due is decided in `lease`.

use crate::stand_in::{Asked, Said, StandIn, keeper, private};
use credentials::{Access, Cause, Keeper, VaultAccess, VaultLogin};
use serde_json::json;

const LOCATION: &str = "vault:::kv2:secret/app";

fn by_role(server: &StandIn, folder: &std::path::Path) -> Keeper {
    let login = VaultLogin::AppRole { role_id: "role".into(), secret_id_file: private(folder, "secret-id", "hunter2") };
    let vault = VaultAccess { address: server.url.clone(), login, namespace: Some("team".into()), ca_file: None };
    keeper(Access { vault: Some(vault), ..Access::default() })
}

fn granted(token: &str, seconds: u64) -> Said {
    (200, json!({ "auth": { "client_token": token, "lease_duration": seconds, "renewable": true } }).to_string())
}

/// `login`, `renew`, `read` or `look`, and the token that was shown.
fn told(asked: &Asked) -> String {
    let what = match asked.target.as_str() {
        "/v1/auth/approle/login" => return "login".to_owned(),
        "/v1/auth/token/renew-self" => "renew",
        "/v1/auth/token/lookup-self" => "look",
        _ => "read",
    };
    format!("{what} {}", asked.header("x-vault-token").unwrap_or_default())
}

fn read() -> Said {
    (200, json!({ "data": { "data": { "A": "1" }, "metadata": { "version": 1 } } }).to_string())
}

/// Reads once and lets the keeper go on until so many requests have come; what they were.
async fn kept(server: &StandIn, keeper: &Keeper, requests: usize) -> Vec<String> {
    let enough = async {
        keeper.fetch(&LOCATION.parse().expect("a location")).await.expect("it is read");
        while server.count() < requests {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = keeper.keep_alive() => unreachable!("it never ends"),
        () = enough => {}
    }
    server.asked().iter().take(requests).map(told).collect()
}

#[tokio::test]
async fn a_token_is_renewed_until_its_maximum_is_near_and_then_there_is_another() {
    let server = StandIn::start(|asked, before| match told(asked).as_str() {
        "login" if before == 0 => granted("one", 3600),
        "login" => granted("two", 3600),
        // Vault grants no more than what is left of the maximum.
        "renew one" if before < 4 => granted("one", 3600),
        "renew one" => granted("one", 600),
        "renew two" => granted("two", 3600),
        _ => read(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let told = kept(&server, &by_role(&server, folder.path()), 8).await;
    assert_eq!(told, ["login", "read one", "renew one", "renew one", "renew one", "login", "renew two", "renew two"]);
    assert!(server.asked().iter().all(|asked| asked.header("x-vault-namespace") == Some("team")));
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_followed_by_a_login() {
    let server = StandIn::start(|asked, before| match told(asked).as_str() {
        "login" if before == 0 => granted("one", 3600),
        "login" => granted("two", 0),
        "renew one" => (403, r#"{"errors":["permission denied"]}"#.into()),
        _ => read(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let keeper = by_role(&server, folder.path());
    let until_the_new_one_is_used = async {
        while server.asked().last().map(told).as_deref() != Some("read two") {
            keeper.fetch(&LOCATION.parse().unwrap()).await.expect("it is read");
        }
    };
    tokio::select! {
        () = keeper.keep_alive() => unreachable!("it never ends"),
        () = until_the_new_one_is_used => {}
    }
    let others: Vec<String> = server.asked().iter().map(told).filter(|one| !one.starts_with("read")).collect();
    assert_eq!(others, ["login", "renew one", "login"], "the new one does not end");
}

#[tokio::test]
async fn a_vault_that_is_away_is_asked_again_with_the_same_token() {
    let server = StandIn::start(|asked, before| match told(asked).as_str() {
        "login" => granted("one", 3600),
        // Longer than one request has patience.
        "renew one" if before < 10 => (503, String::new()),
        "renew one" => granted("one", 3600),
        _ => read(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let told = kept(&server, &by_role(&server, folder.path()), 12).await;
    assert_eq!(told.iter().filter(|one| *one == "login").count(), 1, "{told:?}");
    assert_eq!(told[2..], vec!["renew one".to_owned(); 10]);
}

#[tokio::test]
async fn whether_the_token_is_good_is_asked_of_vault_and_not_each_time() {
    for (status, good) in [(200, true), (403, false), (404, false)] {
        let server = StandIn::start(move |asked, _| match told(asked).as_str() {
            "login" => granted("one", 3600),
            "look one" => (status, "{}".to_owned()),
            _ => read(),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let keeper = by_role(&server, folder.path());
        for _ in 0..3 {
            let found = keeper.check_vault().await;
            assert_eq!(found.is_ok(), good, "{status}: {found:?}");
            assert!(found.is_ok() || !format!("{found:?}").contains("one"), "{found:?}");
        }
        let looks = server.asked().iter().filter(|asked| told(asked) == "look one").count();
        assert!(looks <= 2, "{looks}");
    }
    let nobody = keeper(Access::default());
    assert!(!nobody.has_vault() && nobody.check_vault().await.is_ok());
}

#[tokio::test]
async fn a_secret_id_that_is_gone_is_a_denial() {
    let server = StandIn::start(|_, _| (400, String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(by_role(&server, folder.path()).check_vault().await, Err(Cause::Denied(_))));
}
