//! One encoding for everything that is stored or travels: JSON, so that a person with the `nats` command can read it, and
//! so that a field added with a default is harmless in a fleet of mixed versions. Log chunks are raw bytes with headers.

use serde::{Serialize, de::DeserializeOwned};

/// A message that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("encode {what}")]
    Encode {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("decode {what}")]
    Decode {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

/// The bytes of a message.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    serde_json::to_vec(message).map_err(|source| CodecError::Encode { what: std::any::type_name::<T>(), source })
}

/// The message in the bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(bytes).map_err(|source| CodecError::Decode { what: std::any::type_name::<T>(), source })
}
