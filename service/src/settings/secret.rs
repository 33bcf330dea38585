//! A text that must never be shown: passwords, tokens, keys.
//!
//! `Debug`, `Display` and `Serialize` all give `***`, so no log line, error or `config check` listing can leak it;
//! reading it takes the visible word [`Secret::expose`]. The memory is wiped on drop.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// What is shown in place of a secret.
const MASK: &str = "***";

/// A text that only [`Secret::expose`] gives out.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller's copy, if any, is the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Never put it in argv, a log, an error or an unsealed message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_printing_shows_the_mask() {
        let secret = Secret::new("canary-7f3a");
        let shown = [
            format!("{secret:?}"),
            format!("{secret:#?}"),
            secret.to_string(),
            format!("{:?}", Some(&secret)),
            serde_json::to_string(&secret).unwrap(),
        ];
        for text in shown {
            assert!(text.contains(MASK) && !text.contains("canary"), "{text}");
        }
        assert_eq!(secret.expose(), "canary-7f3a");
    }
}
