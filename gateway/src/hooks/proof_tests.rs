//! What is believed of each forge, and that nothing else is. Tests that begin with `w` and a number are rows of the table of
//! hostile inputs.

use super::*;
use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

const SECRET: &str = "It's a Secret to Everybody, it is";
const OTHER: &str = "the secret that comes after the one";
const BODY: &[u8] = br#"{"a":1}"#;

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text, ForgeKind::Github).unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn told(kind: ForgeKind, pairs: &[(&str, &str)], secrets: &Secrets, body: &[u8]) -> Result<Proven, Unproven> {
    shown(kind, &headers(pairs), secrets, now())?.verify(secrets, body)
}

fn hex_mark(secret: &str, body: &[u8]) -> String {
    hex::encode(mark(secret.as_bytes(), &[body]))
}

fn github(value: &str) -> Result<Proven, Unproven> {
    told(ForgeKind::Github, &[("x-hub-signature-256", value)], &secrets(SECRET), BODY)
}

#[test]
fn the_published_example_of_github_is_believed() {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let mac = mark(b"It's a Secret to Everybody", &[b"Hello, World!"]);
    assert_eq!(format!("sha256={}", hex::encode(mac)), signature);
}

#[test]
fn w4_no_signature_and_garbage_are_not_believed() {
    let good = hex_mark(SECRET, BODY);
    assert_eq!(told(ForgeKind::Github, &[], &secrets(SECRET), BODY), Err(Unproven::Missing("x-hub-signature-256")));
    for (value, why) in [
        (String::new(), Unproven::Form("x-hub-signature-256")),
        ("garbage".into(), Unproven::Form("x-hub-signature-256")),
        (format!("sha256={}", &good[..62]), Unproven::Form("x-hub-signature-256")),
        (format!("sha256={}", &good[..63]), Unproven::Form("x-hub-signature-256")),
        (format!("sha256={good}00"), Unproven::Form("x-hub-signature-256")),
        (format!("sha256={}", "0".repeat(64)), Unproven::Mismatch),
        (format!("sha512={good}{good}"), Unproven::Form("x-hub-signature-256")),
    ] {
        assert_eq!(github(&value), Err(why), "{value}");
    }
}

#[test]
fn w5_digits_of_either_case_are_believed_and_the_prefix_is_exact() {
    let good = hex_mark(SECRET, BODY);
    assert!(github(&format!("sha256={}", good.to_uppercase())).is_ok());
    for value in [format!("SHA256={good}"), format!("sha256= {good}"), format!(" {good}"), good.clone()] {
        assert_eq!(github(&value), Err(Unproven::Form("x-hub-signature-256")), "{value}");
    }
}

#[test]
fn w6_w7_sha1_is_not_looked_at() {
    let sha1 = ("x-hub-signature", "sha1=33f9d709782f62b8b4a0178586c65ab098a39fe2");
    assert_eq!(told(ForgeKind::Github, &[sha1], &secrets(SECRET), BODY), Err(Unproven::Missing("x-hub-signature-256")));
    let bad = format!("sha256={}", "1".repeat(64));
    assert_eq!(told(ForgeKind::Github, &[sha1, ("x-hub-signature-256", &bad)], &secrets(SECRET), BODY), Err(Unproven::Mismatch));
    assert_eq!(told(ForgeKind::BitbucketCloud, &[sha1], &secrets(SECRET), BODY), Err(Unproven::Form("x-hub-signature")));
}

#[test]
fn w8_two_signatures_are_ambiguous() {
    let good = format!("sha256={}", hex_mark(SECRET, BODY));
    for pair in [[good.as_str(), "sha256=00"], ["sha256=00", good.as_str()], [good.as_str(), good.as_str()]] {
        let both = [("x-hub-signature-256", pair[0]), ("x-hub-signature-256", pair[1])];
        assert_eq!(told(ForgeKind::Github, &both, &secrets(SECRET), BODY), Err(Unproven::Repeated("x-hub-signature-256")));
    }
}

