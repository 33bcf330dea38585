//! Who asks for a sync or a version: a caller with an API key, or whoever signs with the secret of the first source's webhook.
//!
//! A signature is over the body, as a forge's is; or stamped, over time, nonce and body, which nobody can send again. A nonce is
//! used up in the store, so that this holds at every gateway.

use super::stamp::Stamp;
use crate::{
    answers::Refusal,
    app::{App, in_time},
    auth::{Access, Principal, Scope, Who, authorize},
    door::{
        body::{self, Bound},
        peer::client_ip,
    },
    hooks::{self, Refused, mark},
    sources::{KeyId, Secrets, Source},
};
use axum::{extract::Request, http::HeaderMap};
use bus::BusError;
use bytes::Bytes;
use jiff::Timestamp;
use proto::Secret;
use sha2::{Digest as _, Sha256};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq as _;

const SIGNATURE: &str = "x-hub-signature-256";
const TIMESTAMP: &str = "x-iac-timestamp";
const NONCE: &str = "x-iac-nonce";

/// A request whose sender is known.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    Key(Principal),
    /// With this secret of the first source.
    Signed(KeyId),
}

impl Asker {
    /// For records.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Key(caller) => caller.name().to_owned(),
            Self::Signed(key) => format!("signed/{key}"),
        }
    }
}

/// Why a signature is not believed; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unsigned {
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    #[error("the signature is not `sha256=` and 64 hexadecimal digits")]
    Form,
    #[error("X-IAC-Timestamp and X-IAC-Nonce go together: a time in seconds, and 8 to 128 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`")]
    Stamp,
    #[error("the stamp's time is further away than sync.signature_ttl")]
    Stale,
    #[error("the signature carries no time and no nonce, and sync.require_stamped_signatures is on")]
    NotStamped,
    #[error("its stamp was used before: each request needs a nonce of its own")]
    UsedUp,
    #[error("it was made with another secret, over another body or another stamp")]
    Mismatch,
}

/// What a request's signature says, before it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    mark: [u8; 32],
    stamp: Option<Stamp>,
}

/// A signature that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signed {
    key: KeyId,
    /// To be used up.
    stamp: Option<Stamp>,
}

/// Reads a request whose sender may be shown either way. A bad signature is never made good by a key: the body may not be what
/// was signed.
pub(crate) async fn asked(app: &Arc<App>, request: Request) -> Result<Asked, Refusal> {
    let headers = request.headers().clone();
    let caller = request.extensions().get::<Who>().cloned().map(|Who(caller)| caller);
    let deploy = |caller: &Principal| authorize(Some(caller), Access::Needs(Scope::Deploy), app.loopback);
    if !headers.contains_key(SIGNATURE) {
        let caller = caller.ok_or(Refusal::NoKey)?;
        deploy(&caller)?;
        let body = read(app, request).await?;
        return Ok(Asked { asker: Asker::Key(caller), headers, body });
    }
    // Nobody can sign for a repository that is not followed.
    let Some(source) = app.sources.first() else { return Err(Refusal::Untrusted) };
    if !source.is_ready() {
        return Err(Refusal::Unavailable);
    }
    let from = client_ip(request.extensions(), &headers, &app.limits.trusted_proxies);
    let event = format!("POST {}", request.uri().path());
    let not_believed = |why: Unsigned| not_believed(app, source, why, (&event, from));
    app.hearing.admit(from, Instant::now())?;
    let rules = (app.sync.require_stamped, app.sync.signature_ttl);
    let shown = shown(&headers, rules, Timestamp::now()).map_err(not_believed)?;
    let body = if caller.is_some() {
        read(app, request).await?
    } else {
        let is_json = body::is_json(&headers);
        let held = body::unproven(app, request, Bound::of_most_routes(app)).await?;
        if is_json { held.body } else { return Err(Refusal::NotJson) }
    };
    let signed = shown.verify(&source.secrets(), &body).map_err(not_believed)?;
    app.hearing.proved(from, Instant::now());
    if let Some(stamp) = &signed.stamp {
        // Once more: a body may take its time, and nonces are not remembered for that.
        if !stamp.is_fresh(app.sync.signature_ttl, Timestamp::now()) {
            return Err(not_believed(Unsigned::Stale));
        }
        if !use_up(app, stamp).await? {
            return Err(not_believed(Unsigned::UsedUp));
        }
    }
    failpoint::failpoint!("gateway.stamp.used");
    let asker = match caller {
        Some(caller) => {
            deploy(&caller)?;
            Asker::Key(caller)
        }
        None => Asker::Signed(signed.key),
    };
    Ok(Asked { asker, headers, body })
}

