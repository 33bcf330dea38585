//! What is kept of a delivery: who sent it, what it told, what became of it. Nothing of its body but a digest, and names that
//! are safe to show.

use super::{SHOWN, judge::Moved, proof::Proven};
use crate::sources::Source;
use jiff::Timestamp;
use proto::{RunId, SourceId, git::CommitId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

/// Hexadecimal digits of a digest in a key.
const DIGITS: usize = 32;
/// What stands in the place of the delivery's id in the keys of those that were not believed.
pub(crate) const REFUSED: &str = "refused";

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It made a run.
    Accepted,
    /// It comes from the forge, and nothing was to be done.
    Ignored,
    /// Another delivery of the same had made the run.
    Duplicate,
    /// It was not believed.
    Refused,
    /// A person had it done once more.
    Redelivered,
}

impl Verdict {
    pub(crate) const ALL: [Self; 5] = [Self::Accepted, Self::Ignored, Self::Duplicate, Self::Refused, Self::Redelivered];

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Redelivered => "redelivered",
        }
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) source: SourceId,
    /// Word of the forge's kind.
    pub(crate) kind: String,
    pub(crate) event: String,
    /// The forge's id of it.
    pub(crate) forge_id: String,
    pub(crate) received_at: Timestamp,
    pub(crate) verdict: Verdict,
    /// Why nothing was done, or why it was not believed; else empty.
    #[serde(default)]
    pub(crate) reason: String,
    /// Which secret it was.
    #[serde(default)]
    pub(crate) key_id: Option<String>,
    #[serde(default)]
    pub(crate) run: Option<RunId>,
    /// Absent: its body was not read.
    #[serde(default)]
    pub(crate) body_sha256: Option<String>,
    #[serde(default)]
    pub(crate) reference: Option<String>,
    #[serde(default)]
    pub(crate) before: Option<CommitId>,
    #[serde(default)]
    pub(crate) after: Option<CommitId>,
    #[serde(default)]
    pub(crate) forced: bool,
    /// Who pushed, in the forge's words.
    #[serde(default)]
    pub(crate) sender: Option<String>,
    /// The address it came from.
    #[serde(default)]
    pub(crate) from: Option<String>,
    /// Another delivery had the same id and another body.
    #[serde(default)]
    pub(crate) id_reused: bool,
    /// The repository in the forge's words, as it may be shown, and its id there.
    #[serde(default)]
    pub(crate) repository: Option<String>,
    #[serde(default)]
    pub(crate) repository_id: Option<String>,
    /// How many other references it moved, of which nothing is kept.
    #[serde(default)]
    pub(crate) others: u32,
    /// The forge's id of it to the letter, where which run it is hangs on that as well as on the body.
    #[serde(default)]
    pub(crate) bound_id: Option<String>,
    /// Why it had been ignored, before it was judged anew and made its run.
    #[serde(default)]
    pub(crate) was_ignored: Option<String>,
    /// Of a request to judge it anew with an Idempotency-Key: what its repeat is known by.
    #[serde(default)]
    pub(crate) asked_with: Option<RunId>,
    /// Of a redelivery: who wanted it, and of which record. Of one that was judged anew because a person wanted it: who.
    #[serde(default)]
    pub(crate) by: Option<String>,
    #[serde(default)]
    pub(crate) of: Option<String>,
}

impl Delivery {
    /// A delivery of which nothing is known but where it came in.
    pub(crate) fn new(source: &Source, event: &str, forge_id: &str, verdict: Verdict) -> Self {
        Self {
            source: source.id.clone(),
            kind: source.kind.as_str().to_owned(),
            event: super::shown(event, SHOWN),
            forge_id: super::shown(forge_id, SHOWN),
            received_at: Timestamp::now(),
            verdict,
            reason: String::new(),
            key_id: None,
            run: None,
            body_sha256: None,
            reference: None,
            before: None,
            after: None,
            forced: false,
            sender: None,
            from: None,
            id_reused: false,
            repository: None,
            repository_id: None,
            others: 0,
            bound_id: None,
            was_ignored: None,
            asked_with: None,
            by: None,
            of: None,
        }
    }

    /// With what it moved, and whose it is.
    pub(crate) fn telling(self, moved: Moved, proven: &Proven, body: &BodyDigest) -> Self {
        let Moved { reference, before, after, forced, sender, repository, repository_id, others } = moved;
        let (key_id, body_sha256) = (Some(proven.key.as_str().to_owned()), Some(body.0.clone()));
        Self { key_id, body_sha256, reference, before, after, forced, sender, repository, repository_id, others, ..self }
    }
}

/// SHA-256 of a body, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyDigest(pub(crate) String);

impl BodyDigest {
    pub(crate) fn of(body: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(body)))
    }
}

/// The forge's id of a delivery as it stands in keys.
pub(crate) fn delivery_name(delivery: &str) -> String {
    digits(&hex::encode(Sha256::digest(delivery.as_bytes())))
}

/// The key of a delivery, which is also its id in the API: equal for the same id and body at the same source.
pub(crate) fn key(source: &SourceId, delivery: &str, body: &BodyDigest) -> String {
    format!("{source}.{}.{}", delivery_name(delivery), digits(&body.0))
}

/// The key of one of the last deliveries of a source that were not believed.
pub(crate) fn refused_key(source: &SourceId, slot: u32) -> String {
    format!("{source}.{REFUSED}.{slot:02}")
}

/// Whether a text may be a key.
pub(crate) fn is_key(text: &str) -> bool {
    let name = |part: &str| {
        (1..=64).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    text.split('.').count() == 3 && text.split('.').all(name)
}

fn digits(hex: &str) -> String {
    hex.chars().take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_source_delivery_and_body() {
        let source: SourceId = "platform".parse().unwrap();
        let (a, b) = (BodyDigest::of(b"a"), BodyDigest::of(b"b"));
        let one = key(&source, "d1", &a);
        assert_eq!(one, key(&source, "d1", &a));
        assert!(one != key(&source, "d2", &a) && one != key(&source, "d1", &b));
        assert_eq!(one.split('.').map(str::len).collect::<Vec<_>>(), [8, 32, 32]);
        assert_eq!(refused_key(&source, 7), "platform.refused.07");
        assert!(is_key(&one) && is_key(&refused_key(&source, 7)));
        for bad in ["", "a.b", "a.b.c.d", "a.*.c", "a..c", "../etc/x", "A.b.c"] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