#[test]
fn w9_json_that_only_means_the_same_is_another_body() {
    let signature = format!("sha256={}", hex_mark(SECRET, br#"{"a": 1}"#));
    assert_eq!(github(&signature), Err(Unproven::Mismatch));
}

#[test]
fn w10_both_secrets_hold_while_one_is_replaced_and_the_one_is_named() {
    let (a, b, both) = (secrets(SECRET), secrets(OTHER), secrets(&format!("{OTHER}\n{SECRET}")));
    let signed = |secret: &str| format!("sha256={}", hex_mark(secret, BODY));
    let key = |held: &Secrets, secret: &str| {
        told(ForgeKind::Github, &[("x-hub-signature-256", &signed(secret))], held, BODY).map(|proven| proven.key)
    };
    assert_eq!(key(&b, SECRET), Err(Unproven::Mismatch), "retired");
    assert_eq!(key(&both, SECRET), key(&a, SECRET));
    assert_eq!(key(&both, OTHER), key(&b, OTHER));
    assert_ne!(key(&both, OTHER), key(&both, SECRET));
}

#[test]
fn gitea_and_forgejo_send_bare_digits_and_every_one_must_be_right() {
    let (good, bad) = (hex_mark(SECRET, BODY), "1".repeat(64));
    let gitea = |pairs: &[(&str, &str)]| told(ForgeKind::Gitea, pairs, &secrets(SECRET), BODY).map(|_| ());
    assert_eq!(gitea(&[("x-gitea-signature", &good)]), Ok(()));
    assert_eq!(gitea(&[("x-forgejo-signature", &good), ("x-gitea-signature", &good)]), Ok(()));
    assert_eq!(gitea(&[("x-forgejo-signature", &good), ("x-gitea-signature", &bad)]), Err(Unproven::Mismatch));
    assert_eq!(gitea(&[("x-gitea-signature", &format!("sha256={good}"))]), Err(Unproven::Form("x-gitea-signature")));
    assert_eq!(gitea(&[("x-hub-signature-256", &format!("sha256={good}"))]), Err(Unproven::Missing("X-Gitea-Signature")));
}

#[test]
fn w15_the_token_of_gitlab_and_its_signed_form() {
    let gitlab = |pairs: &[(&str, &str)]| told(ForgeKind::Gitlab, pairs, &secrets(SECRET), BODY);
    assert!(gitlab(&[("x-gitlab-token", SECRET)]).is_ok());
    for wrong in [OTHER, &SECRET[1..], "", &format!("{SECRET} ")] {
        assert_eq!(gitlab(&[("x-gitlab-token", wrong)]), Err(Unproven::Mismatch), "{wrong}");
    }
    assert_eq!(gitlab(&[]), Err(Unproven::Missing("X-Gitlab-Token")));
    let signed = |at: i64, secret: &[u8]| {
        let mark = mark(secret, &[format!("msg_1.{at}.").as_bytes(), BODY]);
        (at.to_string(), format!("v1,{}", STANDARD.encode(mark)))
    };
    let send = |at: &str, signature: &str, token: Option<&str>, held: &Secrets| {
        let mut pairs = vec![("webhook-id", "msg_1"), ("webhook-timestamp", at), ("webhook-signature", signature)];
        pairs.extend(token.map(|token| ("x-gitlab-token", token)));
        told(ForgeKind::Gitlab, &pairs, held, BODY)
    };
    for (away, expected) in [(0, true), (-299, true), (300, true), (-600, false), (600, false)] {
        let (at, signature) = signed(1_700_000_000 + away, SECRET.as_bytes());
        let told = send(&at, &signature, None, &secrets(SECRET));
        assert_eq!(told.as_ref().ok().and_then(|proven| proven.signed_id.as_deref()), expected.then_some("msg_1"), "{away}");
        assert_eq!(told.err(), (!expected).then_some(Unproven::Stale));
    }
    let (at, signature) = signed(1_700_000_000, OTHER.as_bytes());
    assert_eq!(send(&at, &signature, Some(SECRET), &secrets(SECRET)), Err(Unproven::Mismatch), "the token does not make it good");
    let (_, right) = signed(1_700_000_000, SECRET.as_bytes());
    assert!(send(&at, &format!("v1a,xyz {signature} {right}"), None, &secrets(SECRET)).is_ok(), "one of several");
    let raw = [7_u8; 24];
    let standard = secrets(&format!("whsec_{}", STANDARD.encode(raw)));
    let (at, signature) = signed(1_700_000_000, &raw);
    assert!(send(&at, &signature, None, &standard).is_ok());
    for (at, signature) in
        [("", "v1,AAAA"), ("-5", "v1,AAAA"), ("1700000000", "v2,AAAA"), ("1700000000", "v1,AAAA"), ("99999999999999999999", "v1,AAAA")]
    {
        assert!(matches!(send(at, signature, None, &secrets(SECRET)), Err(Unproven::Form(_))), "{at} {signature}");
    }
}

#[test]
fn w16_azure_logs_in_and_bitbucket_signs() {
    let held = Secrets::parse("navvy:a-password-of-at-least-32-bytes", ForgeKind::AzureDevops).unwrap();
    let basic = |value: &str| told(ForgeKind::AzureDevops, &[("authorization", value)], &held, BODY).map(|_| ());
    let encoded = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    assert_eq!(basic(&encoded("navvy:a-password-of-at-least-32-bytes")), Ok(()));
    assert_eq!(basic(&encoded("navvy:another-password-of-some-length")), Err(Unproven::Mismatch));
    assert_eq!(basic(&encoded("other:a-password-of-at-least-32-bytes")), Err(Unproven::Mismatch));
    assert_eq!(basic("Bearer a-password-of-at-least-32-bytes"), Err(Unproven::Form("Authorization")));
    assert_eq!(basic("Basic %%%"), Err(Unproven::Form("Authorization")));
    assert_eq!(told(ForgeKind::AzureDevops, &[], &held, BODY), Err(Unproven::Missing("Authorization")));
    for kind in [ForgeKind::BitbucketCloud, ForgeKind::BitbucketServer] {
        assert_eq!(told(kind, &[], &secrets(SECRET), BODY), Err(Unproven::Missing("x-hub-signature")));
        let good = format!("sha256={}", hex_mark(SECRET, BODY));
        assert!(told(kind, &[("x-hub-signature", &good)], &secrets(SECRET), BODY).is_ok());
    }
}

proptest! {
    /// One bit flipped, in the body, the signature or the secret, is enough.
    #[test]
    fn one_bit_is_enough(
        body in proptest::collection::vec(any::<u8>(), 1..200), secret in "[ -9;-~]{32,80}", bit in any::<proptest::sample::Index>(), what in 0..3,
        stamped in any::<bool>(),
    ) {
        let flip = |bytes: &mut [u8]| { let at = bit.index(bytes.len() * 8); bytes[at / 8] ^= 1 << (at % 8); };
        let head: &[u8] = if stamped { b"msg_1.1700000000." } else { b"" };
        let (mut seen, mut key, mut signature) = (body.clone(), secret.clone().into_bytes(), mark(secret.as_bytes(), &[head, &body]));
        match what {
            0 => flip(&mut seen),
            // Only the lowest bit of a character, so that it stays text.
            1 => { let at = bit.index(key.len()); key[at] ^= 1; }
            _ => flip(&mut signature),
        }
        let send = |signature: &[u8], held: &Secrets, body: &[u8]| if stamped {
            let signature = format!("v1,{}", STANDARD.encode(signature));
            told(ForgeKind::Gitlab, &[("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", &signature)], held, body)
        } else {
            told(ForgeKind::Github, &[("x-hub-signature-256", &format!("sha256={}", hex::encode(signature)))], held, body)
        };
        let held = secrets(&String::from_utf8(key).unwrap());
        prop_assert_eq!(send(&signature, &held, &seen), Err(Unproven::Mismatch));
        prop_assert!(send(&mark(secret.as_bytes(), &[head, &body]), &secrets(&secret), &body).is_ok());
    }
}
