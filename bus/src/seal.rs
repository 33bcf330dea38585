//! Sealing: what crosses the bus must be readable by its recipient alone.
//!
//! To one recipient: HPKE (RFC 9180, base mode; X25519, HKDF-SHA256, AES-256-GCM), from rustls, which the connection needs
//! anyway. Within a run: AES-256-GCM under the run's own key. Both bind a context, such as the attempt's id: what was sealed
//! for one place opens at no other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::agreement::{PrivateKey, X25519};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::Secret;
use proto::message::Sealed;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Tells this use of the keys from any other.
const PURPOSE: &[u8] = b"navvy sealed 1";
/// First byte of a blob, so that the format can change.
const BLOB_FORMAT: u8 = 1;
const KEY_BYTES: usize = 32;

/// Why something cannot be sealed or opened. Nothing in it says what was inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a key: 32 bytes in hex are.
    #[error("not a key: a key is 64 hex digits (a key pair 128)")]
    BadKey,
    /// Sealed to somebody else.
    #[error("sealed to another key")]
    OtherKey,
    /// Damaged, for another context, or never sealed by us.
    #[error("cannot be opened: it is damaged, or was sealed for something else")]
    Broken,
    /// The machine's randomness failed, or the text is longer than the cipher takes.
    #[error("cannot be sealed")]
    Failed,
}

/// A recipient's key pair. Printing it shows the public half.
pub struct KeyPair {
    public: HpkePublicKey,
    private: HpkePrivateKey,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public_hex()).field("private", &"***").finish()
    }
}

impl KeyPair {
    /// A new one.
    ///
    /// # Panics
    /// When the machine has no randomness: then nothing may go on.
    pub fn generate() -> Self {
        let (public, private) = SUITE.generate_key_pair().expect("the operating system gives random bytes");
        Self { public, private }
    }

    /// The public key: 64 hex digits.
    pub fn public_hex(&self) -> String {
        hex::encode(&self.public.0)
    }

    /// Private and public key: 128 hex digits. A secret: for a 0600 file or a sealed place.
    pub fn to_hex(&self) -> String {
        format!("{}{}", hex::encode(self.private.secret_bytes()), self.public_hex())
    }

    /// From any 32 random bytes, in hex, as a private key; or what [`KeyPair::to_hex`] gave, which is refused when the two
    /// halves do not belong together.
    pub fn from_hex(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| SealError::BadKey)?);
        let (private, given) = bytes.split_at_checked(KEY_BYTES).ok_or(SealError::BadKey)?;
        let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| SealError::BadKey)?;
        let public = key.compute_public_key().map_err(|_| SealError::BadKey)?.as_ref().to_vec();
        if !given.is_empty() && given != public {
            return Err(SealError::BadKey);
        }
        Ok(Self { public: HpkePublicKey(public), private: HpkePrivateKey::from(private.to_vec()) })
    }

    /// Short name of the public key: the first 16 hex digits of its SHA-256.
    pub fn key_id(&self) -> String {
        key_id(&self.public.0)
    }

    /// Opens what was sealed to this key for this context.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<Vec<u8>, SealError> {
        if sealed.key_id != self.key_id() {
            return Err(SealError::OtherKey);
        }
        let encapsulated = hex::decode(&sealed.encapsulated).map_err(|_| SealError::Broken)?;
        let ciphertext = STANDARD.decode(&sealed.ciphertext).map_err(|_| SealError::Broken)?;
        if encapsulated.len() != KEY_BYTES || ciphertext.len() < MAX_TAG_LEN {
            return Err(SealError::Broken);
        }
        SUITE
            .open(&EncapsulatedSecret(encapsulated), PURPOSE, context.as_bytes(), &ciphertext, &self.private)
            .map_err(|_| SealError::Broken)
    }
}

/// Seals a text to a public key for a context. Only the holder of the private key can open it, and only for that context.
pub fn seal_to(public_hex: &str, context: &str, plain: &[u8]) -> Result<Sealed, SealError> {
    let public = hex::decode(public_hex.trim()).map_err(|_| SealError::BadKey)?;
    if public.len() != KEY_BYTES {
        return Err(SealError::BadKey);
    }
    let key_id = key_id(&public);
    let (encapsulated, ciphertext) =
        SUITE.seal(PURPOSE, context.as_bytes(), plain, &HpkePublicKey(public)).map_err(|_| SealError::Failed)?;
    Ok(Sealed { key_id, encapsulated: hex::encode(encapsulated.0), ciphertext: STANDARD.encode(ciphertext) })
}

fn key_id(public: &[u8]) -> String {
    hex::encode(&Sha256::digest(public)[..8])
}

/// A key for blobs that several holders share, such as the plan between the jobs of one run.
pub struct BlobKey {
    key: RandomizedNonceKey,
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobKey(***)")
    }
}

impl BlobKey {
    /// From 64 hex digits.
    pub fn from_hex(text: &Secret) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(hex::decode(text.expose().trim()).map_err(|_| SealError::BadKey)?);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::BadKey)?;
        Ok(Self { key })
    }

    /// A new key: 64 hex digits.
    ///
    /// # Panics
    /// When the machine has no randomness: then nothing may go on.
    pub fn random_hex() -> Secret {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut *bytes).expect("the operating system gives random bytes");
        Secret::new(hex::encode(*bytes))
    }

    /// Seals bytes for a context: a format byte, a random nonce, the ciphertext with its tag.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut body).map_err(|_| SealError::Failed)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len());
        sealed.push(BLOB_FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what was sealed with this key for this context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some((&BLOB_FORMAT, rest)) = sealed.split_first() else { return Err(SealError::Broken) };
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).map_err(|_| SealError::Broken)?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
