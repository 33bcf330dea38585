//! Where a page of runs ends: opaque to the caller, stable while runs come and go.
//!
//! It names the last run that was shown, not a number of rows, so a run that arrives meanwhile shifts nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use proto::RunId;
use sha2::{Digest as _, Sha256};

/// Tells a changed cursor from ours. Not a secret: a forged cursor shows nothing that its caller may not see.
const CHECK_BYTES: usize = 6;
const TEXT_LIMIT: usize = 256;

/// The place of a run in the list: newest first, ties by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// When the run was accepted.
    pub(crate) accepted_at: Timestamp,
    /// The run.
    pub(crate) id: RunId,
}

impl Place {
    /// The cursor that goes on behind this run.
    pub(crate) fn to_cursor(self) -> String {
        let text = format!("{}.{}", self.accepted_at.as_nanosecond(), self.id);
        let mut bytes = check(&text).to_vec();
        bytes.extend_from_slice(text.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place in a cursor; `None` if it is not one of ours.
    pub(crate) fn from_cursor(cursor: &str) -> Option<Self> {
        if cursor.len() > TEXT_LIMIT {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (told, text) = bytes.split_at_checked(CHECK_BYTES)?;
        let text = std::str::from_utf8(text).ok()?;
        if check(text) != told {
            return None;
        }
        let (nanoseconds, id) = text.split_once('.')?;
        let accepted_at = Timestamp::from_nanosecond(nanoseconds.parse().ok()?).ok()?;
        Some(Self { accepted_at, id: id.parse().ok()? })
    }
}

fn check(text: &str) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(format!("navvy runs cursor {text}").as_bytes());
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::ShardNo;

    proptest! {
        #[test]
        fn a_cursor_comes_back_and_a_changed_one_does_not(
            nanoseconds in -1_000_000_000_000_000_000_i128..4_000_000_000_000_000_000,
            seed in ".{0,8}",
            at in any::<proptest::sample::Index>(),
            by in 1_u8..63,
        ) {
            let place = Place { accepted_at: Timestamp::from_nanosecond(nanoseconds).unwrap(), id: RunId::from_repeatable(&[&seed], ShardNo(3)) };
            let cursor = place.to_cursor();
            prop_assert_eq!(Place::from_cursor(&cursor), Some(place));
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert_eq!(Place::from_cursor(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }

    #[test]
    fn garbage_is_no_cursor() {
        for garbage in ["", "x", "AAAAAAAAAAAA", "../../etc", "%00", &"A".repeat(10_000)] {
            assert_eq!(Place::from_cursor(garbage), None, "{garbage:.20}");
        }
    }
}
