//! What an object store must be able to do for an order: give the bytes of one object. Who signs the requests, and with
//! whose credentials, is decided where this is implemented.

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use std::fmt::Debug;

/// The bytes of an object, piece by piece.
pub type ObjectBytes = BoxStream<'static, Result<Bytes, StoreError>>;

/// Reads objects. Dropping what it gives ends the request.
pub trait ArchiveStore: Debug + Send + Sync {
    /// `bucket` and `key` are plain: the key has no empty, `.` or `..` parts. It is not encoded.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectBytes, StoreError>>;
}

/// Why an object does not come. The texts are shown: no secret, and no signed address, may be in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("there is no such bucket or object")]
    NotFound,
    #[error("the worker's credentials may not read it")]
    Refused,
    #[error("{0}")]
    Failed(String),
}
