//! The words of every refusal, as a golden list: a change here is a change of the API.

use super::*;
use crate::auth::Scope;
use std::time::Duration;

fn body(refusal: &Refusal) -> String {
    let (status, _) = refusal.code();
    format!("{status} {}", serde_json::to_string(&ErrorBody::from(refusal)).unwrap())
}

#[test]
fn every_refusal_has_its_words() {
    let refusals = [
        Refusal::NoKey,
        Refusal::BadKey,
        Refusal::TooManyFailures { retry_after: Duration::from_secs(7) },
        Refusal::MissingScope(Scope::Approve),
        Refusal::BadSignature,
        Refusal::Untrusted,
        Refusal::Unheard { retry_after: Duration::from_secs(7) },
        Refusal::OriginNotAllowed,
        Refusal::HostNotAllowed,
        Refusal::RunNotFound(Door::Deploy),
        Refusal::RunNotFound(Door::V1),
        Refusal::KeyNotFound,
        Refusal::LogNotFound,
        Refusal::OrderNotFound,
        Refusal::DeliveryNotFound,
        Refusal::NotOver,
        Refusal::Gone,
        Refusal::NoSuchPath,
        Refusal::NoSource,
        Refusal::MethodNotAllowed,
        Refusal::Command { not_found: false, code: "wrong_state".into(), message: "the run is over".into(), status: "success".into() },
        Refusal::Command { not_found: true, code: "not_found".into(), message: "run not found".into(), status: String::new() },
        Refusal::BadInput(vec![FieldProblem::new("git_ref", "is required"), FieldProblem::new("timeout", "must be 1 to 1440 minutes")]),
        Refusal::field("", "the body must be a JSON object"),
        Refusal::BodyTooLarge { limit: 1024, setting: "gateway.body_limit_bytes" },
        Refusal::DeliveryTooLarge { limit: 2048 },
        Refusal::TooLargeToStore,
        Refusal::NotJson,
        Refusal::Encoded,
        Refusal::BodyTooSlow,
        Refusal::KeyReused,
        Refusal::TooManyReaders { per_key: Some(10) },
        Refusal::TooManyReaders { per_key: None },
        Refusal::Busy,
        Refusal::Unavailable,
        Refusal::Loading,
        Refusal::NoScheduler,
        Refusal::Internal,
    ];
    let told = refusals.iter().map(body).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(told, include_str!("refusals.txt"));
}

#[test]
fn a_repeat_is_offered_where_it_may_help() {
    for (refusal, seconds) in [(Refusal::Unavailable, Some("2")), (Refusal::Loading, Some("1")), (Refusal::BadKey, None)] {
        let response = refusal.clone().into_response();
        let header = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), seconds, "{refusal:?}");
    }
    let response = Refusal::NoKey.into_response();
    assert_eq!(response.headers().get(header::WWW_AUTHENTICATE).unwrap(), "Bearer");
}

#[test]
fn a_store_that_cannot_be_reached_is_503_and_a_fault_is_500() {
    let what = || "put run.x".to_owned();
    for (error, status) in [
        (BusError::Unavailable { what: what(), source: None }, 503),
        (BusError::Timeout { what: what() }, 503),
        (BusError::Full { what: what(), why: "maximum bytes".into() }, 503),
        (BusError::TooLarge { what: what(), bytes: 2, limit: 1 }, 413),
        (BusError::Denied { what: what(), subject: "x".into(), who: "this gateway".into() }, 500),
        (BusError::Corrupt { what: what(), source: None }, 500),
    ] {
        let told = format!("{error:?}");
        assert_eq!(Refusal::from(error).code().0, status, "{told}");
    }
}