async fn read(app: &App, request: Request) -> Result<Bytes, Refusal> {
    let is_json = body::is_json(request.headers());
    let body = body::read(app, request).await?;
    if is_json { Ok(body) } else { Err(Refusal::NotJson) }
}

/// What is told is the same for all but one; the trace of the source knows why.
fn not_believed(app: &Arc<App>, source: &Source, why: Unsigned, (event, from): (&str, Option<IpAddr>)) -> Refusal {
    hooks::not_believed(app, source, Refused { event: event.to_owned(), delivery: String::new(), reason: why.to_string(), from });
    match why {
        Unsigned::Repeated(name) => Refusal::field(name, "is there more than once"),
        Unsigned::Form | Unsigned::Stamp | Unsigned::Stale | Unsigned::NotStamped | Unsigned::UsedUp | Unsigned::Mismatch => {
            Refusal::Untrusted
        }
    }
}

/// Whether the stamp had not been used before.
async fn use_up(app: &App, stamp: &Stamp) -> Result<bool, Refusal> {
    let digest = hex::encode(Sha256::digest(stamp.as_str().as_bytes()));
    in_time(async {
        match app.bus.nonces().take(&digest).await {
            Ok(()) => Ok(true),
            Err(BusError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn shown(headers: &HeaderMap, (stamped_only, ttl): (bool, Duration), now: Timestamp) -> Result<Shown, Unsigned> {
    let signature = one(headers, SIGNATURE)?.and_then(|text| text.strip_prefix("sha256=")).ok_or(Unsigned::Form)?;
    let mut mark = [0; 32];
    hex::decode_to_slice(signature, &mut mark).map_err(|_| Unsigned::Form)?;
    let stamp = match (one(headers, TIMESTAMP)?, one(headers, NONCE)?) {
        (Some(at), Some(nonce)) => {
            let stamp = Stamp::read(at, nonce).ok_or(Unsigned::Stamp)?;
            if !stamp.is_fresh(ttl, now) {
                return Err(Unsigned::Stale);
            }
            Some(stamp)
        }
        (None, None) if stamped_only => return Err(Unsigned::NotStamped),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(Unsigned::Stamp),
    };
    Ok(Shown { mark, stamp })
}

impl Shown {
    fn verify(self, secrets: &Secrets, body: &[u8]) -> Result<Signed, Unsigned> {
        let head = self.stamp.as_ref().map_or("", Stamp::as_str);
        let holds = |secret: &Secret| mark(secret.expose().as_bytes(), &[head.as_bytes(), body]).as_slice().ct_eq(self.mark.as_slice());
        let key = secrets.find(holds).ok_or(Unsigned::Mismatch)?;
        Ok(Signed { key, stamp: self.stamp })
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Unsigned> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Unsigned::Repeated(name));
    }
    let bad = if name == SIGNATURE { Unsigned::Form } else { Unsigned::Stamp };
    first.map(|value| value.to_str().map_err(|_| bad)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use service::settings::ForgeKind;

    /// The vectors of the service that Navvy replaces. Its secret is shorter than ours may be, so only marks are compared.
    #[test]
    fn marks_are_those_of_the_published_vectors() {
        let key = b"YOUR_SECRET";
        let version = br#"{"env":"staging","tag":"v1.2.4","triggered_by":"github-actions"}"#;
        let stamp = b"1700000000.0123456789abcdef0123456789abcdef.";
        for (parts, expected) in [
            (vec![&br#"{"services":["platform/postgres"]}"#[..]], "3a665aef07975e279c005b9570ccd2ea98f61e7c961adae2d069f7ebb8abea38"),
            (vec![&version[..]], "89cf1cad1185ac981216a8063e7e2b33980779c4ae0548bc99cd981cd6b4fe5b"),
            (vec![&stamp[..], &version[..]], "b69b2949ebe0d6dd2223c7d8fcc9c039c98687ac92d9e331f943693cbe629d15"),
        ] {
            assert_eq!(hex::encode(mark(key, &parts)), expected);
        }
    }

    const SECRET: &str = "the-secret-of-the-webhook-of-these-tests";
    const NONCE_OF_TESTS: &str = "0123456789abcdef0123456789abcdef";
    const TTL: Duration = Duration::from_mins(5);

    fn told(pairs: &[(&str, &str)], stamped_only: bool, body: &[u8]) -> Result<Signed, Unsigned> {
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())).collect();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        shown(&headers, (stamped_only, TTL), now)?.verify(&Secrets::parse(SECRET, ForgeKind::Github).unwrap(), body)
    }

    fn signed(stamp: &str, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(mark(SECRET.as_bytes(), &[stamp.as_bytes(), body])))
    }

    #[test]
    fn both_forms_are_believed_and_the_stamped_one_alone_where_it_is_required() {
        let plain = signed("", b"{}");
        assert!(told(&[(SIGNATURE, &plain)], false, b"{}").is_ok_and(|signed| signed.stamp.is_none()));
        assert_eq!(told(&[(SIGNATURE, &plain)], true, b"{}"), Err(Unsigned::NotStamped));
        let stamp = format!("1700000000.{NONCE_OF_TESTS}.");
        let stamped = signed(&stamp, b"{}");
        let full = [(SIGNATURE, stamped.as_str()), (TIMESTAMP, "1700000000"), (NONCE, NONCE_OF_TESTS)];
        for required in [false, true] {
            assert_eq!(told(&full, required, b"{}").unwrap().stamp.as_ref().map(Stamp::as_str), Some(stamp.as_str()));
        }
        assert_eq!(told(&full[..1], false, b"{}"), Err(Unsigned::Mismatch), "its stamp is signed too");
        assert_eq!(told(&full[..2], false, b"{}"), Err(Unsigned::Stamp));
        assert_eq!(told(&[(SIGNATURE, &plain), full[1], full[2]], false, b"{}"), Err(Unsigned::Mismatch), "a stamp that is there counts");
    }

    #[test]
    fn stamps_have_a_form_and_an_age() {
        for (at, nonce, why) in [
            ("1699999700", NONCE_OF_TESTS, None),
            ("1700000300", NONCE_OF_TESTS, None),
            ("1699999699", NONCE_OF_TESTS, Some(Unsigned::Stale)),
            ("1700000301", NONCE_OF_TESTS, Some(Unsigned::Stale)),
            ("now", NONCE_OF_TESTS, Some(Unsigned::Stamp)),
            ("", NONCE_OF_TESTS, Some(Unsigned::Stamp)),
            ("-5", NONCE_OF_TESTS, Some(Unsigned::Stamp)),
            ("99999999999999999999", NONCE_OF_TESTS, Some(Unsigned::Stamp)),
            ("1700000000", "1234567", Some(Unsigned::Stamp)),
            ("1700000000", "12345678", None),
            ("1700000000", "a b c d e f", Some(Unsigned::Stamp)),
            ("1700000000", "A.b_c:d-9", None),
        ] {
            let mark = signed(&format!("{at}.{nonce}."), b"{}");
            assert_eq!(told(&[(SIGNATURE, &mark), (TIMESTAMP, at), (NONCE, nonce)], false, b"{}").err(), why, "{at} {nonce}");
        }
        let long = "x".repeat(129);
        let mark = signed(&format!("1700000000.{long}."), b"{}");
        assert_eq!(told(&[(SIGNATURE, &mark), (TIMESTAMP, "1700000000"), (NONCE, &long)], false, b"{}"), Err(Unsigned::Stamp));
        let twice = [(SIGNATURE, mark.as_str()), (NONCE, NONCE_OF_TESTS), (NONCE, NONCE_OF_TESTS)];
        assert_eq!(told(&twice, false, b"{}"), Err(Unsigned::Repeated(NONCE)));
    }

    proptest! {
        #[test]
        fn one_bit_of_body_or_mark_is_enough(body in proptest::collection::vec(any::<u8>(), 1..100), at in any::<proptest::sample::Index>(), of_body in any::<bool>()) {
            let stamp = format!("1700000000.{NONCE_OF_TESTS}.");
            let mut mark = mark(SECRET.as_bytes(), &[stamp.as_bytes(), &body]);
            let mut seen = body.clone();
            let bytes: &mut [u8] = if of_body { &mut seen } else { &mut mark };
            let at = at.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            let text = format!("sha256={}", hex::encode(mark));
            prop_assert_eq!(told(&[(SIGNATURE, &text), (TIMESTAMP, "1700000000"), (NONCE, NONCE_OF_TESTS)], false, &seen), Err(Unsigned::Mismatch));
        }
    }
}
