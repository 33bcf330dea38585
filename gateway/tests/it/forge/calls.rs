//! Single calls: pages, sizes, what every refusal means, and what is never shown.

use super::{Hub, configured, end, identity, pull};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use gateway::forge::{
    BadSignature, CommentId, Forge as _, ForgeError, RemoteComment, Signed,
    comment::{Comment, Line, State},
    find_by_tag,
    github::GitHub,
};
use proto::orders::{OrderCounts, PullRequest};
use serde_json::json;
use service::settings::{self, Period, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn pages_end_where_the_forge_says() {
    let hub = Hub::start(&[]);
    let forge = hub.forge();
    for (seeded, pages) in [(99, [false].as_slice()), (1, &[true, false]), (105, &[true, true, false])] {
        hub.control("seed", json!({"repo": "team/app", "number": 7, "bodies": vec!["x"; seeded]})).await;
        for (n, more) in pages.iter().enumerate() {
            assert_eq!(forge.comments(&pull(), n as u32 + 1).await.unwrap().more, *more, "{seeded} {n}");
        }
    }
    assert_eq!(find_by_tag(&forge, &pull(), &identity()).await, Ok(None));
}

#[tokio::test]
async fn the_longest_comment_is_taken_and_a_longer_one_is_refused() {
    let hub = Hub::start(&[]);
    let forge = hub.forge();
    let name = |n: u32| format!("{n}-{}", "\u{1f600}├@".repeat(60));
    let orders: Vec<Line> = (0..5000).map(|n| Line { name: name(n), state: State::Failed, reason: Some("<b>".into()) }).collect();
    let body = Comment { orders, counts: OrderCounts { total: 5000, ..OrderCounts::default() }, ..end() }.render();
    assert!(body.chars().count() > 30_000);
    let id = forge.create(&pull(), &body).await.expect("it fits");
    assert_eq!(forge.comments(&pull(), 1).await.unwrap().comments, [RemoteComment { id, body }]);
    let refused = forge.create(&pull(), &"x".repeat(65_537)).await.expect_err("too long");
    assert!(matches!(&refused, ForgeError::Refused(why) if why.contains("too long (maximum is 65536 characters)")), "{refused}");
    assert!(matches!(forge.update(&pull(), id, " ").await, Err(ForgeError::Refused(_))));
}

#[tokio::test]
async fn every_error_has_its_class() {
    let hub = Hub::start(&["--issue", "team/app#7"]);
    let forge = hub.forge();
    let nowhere = PullRequest { number: 8, ..pull() };
    assert!(matches!(forge.create(&nowhere, "x").await, Err(ForgeError::NotThere(what)) if what == "repos/team/app/issues/8/comments"));
    assert!(matches!(forge.update(&pull(), CommentId(1), "x").await, Err(ForgeError::NotThere(_))));
    assert!(matches!(forge.delete(&pull(), CommentId(1)).await, Err(ForgeError::NotThere(_))));
    let stranger = settings::GitHub { token: Some(Secret::new("ghp_other")), ..configured(&hub.url) };
    let denied = GitHub::new(&stranger).unwrap().create(&pull(), "x").await.expect_err("no such token");
    assert!(matches!(&denied, ForgeError::Denied(why) if why.contains("Bad credentials")), "{denied}");
    hub.faults(json!([
        {"kind": "status", "status": 403, "message": "Resource not accessible by personal access token"},
        {"kind": "status", "status": 301, "headers": {"Location": format!("{}/repositories/1/issues/7/comments", hub.url)}},
        {"kind": "status", "status": 410}, {"kind": "status", "status": 200},
    ]))
    .await;
    assert!(matches!(forge.create(&pull(), "x").await, Err(ForgeError::Denied(_))));
    assert!(matches!(forge.create(&pull(), "x").await, Err(ForgeError::Refused(why)) if why.contains("moved")));
    assert!(matches!(forge.create(&pull(), "x").await, Err(ForgeError::NotThere(_))));
    assert!(matches!(forge.comments(&pull(), 1).await, Err(ForgeError::Unavailable(_))), "a page that is none");
    assert!(!hub.asked().await.iter().any(|asked| asked.contains("/repositories/")), "nobody followed");
}

#[tokio::test]
async fn a_forge_that_does_not_answer_or_is_not_there_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let hasty = settings::GitHub { timeout: Period::seconds(1), ..configured(&address) };
    let error = GitHub::new(&hasty).unwrap().comments(&pull(), 1).await.expect_err("nobody answers");
    assert!(matches!(error, ForgeError::Unavailable(_)), "{error}");
    drop(silent);
    let error = GitHub::new(&hasty).unwrap().create(&pull(), "x").await.expect_err("nobody is there");
    assert!(matches!(&error, ForgeError::Unavailable(why) if !why.contains("127.0.0.1")), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let endless = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", endless.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = endless.accept().await.unwrap();
        // An answer before the request would be an error of its own.
        assert!(stream.read(&mut [0; 8192]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[").await.unwrap();
        while stream.write_all(&[b' '; 8192]).await.is_ok() {}
    });
    let error = GitHub::new(&configured(&address)).unwrap().comments(&pull(), 1).await.expect_err("too much");
    assert!(matches!(&error, ForgeError::Unavailable(why) if why.contains("larger")), "{error}");
}

#[tokio::test]
async fn without_a_token_webhooks_are_believed_and_nothing_is_asked() {
    let hub = Hub::start(&[]);
    let secret = Some(Secret::new("It's a Secret to Everybody"));
    let forge = GitHub::new(&settings::GitHub { token: None, webhook_secret: secret, ..configured(&hub.url) }).unwrap();
    // The example in GitHub's documentation.
    let signature = HeaderValue::from_static("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-hub-signature-256"), signature)]);
    assert_eq!(forge.verify(&headers, b"Hello, World!"), Ok(Signed::Current));
    assert_eq!(forge.verify(&headers, b"Hello, World?"), Err(BadSignature::Mismatch));
    assert!(!forge.may_comment());
    assert!(matches!(forge.create(&pull(), "x").await, Err(ForgeError::Denied(_))));
    assert_eq!(hub.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn no_secret_is_shown() {
    let hub = Hub::start(&[]);
    let signing = Secret::new("canary-of-the-webhook-of-32-chars");
    let forge = GitHub::new(&settings::GitHub { webhook_secret: Some(signing), ..configured(&hub.url) }).unwrap();
    assert!(!format!("{forge:?}").contains("canary"), "{forge:?}");
    assert_eq!(forge.verify(&HeaderMap::new(), b""), Err(BadSignature::Missing));
    let broken = settings::GitHub { token: Some(Secret::new("can\nary")), ..configured(&hub.url) };
    let told = GitHub::new(&broken).expect_err("no header").to_string();
    assert!(!told.contains("can\nary") && told.contains("gateway.github.token"), "{told}");
}
