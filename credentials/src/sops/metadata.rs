//! What SOPS adds to a document: who can open it, which values are encrypted, and its MAC.

use super::cipher::{DataKey, KEY_BYTES};
use super::{Identities, METADATA, SopsError};
use crate::document::Node;
use age::armor::ArmoredReader;
use std::io::Read as _;

/// What is not encrypted when a document does not say.
const USUAL_SUFFIX: &str = "_unencrypted";
/// Entries that change what is encrypted or how the data key is found, in ways that are not read here.
const UNSUPPORTED: &[&str] =
    &["encrypted_regex", "unencrypted_regex", "encrypted_comment_regex", "unencrypted_comment_regex", "key_groups", "shamir_threshold"];

/// Which values are encrypted.
enum Rule {
    /// All but those with a name, or below a name, that ends so.
    ClearSuffix(String),
    /// Only those.
    SecretSuffix(String),
}

/// The metadata of one document.
pub(super) struct Metadata<'a> {
    rule: Rule,
    /// The data key, encrypted to each recipient.
    encrypted_keys: Vec<&'a str>,
    pub(super) last_modified: &'a str,
    pub(super) mac: &'a str,
    pub(super) mac_only_encrypted: bool,
}

impl<'a> Metadata<'a> {
    pub(super) fn of(document: &'a Node) -> Result<Self, SopsError> {
        let shape = |what: &str| SopsError::Shape(what.to_owned());
        let metadata = document.get(METADATA).ok_or_else(|| shape("it has no entry `sops`"))?;
        if let Some(name) = UNSUPPORTED.iter().find(|name| metadata.get(name).is_some_and(says_something)) {
            return Err(SopsError::Unsupported((*name).to_owned()));
        }
        let text = |name: &str| metadata.get(name).and_then(Node::text).filter(|text| !text.is_empty());
        let rule = match (text("unencrypted_suffix"), text("encrypted_suffix")) {
            (None, None) => Rule::ClearSuffix(USUAL_SUFFIX.to_owned()),
            (Some(suffix), None) => Rule::ClearSuffix(suffix.to_owned()),
            (None, Some(suffix)) => Rule::SecretSuffix(suffix.to_owned()),
            (Some(_), Some(_)) => return Err(shape("it has two rules for what is encrypted")),
        };
        let encrypted_keys = match metadata.get("age") {
            Some(Node::List(keys)) => keys.iter().filter_map(|key| key.get("enc")?.text()).collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            rule,
            encrypted_keys,
            last_modified: text("lastmodified").ok_or_else(|| shape("it has no time of its last change"))?,
            mac: text("mac").ok_or_else(|| shape("it has no MAC"))?,
            mac_only_encrypted: metadata.get("mac_only_encrypted") == Some(&Node::Bool(true)),
        })
    }

    /// Whether the value at this path is encrypted.
    pub(super) fn encrypts(&self, path: &[String]) -> bool {
        match &self.rule {
            Rule::ClearSuffix(suffix) => !path.iter().any(|part| part.ends_with(suffix.as_str())),
            Rule::SecretSuffix(suffix) => path.iter().any(|part| part.ends_with(suffix.as_str())),
        }
    }

    pub(super) fn data_key(&self, identities: &Identities) -> Result<DataKey, SopsError> {
        let opened = self.encrypted_keys.iter().find_map(|armored| open(armored, identities));
        opened.and_then(|key| DataKey::new(&key)).ok_or(SopsError::NotForUs)
    }
}

fn open(armored: &str, identities: &Identities) -> Option<Vec<u8>> {
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).ok()?;
    let reader = decryptor.decrypt(identities.0.iter().map(|identity| identity as &dyn age::Identity)).ok()?;
    let mut key = Vec::new();
    reader.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).ok()?;
    Some(key)
}

fn says_something(node: &Node) -> bool {
    match node {
        Node::Null => false,
        Node::Bool(value) => *value,
        Node::Int(number) => *number != 0,
        Node::Float(_) => true,
        Node::Text(text) => !text.is_empty(),
        Node::List(nodes) => !nodes.is_empty(),
        Node::Branch(entries) => !entries.is_empty(),
    }
}
