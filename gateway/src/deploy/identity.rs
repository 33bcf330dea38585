//! Which run a request is: a new one, or with an Idempotency-Key the same one again.
//!
//! Pure. With a key everything that must be equal for equal requests is derived from the caller, the key and the body:
//!
//! - the run's id, so that a repeat finds its run and two different bodies can never share one, nor its secrets;
//! - the trigger's message id, from caller and key alone: the INBOX takes one trigger for it, whatever the body, whichever
//!   shard, so a second body under the same key is found out by the store itself and not by a race;
//! - the run's own key, from the gateway's secret as well, so that a twin that stores the bundle once more, however late,
//!   stores the same content.

use crate::answers::Refusal;
use axum::http::{HeaderMap, HeaderName};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::{RunId, Secret, ShardNo};
use sha2::Sha256;

/// The header of the key.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Said with the answer to a repeat.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_BYTES: usize = 200;

/// What makes a request this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) run: RunId,
    /// De-duplication id of the trigger.
    pub(crate) message_id: String,
    /// Seals the run's plan between its jobs.
    pub(crate) run_key: Secret,
    /// Digest of the body, keyed with the idempotency key; absent without one.
    pub(crate) digest: Option<String>,
}

impl Identity {
    /// A request that is like no other.
    pub(crate) fn fresh(shard: ShardNo) -> Self {
        let run = RunId::fresh(shard);
        Self { run, message_id: format!("deploy.{run}"), run_key: bus::BlobKey::random_hex(), digest: None }
    }

    /// A request that may come again.
    pub(crate) fn repeatable(request: &Repeatable<'_>, shard: ShardNo) -> Self {
        let Repeatable { caller, key, body, secret } = *request;
        let digest = mac(key.as_bytes(), &[body]);
        // The id only names caller and key; which run it became is found by the store.
        let message = RunId::from_repeatable(&["deploy key", caller, key], ShardNo(0));
        let run_key = mac(secret.expose().as_bytes(), &[b"navvy run key", caller.as_bytes(), key.as_bytes(), body]);
        Self {
            run: RunId::from_repeatable(&["deploy", caller, key, &digest], shard),
            message_id: format!("deploy.{message}"),
            run_key: Secret::new(run_key),
            digest: Some(digest),
        }
    }

    /// A run that stands in a record already. Whoever stores it stores the same: the digest only says what it is of.
    pub(crate) fn of_run(run: RunId, of: &str, secret: &Secret) -> Self {
        let run_key = mac(secret.expose().as_bytes(), &[b"navvy run key", of.as_bytes(), run.to_string().as_bytes()]);
        let digest = mac(b"", &[of.as_bytes(), run.to_string().as_bytes()]);
        Self { run, message_id: format!("deploy.{run}"), run_key: Secret::new(run_key), digest: Some(digest) }
    }
}

/// A request with an Idempotency-Key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeatable<'a> {
    /// Name of the caller: keys of different callers are different.
    pub(crate) caller: &'a str,
    pub(crate) key: &'a str,
    pub(crate) body: &'a [u8],
    /// Known to the gateways alone.
    pub(crate) secret: &'a Secret,
}

/// The request's idempotency key, if it has one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        (None, _) | (_, Some(_)) => {
            Err(Refusal::field("Idempotency-Key", format!("must be one value of 1 to {MAX_BYTES} visible ASCII characters")))
        }
    }
}

/// HMAC-SHA256 over the parts, each with its length, in hex.
fn mac(key: &[u8], parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn identity(caller: &str, key: &str, body: &str, shard: u8) -> Identity {
        let secret = Secret::new("s");
        Identity::repeatable(&Repeatable { caller, key, body: body.as_bytes(), secret: &secret }, ShardNo(shard))
    }

    #[test]
    fn a_repeat_is_the_same_in_everything() {
        assert_eq!(identity("ci", "k1", "body", 3), identity("ci", "k1", "body", 3));
        assert_eq!(identity("ci", "k1", "body", 3).run.shard(), ShardNo(3));
    }

    #[test]
    fn another_body_under_the_same_key_is_another_run_with_the_same_message_id() {
        let (one, other) = (identity("ci", "k1", "body", 0), identity("ci", "k1", "other", 5));
        assert_eq!(one.message_id, other.message_id);
        assert!(one.run != other.run && one.digest != other.digest && one.run_key != other.run_key);
    }

    #[test]
    fn a_run_of_a_record_is_the_same_for_whoever_stores_it() {
        let (run, secret) = (RunId::fresh(ShardNo(2)), Secret::new("s"));
        assert_eq!(Identity::of_run(run, "deployment x", &secret), Identity::of_run(run, "deployment x", &secret));
        let other = Identity::of_run(RunId::fresh(ShardNo(2)), "deployment x", &secret);
        let one = Identity::of_run(run, "deployment x", &secret);
        assert!(one.message_id != other.message_id && one.run_key != other.run_key && one.digest != other.digest);
    }

    #[test]
    fn keys_of_different_callers_have_nothing_in_common() {
        let one = identity("ci", "k1", "body", 0);
        for other in [identity("ann", "k1", "body", 0), identity("ci", "k2", "body", 0), identity("cik", "1", "body", 0)] {
            assert!(one.message_id != other.message_id && one.run != other.run && one.run_key != other.run_key);
        }
    }

    #[test]
    fn nothing_derived_tells_the_secret_or_the_body() {
        let printed = format!("{:?}", identity("ci", "k1", "canary", 0));
        assert!(!printed.contains("canary") && printed.contains("***"));
    }

    #[test]
    fn without_a_key_every_request_is_a_new_one() {
        let (one, other) = (Identity::fresh(ShardNo(0)), Identity::fresh(ShardNo(0)));
        assert!(one.run != other.run && one.message_id != other.message_id && one.run_key != other.run_key && one.digest.is_none());
    }

    #[test]
    fn a_key_is_one_visible_text() {
        let long = "x".repeat(MAX_BYTES);
        for (values, expected) in [
            (vec![], Ok(None)),
            (vec!["8e03978e-40d5-43dd-bc93-6894a57f9324"], Ok(Some("8e03978e-40d5-43dd-bc93-6894a57f9324"))),
            (vec![long.as_str()], Ok(Some(long.as_str()))),
            (vec![""], Err(())),
            (vec!["a b"], Err(())),
            (vec!["a", "b"], Err(())),
        ] {
            let headers: HeaderMap = values.iter().map(|value| (HEADER, HeaderValue::from_str(value).unwrap())).collect();
            assert_eq!(key_of(&headers).as_ref().map(Option::as_deref).map_err(|_| ()), expected, "{values:?}");
        }
        let longer = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(&"x".repeat(MAX_BYTES + 1)).unwrap())]);
        assert!(key_of(&longer).is_err());
        let invisible = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(b"\xc3\xa9").unwrap())]);
        assert!(key_of(&invisible).is_err());
    }
}
