//! Deliveries that are not what they should be, over a real store: rows W1 to W12, W17, W20, W21 and W29 of the table of hostile inputs,
//! by which the tests are named.

use crate::{
    admission::triggers,
    harness::{World, json, soon, told, until},
    hooks::{B, SECRET, followed, hex_mark, push, raw, records, send, unsigned, world},
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use service::settings::{Followed, Settings};
use std::path::Path;

#[tokio::test]
async fn w1_a_delivery_may_be_25_mib_long_and_no_longer() {
    let world = world().await;
    let limit = 25 << 20;
    let mut body = push(B, &[]).to_string().into_bytes();
    body.resize(limit, b' ');
    let (status, answer) = told(raw(&world.gateway, body.clone(), "d1")).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
    body.push(b' ');
    let announced = raw(&world.gateway, body.clone(), "d2");
    let chunks: Vec<_> = body.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let chunked = unsigned(&world.gateway, "/hooks/platform", Vec::new(), "d3")
        .header("x-hub-signature-256", mark)
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)));
    for request in [announced, chunked] {
        // A gateway that has answered reads no further, which the client may see as a broken connection.
        if let Ok(answer) = soon(request.send()).await {
            assert_eq!(answer.status(), 413);
            assert_eq!(json(answer).await["code"], json!("body_too_large"));
        }
    }
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
    assert_eq!(records(&world.store).await.len(), 1);
}

#[tokio::test]
async fn w2_w3_w17_w20_w21_what_cannot_be_read_is_refused_and_not_stored() {
    let world = world().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        &b"nonsense"[..],
        b"",
        b"[]",
        b"null",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"{}",
        br#"{"ref":"a","ref":"b"}"#,
        br#"{"a":NaN}"#,
        br#"{"a":1e400}"#,
        br#"{"a":"\ud800"}"#,
        b"{\"a\":\"\xff\"}",
        deep.as_bytes(),
    ] {
        let (status, answer) = told(raw(&world.gateway, body.to_vec(), "d")).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("bad_input")),
            "{}: {answer}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    let mut nul = push(B, &[]);
    nul["ref"] = json!("refs/heads/a\u{0}");
    assert_eq!(told(send(&world.gateway, &nul, "d")).await.0, 400);
    let body = push(B, &[]).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let typed = |kind: &str| {
        let request = world.gateway.bare(Method::POST, "/hooks/platform").header(header::CONTENT_TYPE, kind).body(body.clone());
        request.header("x-github-event", "push").header("x-hub-signature-256", &mark)
    };
    for (request, code) in [
        (typed("application/x-www-form-urlencoded"), "not_json"),
        (typed("text/plain"), "not_json"),
        (typed("application/json").header(header::CONTENT_ENCODING, "gzip"), "content_encoding"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["code"]), (415, &json!(code)), "{answer}");
    }
    assert_eq!((triggers(&world.store.bus).await, records(&world.store).await), (vec![], vec![]));
}

#[tokio::test]
async fn w4_to_w9_w12_what_is_not_signed_is_one_answer_and_leaves_a_bounded_trace() {
    let world = world().await;
    let body = push(B, &[]).to_string().into_bytes();
    let good = hex_mark(SECRET, &body);
    let bare = |path: &str| unsigned(&world.gateway, path, body.clone(), "d1");
    let with = |value: &str| bare("/hooks/platform").header("x-hub-signature-256", value);
    let mut bodies = std::collections::BTreeSet::new();
    for request in [
        bare("/hooks/platform"),
        bare("/webhook"),
        with(""),
        with("garbage"),
        with(&format!("sha256={}", &good[..63])),
        with(&format!("sha256={}", &good[..62])),
        with(&format!("sha256={}", "0".repeat(64))),
        with(&format!("SHA256={good}")),
        with(&format!("sha256= {good}")),
        with(&format!("sha256={}", hex_mark("another-secret-than-the-one-of-the-hook", &body))),
        with(&format!("sha256={}", hex_mark(SECRET, b"{}"))),
        bare("/hooks/platform").header("x-hub-signature", "sha1=33f9d709782f62b8b4a0178586c65ab098a39fe2"),
        // The secret is chosen by the address: this is the other source's form, and nobody's address.
        bare("/hooks/apps").header("x-hub-signature-256", format!("sha256={good}")),
        bare("/hooks/nobody").header("x-hub-signature-256", format!("sha256={good}")).header("x-github-hook-id", "platform"),
    ] {
        let (status, answer) = told(request).await;
        assert_eq!((status, &answer["error"]), (401, &json!("Invalid signature")), "{answer}");
        bodies.insert(answer.to_string());
    }
    assert_eq!(bodies.len(), 1, "nothing tells one from another");
    for twice in ["x-hub-signature-256", "x-github-delivery", "x-github-event"] {
        let request = with(&format!("sha256={good}")).header(twice, "x");
        assert_eq!(told(request).await.0, 400, "w8: {twice}");
    }
    assert_eq!(told(with(&format!("sha256={}", good.to_uppercase()))).await.0, 202, "w5: digits of either case");
    until(async || records(&world.store).await.iter().any(|(key, _)| key.contains(".refused."))).await;
    let traces: Vec<_> = records(&world.store).await.into_iter().filter(|(key, _)| key.contains(".refused.")).collect();
    assert!(traces.iter().all(|(_, record)| record["verdict"] == "refused" && record["run"].is_null()), "{traces:?}");
    let metrics = world.gateway.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("navvy_deliveries_total{source=\"platform\",verdict=\"accepted\"} 1"), "{metrics}");
    let refused = metrics.lines().find(|line| line.starts_with("navvy_deliveries_total{source=\"platform\",verdict=\"refused\"}")).unwrap();
    assert_eq!(refused.rsplit(' ').next(), Some("13"), "12 without a good signature and one with two of them");
}

