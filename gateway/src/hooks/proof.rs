//! Whether a delivery comes from its forge: what its headers show, and what its body makes of it.
//!
//! Pure. A mark is made with SHA-256 over the bytes as they arrived, and compared in constant time; SHA-1 is not looked at.
//! Which secrets are tried is decided by the address alone, never by a header or the body.

use crate::sources::{KeyId, Secrets};
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proto::Secret;
use service::settings::ForgeKind;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Bytes of an HMAC-SHA-256.
const LENGTH: usize = 32;
/// How far the time of a Standard Webhooks signature may be away, in seconds.
const TOLERANCE_SECONDS: i64 = 300;
/// Signatures in one Standard Webhooks header; more are not looked at.
const MOST_SIGNATURES: usize = 8;
/// How Standard Webhooks write a secret: this, and base64.
const STANDARD_SECRET: &str = "whsec_";

/// Why a delivery is not believed. All of them but one are the same answer to whoever sent it; which one is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    /// The one that is told: nobody can say which of two is meant.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    #[error("{0} is missing: give the webhook a secret, on the forge and in the source's secrets_file")]
    Missing(&'static str),
    #[error("{0} is not of the expected form")]
    Form(&'static str),
    #[error("the signature's time is more than 5 minutes away: compare the clocks, or the delivery was kept back")]
    Stale,
    #[error("it was made with another secret or over another body: compare the webhook's secret with the source's secrets_file")]
    Mismatch,
}

/// What a delivery shows before its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Marks over the body; every one must be right.
    Marks(Vec<[u8; LENGTH]>),
    /// A mark over id, time and body (Standard Webhooks); one of them must be right.
    Stamped { id: String, at: i64, marks: Vec<[u8; LENGTH]> },
    /// The secret itself, which was right.
    Known(KeyId),
}

/// A delivery that comes from its forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) key: KeyId,
    /// The delivery's id, where the signature covers it.
    pub(crate) signed_id: Option<String>,
    /// Nothing binds the body: the secret itself was shown. Whoever has it can write any body, so a repeat is known by the delivery's
    /// id alone; two pushes of such a forge may have the same body (there, back, and there again).
    pub(crate) unbound: bool,
}

/// The headers that a delivery shows something in, of any forge.
const MARKS: [&str; 7] = [
    "x-hub-signature-256",
    "x-hub-signature",
    "x-forgejo-signature",
    "x-gitea-signature",
    "webhook-signature",
    "x-gitlab-token",
    "authorization",
];

/// What a delivery for a source that is not there is refused for, if that shows before its body is read. Some of it is told, so it is
/// looked for there as well: answers do not say which sources there are.
pub(crate) fn shown_to_nobody(headers: &HeaderMap) -> Unproven {
    MARKS.iter().find_map(|name| one(headers, name).err()).unwrap_or(Unproven::Mismatch)
}

/// What a delivery's headers show. Whoever shows nothing, or the wrong secret, is refused here, unread.
pub(crate) fn shown(kind: ForgeKind, headers: &HeaderMap, secrets: &Secrets, now: Timestamp) -> Result<Shown, Unproven> {
    match kind {
        ForgeKind::Github => prefixed(headers, "x-hub-signature-256").map(|mark| Shown::Marks(vec![mark])),
        ForgeKind::BitbucketCloud | ForgeKind::BitbucketServer => prefixed(headers, "x-hub-signature").map(|mark| Shown::Marks(vec![mark])),
        ForgeKind::Gitea => gitea(headers),
        ForgeKind::Gitlab => gitlab(headers, secrets, now),
        ForgeKind::AzureDevops => basic(headers, secrets),
    }
}

impl Shown {
    /// Whether the body makes it true.
    pub(crate) fn verify(&self, secrets: &Secrets, body: &[u8]) -> Result<Proven, Unproven> {
        match self {
            Self::Marks(marks) => {
                let holds = |secret: &Secret| {
                    let made = mark(secret.expose().as_bytes(), &[body]);
                    marks.iter().fold(Choice::from(1), |all, given| all & made.as_slice().ct_eq(given.as_slice()))
                };
                let key = secrets.find(holds).ok_or(Unproven::Mismatch)?;
                Ok(Proven { key, signed_id: None, unbound: false })
            }
            Self::Stamped { id, at, marks } => {
                let head = format!("{id}.{at}.");
                let holds = |secret: &Secret| {
                    let made = mark(&standard_key(secret), &[head.as_bytes(), body]);
                    marks.iter().fold(Choice::from(0), |any, given| any | made.as_slice().ct_eq(given.as_slice()))
                };
                let key = secrets.find(holds).ok_or(Unproven::Mismatch)?;
                Ok(Proven { key, signed_id: Some(id.clone()), unbound: false })
            }
            Self::Known(key) => Ok(Proven { key: key.clone(), signed_id: None, unbound: true }),
        }
    }
}

