//! Webhooks that say who sent them: `X-Hub-Signature-256`, an HMAC-SHA-256 over the body byte for byte.
//!
//! Only the form that GitHub sends is accepted: one header, `sha256=` and 64 lower-case hexadecimal digits. SHA-1 is not.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use service::settings::Secret;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

const HEADER: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";
/// Bytes of an HMAC-SHA-256.
const LENGTH: usize = 32;

/// Which secret a delivery was signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The one that is in force.
    Current,
    /// The one before it: the forge has not been given the new one yet.
    Previous,
}

/// Why a delivery is not believed. All of them are one answer to whoever sent it; which one is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("no webhook secret is configured: set gateway.github.webhook_secret")]
    NoSecret,
    #[error("the delivery has no X-Hub-Signature-256: give the webhook a secret, on the forge and in gateway.github.webhook_secret")]
    Missing,
    #[error("the delivery has more than one X-Hub-Signature-256")]
    Repeated,
    #[error("X-Hub-Signature-256 is not `sha256=` and 64 lower-case hexadecimal digits")]
    Form,
    #[error("the signature is that of another secret or another body: compare the webhook's secret with gateway.github.webhook_secret")]
    Mismatch,
}

/// The secrets of a webhook.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets {
    pub(super) current: Option<Secret>,
    pub(super) previous: Option<Secret>,
}

impl Secrets {
    /// Takes the same time for a wrong signature as for a right one, and for one secret as for the other.
    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, BadSignature> {
        let given = given(headers);
        let current = self.current.as_ref().ok_or(BadSignature::NoSecret)?;
        let given = given?;
        let is_current = signs(current, body, &given);
        let is_previous = self.previous.as_ref().map_or(Choice::from(0), |secret| signs(secret, body, &given));
        match (is_current.into(), is_previous.into()) {
            (true, true | false) => Ok(Signed::Current),
            (false, true) => Ok(Signed::Previous),
            (false, false) => Err(BadSignature::Mismatch),
        }
    }
}

fn given(headers: &HeaderMap) -> Result<[u8; LENGTH], BadSignature> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next().ok_or(BadSignature::Missing)?;
    if values.next().is_some() {
        return Err(BadSignature::Repeated);
    }
    let text = value.to_str().map_err(|_| BadSignature::Form)?;
    let digits = text.strip_prefix(PREFIX).ok_or(BadSignature::Form)?;
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(BadSignature::Form);
    }
    let mut signature = [0; LENGTH];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| BadSignature::Form)?;
    Ok(signature)
}

fn signs(secret: &Secret, body: &[u8], given: &[u8; LENGTH]) -> Choice {
    // An HMAC takes a key of any length; the other arm cannot be reached, and would let nobody in.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return Choice::from(0);
    };
    let made = mac.chain_update(body).finalize().into_bytes();
    made.as_slice().ct_eq(given.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    /// The example in GitHub's documentation, "Validating webhook deliveries".
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(current: &str, previous: Option<&str>) -> Secrets {
        Secrets { current: Some(Secret::new(current)), previous: previous.map(Secret::new) }
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HEADER.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        format!("{PREFIX}{}", hex::encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn the_published_example_is_believed() {
        assert_eq!(secrets(SECRET, None).verify(&headers(&[SIGNATURE]), BODY), Ok(Signed::Current));
    }

    #[test]
    fn both_secrets_hold_while_one_is_replaced() {
        let both = secrets("new", Some(SECRET));
        assert_eq!(both.verify(&headers(&[SIGNATURE]), BODY), Ok(Signed::Previous));
        assert_eq!(both.verify(&headers(&[&sign("new", BODY)]), BODY), Ok(Signed::Current));
        assert_eq!(secrets("new", None).verify(&headers(&[SIGNATURE]), BODY), Err(BadSignature::Mismatch));
    }

    #[test]
    fn nothing_else_is_believed() {
        let digits = &SIGNATURE[PREFIX.len()..];
        let zeros = format!("{PREFIX}{}", "0".repeat(64));
        for (values, why) in [
            (vec![], BadSignature::Missing),
            (vec![""], BadSignature::Form),
            (vec![PREFIX], BadSignature::Form),
            (vec![digits], BadSignature::Form),
            (vec![&SIGNATURE[..SIGNATURE.len() - 1]], BadSignature::Form),
            (vec![&SIGNATURE[..SIGNATURE.len() - 2]], BadSignature::Form),
            (vec![&format!("{SIGNATURE}00")], BadSignature::Form),
            (vec![&format!("{PREFIX}{}", digits.to_uppercase())], BadSignature::Form),
            (vec![&format!("SHA256={digits}")], BadSignature::Form),
            (vec![&format!("sha256= {digits}")], BadSignature::Form),
            (vec![&format!("sha1={}", &digits[..40])], BadSignature::Form),
            (vec![&format!("sha512={digits}{digits}")], BadSignature::Form),
            (vec![&format!("{PREFIX}{}", "g".repeat(64))], BadSignature::Form),
            (vec![&zeros], BadSignature::Mismatch),
            (vec![SIGNATURE, SIGNATURE], BadSignature::Repeated),
            (vec![&zeros, SIGNATURE], BadSignature::Repeated),
        ] {
            assert_eq!(secrets(SECRET, None).verify(&headers(&values), BODY), Err(why), "{values:?}");
        }
    }

    #[test]
    fn the_header_of_sha1_is_not_looked_at() {
        let mut old = HeaderMap::new();
        old.insert("x-hub-signature", HeaderValue::from_static("sha1=0000000000000000000000000000000000000000"));
        assert_eq!(secrets(SECRET, None).verify(&old, BODY), Err(BadSignature::Missing));
    }

    #[test]
    fn without_a_secret_nobody_is_believed() {
        let none = Secrets { current: None, previous: Some(Secret::new(SECRET)) };
        assert_eq!(none.verify(&headers(&[SIGNATURE]), BODY), Err(BadSignature::NoSecret));
    }

    #[test]
    fn json_that_only_means_the_same_is_another_body() {
        let sent = headers(&[&sign(SECRET, br#"{"a": 1}"#)]);
        assert_eq!(secrets(SECRET, None).verify(&sent, br#"{"a":1}"#), Err(BadSignature::Mismatch));
    }

    proptest! {
        /// One bit flipped, in the body, the signature or the secret, is enough.
        #[test]
        fn one_bit_is_enough(
            body in proptest::collection::vec(any::<u8>(), 1..200), secret in "[ -~]{1,80}", bit in any::<proptest::sample::Index>(), what in 0..3,
        ) {
            let flip = |bytes: &mut [u8]| { let at = bit.index(bytes.len() * 8); bytes[at / 8] ^= 1 << (at % 8); };
            let (mut seen, mut key, mut signature) = (body.clone(), secret.clone().into_bytes(), sign(&secret, &body));
            match what {
                0 => flip(&mut seen),
                // Only the lowest bit of a character, so that it stays text.
                1 => { let at = bit.index(key.len()); key[at] ^= 1; }
                _ => {
                    let mut raw = hex::decode(&signature[PREFIX.len()..]).unwrap();
                    flip(&mut raw);
                    signature = format!("{PREFIX}{}", hex::encode(raw));
                }
            }
            let held = secrets(&String::from_utf8(key).unwrap(), None);
            prop_assert_eq!(held.verify(&headers(&[&signature]), &seen), Err(BadSignature::Mismatch));
            prop_assert_eq!(secrets(&secret, None).verify(&headers(&[&sign(&secret, &body)]), &body), Ok(Signed::Current));
        }
    }
}