#[tokio::test]
async fn an_address_that_is_not_there_answers_as_one_that_is() {
    let world = world().await;
    let body = push(B, &[]).to_string().into_bytes();
    let good = format!("sha256={}", hex_mark("another-secret-than-the-one-of-the-hook", &body));
    let json = "application/json";
    for (kind, coding, marks, headers) in [
        ("text/plain", "identity", vec![&good], vec![]),
        (json, "gzip", vec![&good], vec![]),
        (json, "identity", vec![&good, &good], vec![]),
        (json, "identity", vec![&good], vec![("x-github-delivery", "a"), ("x-github-delivery", "b")]),
        (json, "identity", vec![&good], vec![("x-github-event", "another one")]),
        (json, "identity", vec![], vec![]),
    ] {
        let mut answers = Vec::new();
        for path in ["/hooks/platform", "/hooks/nobody"] {
            let request = world.gateway.bare(Method::POST, path).header("x-github-event", "push").body(body.clone());
            let mut request = request.header(header::CONTENT_TYPE, kind).header(header::CONTENT_ENCODING, coding);
            for mark in &marks {
                request = request.header("x-hub-signature-256", *mark);
            }
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            answers.push(told(request).await);
        }
        assert_eq!(answers[0], answers[1], "{kind} {coding} {marks:?} {headers:?}");
    }
}

#[tokio::test]
async fn strangers_are_refused_unread_after_a_hundred_bad_signatures_and_others_are_heard() {
    let world = World::with(|settings| {
        settings.sources = vec![followed("platform")];
        settings.gateway.trusted_proxies = vec!["127.0.0.1".into()];
    })
    .await;
    let body = push(B, &[]).to_string().into_bytes();
    let bad = format!("sha256={}", "0".repeat(64));
    let from = |address: &str, path: &str, mark: &str| {
        let request = unsigned(&world.gateway, path, body.clone(), "d1").header("x-hub-signature-256", mark);
        request.header("x-forwarded-for", address)
    };
    let good = format!("sha256={}", hex_mark(SECRET, &body));
    assert_eq!(told(from("192.0.2.2", "/hooks/platform", &good)).await.0, 202);
    for address in ["192.0.2.1", "192.0.2.2"] {
        for n in 0..100 {
            // A stranger tries other addresses too, and is counted there as well.
            let path = ["/hooks/platform", "/hooks/nobody", "/deploy", "/sync"][n % 4];
            assert_eq!(told(from(address, path, &bad)).await.0, 401, "{address} {n}");
        }
    }
    for path in ["/hooks/platform", "/hooks/nobody", "/sync"] {
        let answer = soon(from("192.0.2.1", path, &good).send()).await.unwrap();
        assert_eq!(answer.status(), 429, "{path}: a good signature is not looked at either");
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(json(answer).await["code"], json!("too_many_failures"));
        assert_eq!(told(from("192.0.2.2", path, &bad)).await.0, 401, "{path}: one of them was good today");
    }
    assert_eq!(told(from("192.0.2.3", "/hooks/platform", &good)).await.0, 202, "and others are heard");
    assert_eq!(triggers(&world.store.bus).await.len(), 1);
}

