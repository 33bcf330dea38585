//! Who may do what: no token, wrong token, keys with scopes, revoked keys.

use crate::{HELLO, request, world};
use reqwest::{Method, StatusCode};
use serde_json::json;
use system_tests::{client::Client, eventually};

#[tokio::test]
async fn a_key_opens_its_scopes_and_nothing_else_until_it_is_revoked() -> anyhow::Result<()> {
    let (_git, repo, fleet) = world(HELLO).await?;
    let nobody = Client::new(&fleet.client.url, "wrong");
    for (method, path) in [(Method::GET, "/v1/runs"), (Method::POST, "/deploy"), (Method::GET, "/v1/locks"), (Method::GET, "/v1/keys")] {
        let (status, answer) = nobody.call(method, path, Some(&json!({}))).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {answer}");
    }
    assert_eq!(nobody.send(Method::GET, "/health", None).await?.status(), StatusCode::OK);

    let wanted = json!({"name": "ci", "scopes": ["read", "deploy"]});
    let (status, key) = fleet.client.call(Method::POST, "/v1/keys", Some(&wanted)).await?;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let ci = Client::new(&fleet.client.url, key["key"].as_str().expect("shown once"));
    let id = ci.deploy(&request(&repo)).await?;
    ci.wait_for(&id, "awaiting_approval").await?;
    // Waving a plan through beforehand is approving it.
    let (status, answer) = ci.call(Method::POST, "/deploy", Some(&crate::with(request(&repo), json!({"auto_approve": true})))).await?;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let (status, answer) = ci.say(&id, "approve", &json!({})).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("approve")), "{answer}");
    assert_eq!(ci.call(Method::GET, "/v1/keys", None).await?.0, StatusCode::FORBIDDEN);

    let listed = fleet.client.get("/v1/keys").await?;
    assert!(!listed.to_string().contains(&ci.token), "a key is shown once");
    let key_id = key["id"].as_str().expect("an id");
    let gone = fleet.client.send(Method::DELETE, &format!("/v1/keys/{key_id}"), None).await?;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    eventually("the revoked key to be refused", || async {
        Ok((ci.send(Method::GET, "/v1/runs", None).await?.status() == StatusCode::UNAUTHORIZED).then_some(()))
    })
    .await
}
