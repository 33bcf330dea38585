//! Keys, scopes, and callers that have none.

use crate::harness::{TOKEN, World, told};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};

async fn make(world: &World, name: &str, scopes: &[&str]) -> Value {
    let (status, key) = told(world.gateway.post("/v1/keys").json(&json!({ "name": name, "scopes": scopes }))).await;
    assert_eq!(status, 201, "{key}");
    key
}

fn with(request: RequestBuilder, key: &Value) -> RequestBuilder {
    request.bearer_auth(key["key"].as_str().unwrap())
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_revoked_everywhere() {
    let world = World::start().await;
    let other = world.store.gateway(|_| {}).await;
    let key = make(&world, "ci", &["read", "deploy", "read"]).await;
    assert!(key["key"].as_str().unwrap().starts_with(&format!("nvk_{}_", key["id"].as_str().unwrap())));
    let (status, me) = told(with(other.bare(Method::GET, "/v1/whoami"), &key)).await;
    assert_eq!((status, me), (200, json!({ "name": "ci", "scopes": ["read", "deploy"] })));
    let (_, list) = told(world.gateway.get("/v1/keys")).await;
    let listed = &list["keys"][0];
    assert_eq!((&listed["id"], &listed["created_by"], &listed["expired"]), (&key["id"], &json!("admin"), &json!(false)));
    assert!(listed["last_used_at"].is_string());
    assert!(!list.to_string().contains(&key["key"].as_str().unwrap()[21..]));
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(told(world.gateway.request(Method::DELETE, &path)).await.0, 204);
    assert_eq!(told(with(world.gateway.bare(Method::GET, "/v1/whoami"), &key)).await.0, 401);
    assert_eq!(told(world.gateway.request(Method::DELETE, &path)).await.0, 404);
    assert_eq!(told(world.gateway.request(Method::DELETE, "/v1/keys/sealing.public")).await.0, 404);
    crate::harness::until(async || told(with(other.bare(Method::GET, "/v1/whoami"), &key)).await.0 == 401).await;
    assert_eq!(told(world.gateway.get("/v1/keys")).await.1, json!({ "keys": [] }));
}

#[tokio::test]
async fn each_key_opens_what_its_scope_says_and_nothing_else() {
    let world = World::start().await;
    let id = "0192f0c1-7e3a-7abc-8def-0123456789ab";
    let routes = [
        (Method::GET, "/v1/runs".to_owned(), "read"),
        (Method::GET, format!("/v1/runs/{id}"), "read"),
        (Method::GET, format!("/v1/runs/{id}/jobs"), "read"),
        (Method::GET, format!("/v1/runs/{id}/logs"), "read"),
        (Method::GET, format!("/v1/runs/{id}/log.txt"), "read"),
        (Method::GET, format!("/deploy/{id}/status"), "read"),
        (Method::GET, format!("/deploy/{id}/logs"), "read"),
        (Method::GET, "/v1/locks".to_owned(), "read"),
        (Method::GET, "/v1/workers".to_owned(), "read"),
        (Method::GET, "/v1/queues".to_owned(), "read"),
        (Method::POST, "/deploy".to_owned(), "deploy"),
        (Method::POST, "/v1/probes".to_owned(), "deploy"),
        (Method::POST, format!("/deploy/{id}/cancel"), "deploy"),
        (Method::POST, format!("/v1/runs/{id}/cancel"), "deploy"),
        (Method::POST, format!("/deploy/{id}/approve"), "approve"),
        (Method::POST, format!("/deploy/{id}/reject"), "approve"),
        (Method::POST, format!("/v1/runs/{id}/approve"), "approve"),
        (Method::POST, format!("/v1/runs/{id}/reject"), "approve"),
        (Method::POST, format!("/v1/runs/{id}/resolve"), "admin"),
        (Method::POST, "/v1/keys".to_owned(), "admin"),
        (Method::GET, "/v1/keys".to_owned(), "admin"),
        (Method::DELETE, "/v1/keys/0123456789abcdef".to_owned(), "admin"),
    ];
    let scopes = ["read", "deploy", "approve", "admin"];
    let mut keys = Vec::new();
    for scope in scopes {
        keys.push(make(&world, &format!("{scope} key"), &[scope]).await);
    }
    for (method, path, needed) in routes {
        let (status, answer) = told(world.gateway.bare(method.clone(), &path)).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some("no_key")), "{path}");
        for (scope, key) in scopes.iter().zip(&keys) {
            let (status, answer) = told(with(world.gateway.bare(method.clone(), &path), key)).await;
            let allowed = *scope == needed || *scope == "admin";
            assert_eq!(status != 403, allowed, "{method} {path} with {scope}: {answer}");
            if !allowed {
                assert_eq!(
                    answer["error"].as_str(),
                    Some(&*format!("the key lacks the scope `{needed}`: ask an administrator for a key that has it"))
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let world = World::start().await;
    let key = make(&world, "ci", &["read"]).await;
    let text = key["key"].as_str().unwrap();
    let (id, digits) = (key["id"].as_str().unwrap(), text.rsplit('_').next().unwrap());
    let bare = || world.gateway.bare(Method::GET, "/v1/runs");
    for (request, code) in [
        (bare(), "no_key"),
        (world.gateway.bare(Method::GET, &format!("/v1/runs?token={text}")), "no_key"),
        (bare().header(header::AUTHORIZATION, text), "bad_key"),
        (bare().header(header::AUTHORIZATION, "Bearer"), "bad_key"),
        (bare().basic_auth("admin", Some(TOKEN)), "bad_key"),
        (bare().bearer_auth(format!("{TOKEN}x")), "bad_key"),
        (bare().bearer_auth(&TOKEN[1..]), "bad_key"),
        (bare().bearer_auth(format!("nvk_{id}_{}", digits.chars().rev().collect::<String>())), "bad_key"),
        (bare().bearer_auth(format!("nvk_0000000000000000_{digits}")), "bad_key"),
        (bare().bearer_auth("x".repeat(10_000)), "bad_key"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some(code)));
        assert!(!answer.to_string().contains(digits));
    }
}

#[tokio::test]
async fn two_authorization_headers_are_bad_input_whichever_is_good() {
    let world = World::start().await;
    for (first, second) in [(TOKEN, "nonsense"), ("nonsense", TOKEN), (TOKEN, TOKEN)] {
        let request = world.gateway.bare(Method::GET, "/v1/whoami").bearer_auth(first).bearer_auth(second);
        let (status, answer) = told(request).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some("Authorization")), "{first} {second}: {answer}");
    }
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let world = World::start().await;
    let key = make(&world, "ci", &["read"]).await;
    let stored = format!("api.{}", key["id"].as_str().unwrap());
    let mut record: Value = world.store.bus.keys().get(&stored).await.unwrap().unwrap();
    assert!(!record.to_string().contains(&key["key"].as_str().unwrap()[21..]), "only a digest is stored");
    record["expires_at"] = json!(Timestamp::from_second(1_700_000_000).unwrap());
    world.store.bus.keys().put(&stored, &record).await.unwrap();
    assert_eq!(told(with(world.gateway.bare(Method::GET, "/v1/whoami"), &key)).await.0, 401);
    assert_eq!(told(world.gateway.get("/v1/keys")).await.1["keys"][0]["expired"], json!(true));
}

