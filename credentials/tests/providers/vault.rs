//! A stand-in for Vault that knows tokens, AppRoles, namespaces and version 2 of the key-value engine. No real one can be had
//! quickly where these tests run: no package registry has a program of it, and building its core takes longer than all tests.

use crate::stand_in::{Asked, Said, StandIn, keeper, private};
use credentials::{Access, Cause, Keeper, VaultAccess, VaultLogin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const TOKEN: &str = "hvs.hunter2";
/// Where a token is asked of itself whether it is good.
const LOOK: &str = "/v1/auth/token/lookup-self";

fn secret(asked: &Asked) -> Said {
    let answer = |data: Value| (200, json!({ "data": { "data": data, "metadata": { "version": 3 } } }).to_string());
    if asked.header("x-vault-token") != Some(TOKEN) {
        return (403, r#"{"errors":["permission denied"]}"#.into());
    }
    match (asked.method.as_str(), asked.target.as_str()) {
        ("GET", "/v1/secret/data/app/db") => answer(json!({ "DB_USER": "u", "DB_PORT": 5432, "bad-name": "x" })),
        ("GET", "/v1/secret/data/team%20a/x%25y") => answer(json!({ "A": "1" })),
        ("GET", "/v1/secret/data/nested") => answer(json!({ "A": "1", "B": { "C": "hunter3" } })),
        ("GET", "/v1/old/data/app") => (200, json!({ "data": { "A": "1" } }).to_string()),
        _ => (404, r#"{"errors":[]}"#.into()),
    }
}

fn access(server: &StandIn, login: VaultLogin) -> Access {
    let vault = VaultAccess { address: server.url.clone(), login, namespace: Some("team".into()), ca_file: None };
    Access { vault: Some(vault), ..Access::default() }
}

fn with_token(server: &StandIn, folder: &Path, token: &str) -> Keeper {
    keeper(access(server, VaultLogin::Token { file: private(folder, "token", token) }))
}

async fn fetched(keeper: &Keeper, location: &str) -> Result<BTreeMap<String, String>, Cause> {
    let variables = keeper.fetch(&location.parse().expect("a location")).await.map_err(|error| {
        assert!(error.location == location && !error.to_string().contains("hunter"), "{error}");
        error.cause
    })?;
    Ok(variables.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
}

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

#[tokio::test]
async fn a_secret_expands_or_one_field_of_it_is_picked() {
    let (server, folder) = (StandIn::start(|asked, _| secret(asked)).await, tempfile::tempdir().unwrap());
    let keeper = with_token(&server, folder.path(), "hvs.hunter2\n");
    assert_eq!(fetched(&keeper, "vault:::kv2:secret/app/db#DB_PORT").await, Ok(one("DB_PORT", "5432")));
    assert_eq!(fetched(&keeper, "vault:::kv2:secret/team a/x%y").await, Ok(one("A", "1")));
    let asked = &server.asked()[0];
    assert_eq!((asked.header("x-vault-namespace"), asked.header("x-vault-request")), (Some("team"), Some("true")));
    assert_eq!(keeper.token(&"vault:::kv2:secret/app/db#bad-name".parse().unwrap()).await.unwrap().expose(), "x");
    for (location, malformed) in [
        ("vault:::kv2:secret/app/db", true),
        ("vault:::kv2:secret/nested", true),
        ("vault:::kv2:old/app", true),
        ("vault:::kv2:secret", true),
        ("vault:::kv2:secret/../sys/x", true),
        ("vault:::kv2:secret//x", true),
        ("vault:::kv2:secret/absent", false),
        ("vault:::kv2:secret/app/db#absent", false),
    ] {
        match fetched(&keeper, location).await {
            Err(Cause::Malformed(_)) => assert!(malformed, "{location}"),
            Err(Cause::NotFound(_)) => assert!(!malformed, "{location}"),
            other => panic!("{location}: {other:?}"),
        }
    }
    assert!(server.asked().iter().all(|asked| asked.target.starts_with("/v1/") && !asked.target.contains("sys")));
}

#[tokio::test]
async fn a_token_that_is_refused_or_unusable_is_a_denial() {
    let (server, folder) = (StandIn::start(|asked, _| secret(asked)).await, tempfile::tempdir().unwrap());
    for (token, requests) in [("hvs.other", 2), ("", 2), ("hunter\n2", 2)] {
        let keeper = with_token(&server, folder.path(), token);
        assert!(matches!(fetched(&keeper, "vault:::kv2:secret/app/db#DB_USER").await, Err(Cause::Denied(_))), "{token:?}");
        assert_eq!(server.asked().len(), requests);
    }
    let nobody = keeper(Access::default());
    assert!(matches!(fetched(&nobody, "vault:::kv2:secret/app/db").await, Err(Cause::Denied(_))));
    let mut elsewhere = access(&server, VaultLogin::Token { file: "/nowhere/token".into() });
    elsewhere.vault.as_mut().unwrap().address = "http://vault.example.com".parse().unwrap();
    assert!(Keeper::new(elsewhere).is_err(), "a token does not travel in the clear");
}

#[tokio::test]
async fn an_approle_logs_in_once_and_again_when_its_token_has_ended() {
    let server = StandIn::start(|asked, before| match asked.target.as_str() {
        "/v1/auth/approle/login" => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let known = asked.method == "POST" && body == json!({ "role_id": "role", "secret_id": "hunter2" });
            if known { (200, json!({ "auth": { "client_token": TOKEN } }).to_string()) } else { (400, String::new()) }
        }
        // The third reading: its token has ended.
        _ if before == 3 || asked.target == LOOK => (403, String::new()),
        _ => secret(asked),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let login = |id: &str| VaultLogin::AppRole { role_id: "role".into(), secret_id_file: private(folder.path(), id, id) };
    let known = keeper(access(&server, login("hunter2")));
    for _ in 0..3 {
        assert_eq!(fetched(&known, "vault:::kv2:secret/app/db#DB_USER").await, Ok(one("DB_USER", "u")));
    }
    let targets: Vec<bool> = server.asked().iter().map(|asked| asked.target.ends_with("/login")).collect();
    assert_eq!(targets, [true, false, false, false, false, true, false]);
    let unknown = keeper(access(&server, login("hunter3")));
    assert!(matches!(fetched(&unknown, "vault:::kv2:secret/app/db").await, Err(Cause::Denied(_))));
}

/// What was asked, in words: `login`, `look`, `read`.
fn told(server: &StandIn) -> Vec<&'static str> {
    let word = |asked: &Asked| match asked.target.as_str() {
        "/v1/auth/approle/login" => "login",
        LOOK => "look",
        _ => "read",
    };
    server.asked().iter().map(word).collect()
}

/// A secret id may be good for few logins, and a path that a policy forbids is asked for by every sync.
#[tokio::test]
async fn a_path_that_is_not_allowed_costs_no_login() {
    const DENIED: &str = "vault:::kv2:secret/denied";
    let server = StandIn::start(|asked, before| match asked.target.as_str() {
        "/v1/auth/approle/login" => (200, json!({ "auth": { "client_token": if before == 0 { "hvs.one" } else { TOKEN } } }).to_string()),
        // The first one ends while the fourth reading is under way.
        LOOK if asked.header("x-vault-token") == Some(TOKEN) || before < 6 => (200, "{}".into()),
        _ => (403, r#"{"errors":["1 error occurred: permission denied"]}"#.into()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let role = VaultLogin::AppRole { role_id: "role".into(), secret_id_file: private(folder.path(), "id", "hunter2") };
    let keeper = keeper(access(&server, role));
    for (what, asked) in [
        ("new", &["login", "read"][..]),
        ("good", &["read", "look"]),
        ("good still", &["read", "look"]),
        ("ended", &["read", "look", "login", "read"]),
        ("good again", &["read", "look"]),
    ] {
        let before = server.count();
        let Err(Cause::Denied(why)) = fetched(&keeper, DENIED).await else { panic!("{what}: it is denied") };
        assert!(why.contains("policies") && why.contains("do not allow the path"), "{what}: {why}");
        assert_eq!(told(&server)[before..], *asked, "{what}");
    }
}

#[tokio::test]
async fn a_token_of_a_file_is_said_to_be_good_or_not() {
    for (alive, word) in [(200, "do not allow the path"), (403, "is wrong or has ended")] {
        let server = StandIn::start(move |asked, _| if asked.target == LOOK { (alive, "{}".into()) } else { (403, String::new()) }).await;
        let folder = tempfile::tempdir().unwrap();
        let found = fetched(&with_token(&server, folder.path(), TOKEN), "vault:::kv2:secret/app").await;
        assert!(matches!(&found, Err(Cause::Denied(why)) if why.contains(word)), "{found:?}");
        assert_eq!(told(&server), ["read", "look"]);
    }
}

/// Whether the token or the path is at fault is not known: nothing is thrown away.
#[tokio::test]
async fn a_token_that_cannot_be_asked_about_is_kept() {
    for (status, unreachable) in [(503, true), (404, false)] {
        let server = StandIn::start(move |asked, before| match asked.target.as_str() {
            "/v1/auth/approle/login" => (200, json!({ "auth": { "client_token": TOKEN } }).to_string()),
            LOOK => (status, String::new()),
            _ if before == 1 => secret(asked),
            _ => (403, String::new()),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let role = VaultLogin::AppRole { role_id: "role".into(), secret_id_file: private(folder.path(), "id", "hunter2") };
        let keeper = keeper(access(&server, role));
        fetched(&keeper, "vault:::kv2:secret/app/db#DB_USER").await.expect("it is read");
        for _ in 0..2 {
            let found = fetched(&keeper, "vault:::kv2:secret/app/db#DB_USER").await;
            let as_told = if unreachable { matches!(found, Err(Cause::Unreachable(_))) } else { matches!(found, Err(Cause::Malformed(_))) };
            assert!(as_told, "{found:?}");
        }
        assert_eq!(told(&server).iter().filter(|word| **word == "login").count(), 1);
    }
}

#[tokio::test]
async fn a_sealed_vault_is_out_of_reach() {
    let (server, folder) = (StandIn::start(|_, _| (503, String::new())).await, tempfile::tempdir().unwrap());
    let keeper = with_token(&server, folder.path(), TOKEN);
    assert!(matches!(fetched(&keeper, "vault:::kv2:secret/app/db").await, Err(Cause::Unreachable(_))));
    assert_eq!(server.asked().len(), 5);
}
