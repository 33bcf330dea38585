//! The end of a run is told to addresses that its submitter gave: signed, again until it is received, and nowhere else.

use super::{
    Ring, job, order,
    receiver::{Heard, Receiver},
};
use crate::with;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::RunId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{eventually, fleet::Wishes};

const SECRET: &str = "whsec_c3Rvcmllcy1vZi1jYWxsYmFja3MtYXJlLXNpZ25lZA==";
const KEY: &[u8] = b"stories-of-callbacks-are-signed";

fn wishes(receiver: &Receiver) -> Wishes {
    Wishes::default()
        .set("NAVVY__GATEWAY__CALLBACK_HOSTS", receiver.host.clone())
        .set("NAVVY__GATEWAY__CALLBACK_SECRET", SECRET)
        .set("NAVVY__GATEWAY__PUBLIC_URL", "https://navvy.example")
}

fn calling(addresses: &[String]) -> Value {
    with(job(&[order("only", "true")]), json!({"callbacks": addresses}))
}

async fn heard(receiver: &Receiver, count: usize) -> anyhow::Result<Vec<Heard>> {
    let enough = || async { Ok(Some(receiver.heard()).filter(|heard| heard.len() >= count)) };
    eventually(&format!("{count} calls to have come"), enough).await
}

/// Waits until a callback is over, received or given up; what was noted about it.
async fn over(ring: &Ring, run: RunId, n: usize) -> anyhow::Result<Value> {
    let key = proto::subject::callback_key(run, n);
    eventually("the callback to be over", || async {
        let notice: Value = ring.bus.notices().get(&key).await?.value;
        Ok(Some(notice).filter(|notice| notice["over"] == true))
    })
    .await
}

/// As a receiver verifies it, with another library than ours.
fn verified(call: &Heard) -> anyhow::Result<Value> {
    let signed = [call.header("webhook-id").as_bytes(), b".", call.header("webhook-timestamp").as_bytes(), b".", &call.body].concat();
    let expected = format!("v1,{}", STANDARD.encode(super::hmac_sha256(KEY, &signed)?));
    assert_eq!(call.header("webhook-signature"), expected);
    Ok(serde_json::from_slice(&call.body)?)
}

#[tokio::test]
async fn an_end_is_told_again_until_it_is_received_also_by_a_gateway_that_was_started_in_between() -> anyhow::Result<()> {
    let receiver = Receiver::start(&[500]).await?;
    let mut ring = Ring::start(wishes(&receiver), &["w1"]).await?;
    let run = ring.submit(&calling(&[format!("http://{}/hook?permit=canary", receiver.host)])).await?;
    heard(&receiver, 1).await?;
    ring.fleet.kill("gateway")?;
    ring.fleet.start("gateway").await?;
    let calls = heard(&receiver, 2).await?;
    over(&ring, run, 0).await?;
    for call in &calls {
        let event = verified(call)?;
        assert_eq!((&call.method, call.path.as_str()), (&Method::POST, "/hook?permit=canary"));
        assert_eq!(call.header("content-type"), "application/cloudevents+json; charset=utf-8");
        assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("navvy.run.completed")), "{event:#}");
        assert_eq!((&event["source"], &event["subject"]), (&json!("https://navvy.example"), &json!(run)));
        assert_eq!((&event["data"]["status"], &event["data"]["summary"]["succeeded"]), (&json!("succeeded"), &json!(1)));
        assert_eq!(event["data"]["done_endpt"], format!("https://navvy.example/v1/runs/{run}/done"));
    }
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"), "a repeat is known by its id");
    assert_eq!(receiver.heard().len(), 2, "once it is received, it is over");
    let shown = ring.fleet.client.get(&format!("/v1/runs/{run}")).await?;
    assert!(!shown.to_string().contains("canary"), "the address may be its own permission: {shown:#}");
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_put_is_the_done_marker() -> anyhow::Result<()> {
    let receiver = Receiver::start(&[302]).await?;
    let ring = Ring::start(wishes(&receiver), &["w1"]).await?;
    let run = ring.submit(&calling(&[format!("http://{}/moved", receiver.host)])).await?;
    let notice = over(&ring, run, 0).await?;
    assert!(notice["problem"].as_str().is_some_and(|problem| problem.contains("redirects are not followed")), "{notice}");
    let paths: Vec<String> = receiver.heard().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/moved"]);

    let run = ring.submit(&calling(&[format!("PUT http://{}/bucket/done?X-Signature=abc", receiver.host)])).await?;
    over(&ring, run, 0).await?;
    let put = heard(&receiver, 2).await?.remove(1);
    assert_eq!((&put.method, put.path.as_str()), (&Method::PUT, "/bucket/done?X-Signature=abc"));
    let marker: Value = serde_json::from_slice(&put.body)?;
    assert_eq!(marker, json!({"status": "succeeded", "summary": {"succeeded": 1, "failed": 0, "timed_out": 0}}));
    assert_eq!(put.header("webhook-signature"), "", "its address is its permission");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_with_the_job() -> anyhow::Result<()> {
    let receiver = Receiver::start(&[]).await?;
    let ring = Ring::start(wishes(&receiver), &["w1"]).await?;
    let elsewhere = Receiver::start(&[]).await?;
    for (address, expected) in [
        (format!("http://{}/", elsewhere.host), "which is not among the hosts that the operator allows"),
        ("https://169.254.169.254/latest".to_owned(), "which is not among the hosts that the operator allows"),
        ("http://hooks.example/".to_owned(), "must be https"),
        (format!("http://a:b@{}/", receiver.host), "must not carry a user or password"),
    ] {
        let (code, answer) = ring.fleet.client.call(Method::POST, "/v1/orders", Some(&calling(std::slice::from_ref(&address)))).await?;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{address}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(expected)), "{address}: {answer}");
    }
    assert_eq!(ring.bus.sealed().list().await?, [], "nothing of it is stored");
    assert!(receiver.heard().is_empty() && elsewhere.heard().is_empty());
    Ok(())
}