#[tokio::test]
async fn who_fails_too_often_is_refused_while_a_good_key_still_works() {
    let world = World::start().await;
    let key = make(&world, "ci", &["read"]).await;
    let good = async || told(with(world.gateway.bare(Method::GET, "/v1/whoami"), &key)).await.0;
    assert_eq!(good().await, 200);
    let bad = async || world.gateway.bare(Method::GET, "/v1/whoami").bearer_auth("wrong").send().await.unwrap();
    for _ in 0..100 {
        assert_eq!(bad().await.status(), 401);
    }
    let refused = bad().await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(good().await, 200);
    assert_eq!(told(world.gateway.get("/v1/whoami")).await.1["name"], json!("admin"));
}

#[tokio::test]
async fn a_key_that_cannot_be_checked_is_not_believed() {
    let mut world = World::start().await;
    let key = make(&world, "ci", &["read"]).await;
    world.store.kill().await;
    let (status, answer) = told(with(world.gateway.bare(Method::GET, "/v1/whoami"), &key)).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("unavailable")));
}

#[tokio::test]
async fn anonymous_callers_are_let_in_only_where_the_settings_say_so_and_only_by_this_machine_s_name() {
    let world = World::with(|settings| settings.gateway.anonymous = true).await;
    let bare = || world.gateway.bare(Method::GET, "/v1/whoami");
    assert_eq!(told(bare()).await.1["name"], json!("anonymous"));
    assert_eq!(told(bare().bearer_auth("wrong")).await.0, 401);
    let (status, answer) = told(bare().header(header::HOST, "evil.example")).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("host_not_allowed")));
}