/// Forgejo sends both headers, each with the same mark.
fn gitea(headers: &HeaderMap) -> Result<Shown, Unproven> {
    let mut marks = Vec::new();
    for name in ["x-forgejo-signature", "x-gitea-signature"] {
        if let Some(value) = one(headers, name)? {
            marks.push(digits(name, value)?);
        }
    }
    if marks.is_empty() { Err(Unproven::Missing("X-Gitea-Signature")) } else { Ok(Shown::Marks(marks)) }
}

/// The signed form, if it is there: a token beside it proves nothing then.
fn gitlab(headers: &HeaderMap, secrets: &Secrets, now: Timestamp) -> Result<Shown, Unproven> {
    let (signature, token) = (one(headers, "webhook-signature")?, one(headers, "x-gitlab-token")?);
    match (signature, token) {
        (Some(signature), _) => stamped(headers, signature, now),
        (None, Some(token)) => known(secrets, token.as_bytes()),
        (None, None) => Err(Unproven::Missing("X-Gitlab-Token")),
    }
}

/// <https://www.standardwebhooks.com>: `webhook-signature: v1,BASE64 v1,BASE64` over `id.time.body`.
fn stamped(headers: &HeaderMap, signature: &str, now: Timestamp) -> Result<Shown, Unproven> {
    let id = one(headers, "webhook-id")?.ok_or(Unproven::Missing("webhook-id"))?;
    let at = one(headers, "webhook-timestamp")?.ok_or(Unproven::Missing("webhook-timestamp"))?;
    if !is_id(id) || at.is_empty() || !at.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unproven::Form("webhook-id or webhook-timestamp"));
    }
    let at: i64 = at.parse().map_err(|_| Unproven::Form("webhook-timestamp"))?;
    if now.as_second().abs_diff(at) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Unproven::Stale);
    }
    let marks: Vec<_> = signature
        .split(' ')
        .filter_map(|part| part.strip_prefix("v1,"))
        .take(MOST_SIGNATURES)
        .filter_map(|text| STANDARD.decode(text).ok()?.try_into().ok())
        .collect();
    if marks.is_empty() { Err(Unproven::Form("webhook-signature")) } else { Ok(Shown::Stamped { id: id.to_owned(), at, marks }) }
}

fn basic(headers: &HeaderMap, secrets: &Secrets) -> Result<Shown, Unproven> {
    let value = one(headers, header::AUTHORIZATION.as_str())?.ok_or(Unproven::Missing("Authorization"))?;
    let (scheme, text) = value.split_once(' ').ok_or(Unproven::Form("Authorization"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Unproven::Form("Authorization"));
    }
    let pair = STANDARD.decode(text.trim()).map_err(|_| Unproven::Form("Authorization"))?;
    known(secrets, &pair)
}

/// A secret that was sent as it is. Digests are compared, so that the time tells nothing of its length either.
fn known(secrets: &Secrets, given: &[u8]) -> Result<Shown, Unproven> {
    let given = Sha256::digest(given);
    let holds = |secret: &Secret| Sha256::digest(secret.expose().as_bytes()).as_slice().ct_eq(given.as_slice());
    secrets.find(holds).map(Shown::Known).ok_or(Unproven::Mismatch)
}

/// `sha256=` and 64 hexadecimal digits.
fn prefixed(headers: &HeaderMap, name: &'static str) -> Result<[u8; LENGTH], Unproven> {
    let value = one(headers, name)?.ok_or(Unproven::Missing(name))?;
    digits(name, value.strip_prefix("sha256=").ok_or(Unproven::Form(name))?)
}

/// Digits of either case: bytes are compared.
fn digits(name: &'static str, text: &str) -> Result<[u8; LENGTH], Unproven> {
    let mut mark = [0; LENGTH];
    hex::decode_to_slice(text, &mut mark).map_err(|_| Unproven::Form(name))?;
    Ok(mark)
}

/// A header's only value.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Unproven> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Unproven::Repeated(name));
    }
    first.map(|value| value.to_str().map_err(|_| Unproven::Form(name))).transpose()
}

/// What a Standard Webhooks secret stands for; one that is written otherwise stands for itself.
fn standard_key(secret: &Secret) -> Vec<u8> {
    let decoded = secret.expose().strip_prefix(STANDARD_SECRET).and_then(|text| STANDARD.decode(text).ok());
    decoded.unwrap_or_else(|| secret.expose().as_bytes().to_vec())
}

/// What may stand before the first dot of what is signed.
fn is_id(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn mark(key: &[u8], parts: &[&[u8]]) -> [u8; LENGTH] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
