//! The text of an API key: `nvk_<id>_<64 hexadecimal digits>`.
//!
//! The id finds the record; the digits prove the right. Only a digest of the whole text is stored.

use proto::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "nvk_";
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// A key as its holder shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyText {
    id: String,
    text: Secret,
}

impl KeyText {
    /// A new key, random.
    pub(crate) fn random() -> Self {
        let random = || bus::BlobKey::random_hex();
        let id = random().expose()[..ID_DIGITS].to_owned();
        let text = Secret::new(format!("{PREFIX}{id}_{}", random().expose()));
        Self { id, text }
    }

    /// The key in a text that has its form; nothing is said about whether it exists.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, digits) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let legal = is_id(id) && digits.len() == SECRET_DIGITS && digits.bytes().all(is_digit);
        legal.then(|| Self { id: id.to_owned(), text: Secret::new(text) })
    }

    /// What finds the record. Public.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The text itself, to be shown once to whoever made the key.
    pub(crate) fn expose(&self) -> &str {
        self.text.expose()
    }

    /// What is stored of it, hex.
    pub(crate) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.text.expose().as_bytes()))
    }

    /// Whether `stored` is this key's digest. Takes the same time wherever they differ.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        self.digest().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

/// Whether a text can be the id of a key.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// Whether two secrets are equal, in a time that depends on neither: digests are compared, so not even a length shows.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()).ct_eq(&Sha256::digest(other.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_id_and_proved_by_its_digits() {
        let key = KeyText::random();
        let read = KeyText::parse(key.expose()).unwrap();
        assert_eq!(read, key);
        assert!(read.matches(&key.digest()) && !read.matches(&KeyText::random().digest()) && !read.matches(""));
        assert!(is_id(key.id()));
        assert_ne!(KeyText::random().expose(), key.expose());
    }

    #[test]
    fn it_does_not_print_itself() {
        let key = KeyText::random();
        assert!(!format!("{key:?}").contains(&key.expose()[21..]));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let id = "0123456789abcdef";
        let digits = "a".repeat(64);
        assert!(KeyText::parse(&format!("nvk_{id}_{digits}")).is_some());
        for text in [
            String::new(),
            format!("nvk_{id}"),
            format!("nvk_{id}_"),
            format!("nvk__{digits}"),
            format!("nvk_{id}_{}", &digits[1..]),
            format!("nvk_{id}_{digits}a"),
            format!("nvk_{id}_{}", "A".repeat(64)),
            format!("nvk_{id}_{digits} "),
            format!("nvk_../../../../{digits}"),
            format!("nvk_a.*.>.bcdefghij_{digits}"),
            format!("NVK_{id}_{digits}"),
        ] {
            assert_eq!(KeyText::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_the_same_only_when_they_are() {
        for (one, other, same) in [("a", "a", true), ("a", "b", false), ("a", "aa", false), ("", "a", false)] {
            assert_eq!(same_secret(one, other), same, "{one} {other}");
        }
    }
}