#[tokio::test]
async fn w10_secrets_are_replaced_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webhook");
    std::fs::write(&path, SECRET).unwrap();
    let at = path.clone();
    let world = World::with(move |settings| {
        settings.sources = vec![Followed { webhook_secret: None, secrets_file: Some(at), ..followed("platform") }];
    })
    .await;
    let new = "the-secret-that-comes-after-the-first-one";
    let signed = |secret: &str, id: &str| {
        let body = push(B, &[]).to_string().into_bytes();
        let mark = format!("sha256={}", hex_mark(secret, &body));
        unsigned(&world.gateway, "/hooks/platform", body, id).header("x-hub-signature-256", mark)
    };
    assert_eq!((told(signed(SECRET, "a1")).await.0, told(signed(new, "b1")).await.0), (202, 401));
    replace(&path, &format!("{new}\n{SECRET}\n"));
    until(async || told(signed(new, "b2")).await.0 == 202).await;
    assert_eq!(told(signed(SECRET, "a2")).await.0, 202);
    replace(&path, new);
    until(async || told(signed(SECRET, "a3")).await.0 == 401).await;
    assert_eq!(told(signed(new, "b3")).await.0, 202);
    let of = |id: &str, kept: &[(String, Value)]| {
        kept.iter().find(|(_, record)| record["forge_id"] == id).map(|(_, record)| record["key_id"].as_str().unwrap().to_owned())
    };
    let kept = records(&world.store).await;
    assert_eq!((of("a1", &kept), of("b2", &kept)), (of("a2", &kept), of("b3", &kept)));
    assert_ne!(of("a1", &kept), of("b2", &kept));
    // What is no good is not used, and said.
    std::fs::write(&path, "half a sec").unwrap();
    until(async || told(world.gateway.get("/health")).await.1["checks"]["source:platform"] == json!(false)).await;
    assert_eq!(told(signed(new, "b4")).await.0, 202);
    replace(&path, new);
    until(async || told(world.gateway.get("/health")).await.1["checks"]["source:platform"] == json!(true)).await;
}

fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, path).unwrap();
}

#[tokio::test]
async fn w11_without_a_source_there_is_no_such_address_and_without_a_secret_no_gateway() {
    let world = World::start().await;
    let body = push(B, &[]).to_string().into_bytes();
    let mark = format!("sha256={}", hex_mark(SECRET, &body));
    let (status, answer) = told(unsigned(&world.gateway, "/hooks/platform", body.clone(), "d").header("x-hub-signature-256", &mark)).await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_such_path")));
    let (status, answer) = told(unsigned(&world.gateway, "/webhook", body, "d").header("x-hub-signature-256", &mark)).await;
    assert_eq!((status, &answer["status"]), (401, &json!("error")), "the door of orders, as ever: {answer}");
    let missing = Settings {
        sources: vec![Followed { webhook_secret: None, secrets_file: Some("/nonexistent/webhook".into()), ..followed("platform") }],
        git: service::settings::Git { allowed_hosts: vec!["git.example".into()], ..service::settings::Git::default() },
        ..Settings::default()
    };
    let deps = gateway::GatewayDeps {
        bus: world.store.bus.clone(),
        settings: std::sync::Arc::new(missing),
        metrics: service::metrics::Metrics::new("0", "t"),
        readiness: service::ops::Readiness::new(),
        tasks: service::shutdown::Tasks::new(service::shutdown::Shutdown::new()),
        secret_store: None,
    };
    let refused = gateway::router(&deps, tokio_util::sync::CancellationToken::new()).unwrap_err();
    let chain = std::iter::successors(Some(&refused as &dyn std::error::Error), |error| error.source());
    let told = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(told.contains("/nonexistent/webhook"), "{told}");
}

/// What is said in a conversation starts nothing here, whoever says it, wherever and however.
#[tokio::test]
async fn w29_comments_reviews_and_issues_start_nothing() {
    let world = world().await;
    let of = |action: &str, text: &str, association: &str| {
        json!({
            "action": action, "issue": {"number": 7, "pull_request": {"url": "x"}},
            "comment": {"id": 1, "body": text, "author_association": association, "user": {"login": "mallory"}},
            "review": {"id": 1, "body": text, "state": "approved"}, "changes": {"body": {"from": "before"}},
            "repository": {"id": 42, "full_name": "acme/infra"}, "sender": {"login": "mallory"},
            // As if it were a push.
            "ref": "refs/heads/main", "before": B, "after": B,
        })
    };
    let mut n = 0;
    for event in ["issue_comment", "pull_request_review", "pull_request_review_comment", "issues", "pull_request", "commit_comment"] {
        for (action, text, association) in [
            ("created", "navvy apply", "OWNER"),
            ("edited", "navvy apply", "OWNER"),
            ("created", "> navvy apply", "NONE"),
            ("submitted", "run apply", "NONE"),
        ] {
            n += 1;
            let body = of(action, text, association).to_string().into_bytes();
            let mark = format!("sha256={}", hex_mark(SECRET, &body));
            let request = world.gateway.bare(Method::POST, "/hooks/platform").header(header::CONTENT_TYPE, "application/json").body(body);
            let request = request.header("x-github-event", event).header("x-github-delivery", format!("d{n}"));
            let (status, answer) = told(request.header("x-hub-signature-256", mark)).await;
            assert_eq!(
                (status, &answer["status"], &answer["reason"]),
                (202, &json!("ignored"), &json!(format!("`{event}` is no push"))),
                "{action}"
            );
        }
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    assert!(records(&world.store).await.iter().all(|(_, record)| record["verdict"] == "ignored"));
}
