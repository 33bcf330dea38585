//! Opening a document: every value, in the document's order, and then the MAC over all of them. Nothing is handed out
//! before the MAC has been seen to fit.

use super::cipher::{DataKey, mac_bytes};
use super::metadata::Metadata;
use super::{Identities, METADATA, SopsError};
use crate::document::Node;
use crate::variables::{of_object, shown};
use proto::Secret;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::BTreeMap;

/// The names and single values of a document.
pub fn decrypt(document: &[u8], identities: &Identities) -> Result<BTreeMap<String, Secret>, SopsError> {
    let node = decrypt_node(document, identities)?;
    of_object(&node).map(|variables| variables.into_iter().collect()).map_err(|cause| SopsError::Shape(cause.to_string()))
}

/// A document without what SOPS added.
pub(crate) fn decrypt_node(document: &[u8], identities: &Identities) -> Result<Node, SopsError> {
    let document = Node::parse(document).map_err(SopsError::Shape)?;
    let metadata = Metadata::of(&document)?;
    let key = metadata.data_key(identities)?;
    let mut walk = Walk { metadata: &metadata, key: &key, hash: Sha512::new(), path: Vec::new() };
    if metadata.mac_only_encrypted {
        // So that such a MAC is never one over all values.
        walk.hash.update(Sha256::digest(b"sops"));
    }
    let Node::Branch(entries) = &document else { return Err(SopsError::Shape("it is no JSON object".to_owned())) };
    let ours = entries.iter().filter(|(name, _)| name != METADATA);
    let opened = ours.map(|(name, value)| walk.entry(name, value)).collect::<Result<Vec<_>, _>>()?;
    let expected = key.decrypt(metadata.mac, metadata.last_modified)?;
    if expected.text() != Some(hex::encode_upper(walk.hash.finalize()).as_str()) {
        return Err(SopsError::Tampered("the MAC".to_owned()));
    }
    Ok(Node::Branch(opened))
}

struct Walk<'a> {
    metadata: &'a Metadata<'a>,
    key: &'a DataKey,
    hash: Sha512,
    path: Vec<String>,
}

impl Walk<'_> {
    fn entry(&mut self, name: &str, value: &Node) -> Result<(String, Node), SopsError> {
        self.path.push(name.to_owned());
        let opened = self.node(value)?;
        self.path.pop();
        Ok((name.to_owned(), opened))
    }

    fn node(&mut self, node: &Node) -> Result<Node, SopsError> {
        match node {
            Node::Branch(entries) => {
                entries.iter().map(|(name, value)| self.entry(name, value)).collect::<Result<_, _>>().map(Node::Branch)
            }
            Node::List(nodes) => nodes.iter().map(|node| self.node(node)).collect::<Result<_, _>>().map(Node::List),
            Node::Null => Ok(Node::Null),
            Node::Text(_) | Node::Bool(_) | Node::Int(_) | Node::Float(_) => self.value(node),
        }
    }

    fn value(&mut self, node: &Node) -> Result<Node, SopsError> {
        let encrypted = self.metadata.encrypts(&self.path);
        let opened = if encrypted {
            let place = self.path.join(":") + ":";
            let text = node.text().ok_or_else(|| SopsError::Shape(format!("what stands at `{}` is not encrypted", shown(&place))))?;
            self.key.decrypt(text, &place)?
        } else {
            node.clone()
        };
        if encrypted || !self.metadata.mac_only_encrypted {
            self.hash.update(mac_bytes(&opened));
        }
        Ok(opened)
    }
}
