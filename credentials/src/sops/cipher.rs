//! One value: AES-256-GCM with a nonce of 32 bytes, as
//! `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`. The additional data is the value's place in the document.

use super::SopsError;
use crate::document::Node;
use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{AesGcm, aes::Aes256};
use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of a data key.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// A data key, ready for use.
pub(super) struct DataKey(AesGcm<Aes256, U32>);

impl DataKey {
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        AesGcm::new_from_slice(key).ok().map(Self)
    }

    /// Encrypts a text for its place. An empty one stays empty, as the format has it.
    pub(super) fn encrypt(&self, text: &str, place: &str) -> Result<String, SopsError> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| SopsError::Encryption)?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = self.0.encrypt(GenericArray::from_slice(&nonce), payload).map_err(|_| SopsError::Encryption)?;
        let (data, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
        let [data, iv, tag] = [data, &nonce, tag].map(|part| STANDARD.encode(part));
        Ok(format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"))
    }

    /// Opens what was encrypted for this place.
    pub(super) fn decrypt(&self, text: &str, place: &str) -> Result<Node, SopsError> {
        if text.is_empty() {
            return Ok(Node::Text(String::new()));
        }
        let shape = || SopsError::Shape(format!("what stands at `{place}` is no encrypted value"));
        let (sealed, nonce, kind) = parts(text).ok_or_else(shape)?;
        let tampered = || SopsError::Tampered(format!("the value at `{place}`"));
        let payload = Payload { msg: &sealed, aad: place.as_bytes() };
        let opened = self.0.decrypt(GenericArray::from_slice(&nonce), payload).map_err(|_| tampered())?;
        let plain = String::from_utf8(opened).map_err(|_| SopsError::Unsupported(format!("bytes that are no text, at `{place}`")))?;
        let typed = match kind {
            "str" | "bytes" => Some(Node::Text(plain)),
            "int" => plain.parse().ok().map(Node::Int),
            "float" => plain.parse().ok().map(Node::Float),
            "bool" => match plain.as_str() {
                "True" | "true" => Some(Node::Bool(true)),
                "False" | "false" => Some(Node::Bool(false)),
                _ => None,
            },
            other => return Err(SopsError::Unsupported(format!("values of type {}", crate::variables::shown(other)))),
        };
        typed.ok_or_else(shape)
    }
}

/// Data with its tag, the nonce, and the type.
fn parts(text: &str) -> Option<(Vec<u8>, [u8; NONCE_BYTES], &str)> {
    let inner = text.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
    let (data, rest) = inner.split_once(",iv:")?;
    let (iv, rest) = rest.split_once(",tag:")?;
    let (tag, kind) = rest.split_once(",type:")?;
    let mut sealed = STANDARD.decode(data).ok()?;
    let tag = STANDARD.decode(tag).ok().filter(|tag| tag.len() == TAG_BYTES)?;
    sealed.extend_from_slice(&tag);
    Some((sealed, STANDARD.decode(iv).ok()?.try_into().ok()?, kind))
}

/// What a value adds to the MAC; nothing for what is not a value.
pub(super) fn mac_bytes(node: &Node) -> Vec<u8> {
    match node {
        Node::Text(text) => text.clone().into_bytes(),
        Node::Int(number) => number.to_string().into_bytes(),
        Node::Float(number) => number.to_string().into_bytes(),
        Node::Bool(true) => b"True".to_vec(),
        Node::Bool(false) => b"False".to_vec(),
        Node::Null | Node::List(_) | Node::Branch(_) => Vec::new(),
    }
}
