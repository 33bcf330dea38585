//! ARTIFACTS: sealed plans, archived logs, state files that could not be saved. An object store that `nats object` can read.
//!
//! What is read is checked against its digest at the end: treat nothing as read before the end was reached without an error.

use crate::error::{BusError, Op};
use crate::link::Link;
use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, InfoErrorKind, Object, ObjectStore, PutErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use proto::subject;
use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A reader that gets nothing for so long gives up: what it waits for has expired.
const SILENCE: Duration = Duration::from_secs(30);

/// The objects.
#[derive(Debug, Clone)]
pub struct Artifacts {
    link: Link,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub bytes: u64,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
}

impl Artifacts {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Stores an object under a name; one that was there is replaced once the new one is complete.
    pub async fn put(&self, name: &str, bytes: impl AsyncRead + Send) -> Result<ObjectInfo, BusError> {
        let op = Op("store object", name);
        let store = self.store(op).await?;
        let bytes = failpoint::failpoint_reader!("bus.object.read", bytes);
        tokio::pin!(bytes);
        let stored = store.put(name, &mut bytes).await.map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            match error.kind() {
                PutErrorKind::ReadChunks => BusError::invalid(op, format!("its bytes cannot be read: {why}")),
                PutErrorKind::InvalidName => BusError::invalid(op, "not a name for an object"),
                _ if why.contains("maximum") => BusError::Full { what: op.to_string(), why },
                _ => BusError::timeout(op),
            }
        })?;
        let sha256 = stored.digest.as_deref().and_then(hex_digest).ok_or_else(|| BusError::corrupt(op, "no SHA-256 was stored"))?;
        Ok(ObjectInfo { bytes: stored.size as u64, sha256 })
    }

    /// The bytes of an object. An error in reading says that they are not what was stored, or no longer there.
    pub async fn get(&self, name: &str) -> Result<ObjectReader, BusError> {
        let op = Op("read object", name);
        let object = self.store(op).await?.get(name).await.map_err(|error| match error.kind() {
            GetErrorKind::NotFound => BusError::not_found(op),
            GetErrorKind::InvalidName => BusError::invalid(op, "not a name for an object"),
            _ => BusError::unavailable_because(op, error),
        })?;
        Ok(ObjectReader { object, silence: Box::pin(tokio::time::sleep(SILENCE)) })
    }

    /// Removes an object; nothing to remove is a success.
    pub async fn delete(&self, name: &str) -> Result<(), BusError> {
        let op = Op("remove object", name);
        match self.store(op).await?.delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == DeleteErrorKind::NotFound => Ok(()),
            Err(_) => Err(BusError::timeout(op)),
        }
    }

    /// Whether an object is there.
    pub async fn exists(&self, name: &str) -> Result<bool, BusError> {
        let op = Op("look for object", name);
        match self.store(op).await?.info(name).await {
            Ok(info) => Ok(!info.deleted),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(BusError::unavailable_because(op, error)),
        }
    }

    async fn store(&self, op: Op<'_>) -> Result<ObjectStore, BusError> {
        self.link.ready(op).await?;
        self.link.js.get_object_store(subject::ARTIFACTS).await.map_err(|error| BusError::unavailable_because(op, error))
    }
}

fn hex_digest(digest: &str) -> Option<String> {
    let encoded = digest.strip_prefix("SHA-256=")?;
    Some(hex::encode(URL_SAFE.decode(encoded).ok()?))
}

/// The bytes of an object, checked against their digest at the end.
pub struct ObjectReader {
    object: Object,
    silence: Pin<Box<Sleep>>,
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader").field("bytes", &self.object.info.size).finish_non_exhaustive()
    }
}

impl ObjectReader {
    /// How many bytes it should have.
    pub fn expected_bytes(&self) -> u64 {
        self.object.info.size as u64
    }
}

impl AsyncRead for ObjectReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        match Pin::new(&mut self.object).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if read.is_err() {
                    // The client hands over the last bytes together with the error about them; a reader must do one or
                    // the other, and `read_to_end` panics at one that does both.
                    buf.set_filled(filled);
                }
                self.silence.as_mut().reset(Instant::now() + SILENCE);
                Poll::Ready(read)
            }
            Poll::Pending => match self.silence.as_mut().poll(cx) {
                Poll::Ready(()) => {
                    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the rest of the object does not come; it may have expired")))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
