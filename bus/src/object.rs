//! One object of an object store: what `nats object` writes about it, and reading its bytes, checked against their digest at
//! the end: treat nothing as read before the end was reached without an error.

use crate::link::Link;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Buf as _, Bytes};
use proto::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// Bytes of a chunk: what every client of NATS takes for its default.
pub(crate) const CHUNK_BYTES: usize = 128 * 1024;
/// A chunk that cannot be had for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What is stored about an object (ADR-20).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) bucket: String,
    /// Last token of the subject of its chunks.
    pub(crate) nuid: String,
    pub(crate) size: u64,
    pub(crate) chunks: u64,
    #[serde(rename = "mtime")]
    pub(crate) modified: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
}

impl Info {
    /// Nothing yet, under a new id.
    pub(crate) fn new(name: &str, store: &str) -> Self {
        Self {
            name: name.to_owned(),
            bucket: store.to_owned(),
            nuid: uuid::Uuid::new_v4().simple().to_string(),
            size: 0,
            chunks: 0,
            modified: Timestamp::now(),
            digest: None,
            deleted: false,
        }
    }
}

type Fetching = Pin<Box<dyn Future<Output = io::Result<(u64, Bytes)>> + Send>>;

/// The bytes of an object, checked against their digest at the end.
pub struct ObjectReader {
    link: Link,
    stream: String,
    chunks: String,
    info: Info,
    /// Chunks and bytes that were read.
    read: (u64, u64),
    /// Sequence of the last chunk.
    seq: u64,
    digest: Sha256,
    buffer: Bytes,
    fetching: Option<Fetching>,
    checked: bool,
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader").field("bytes", &self.info.size).finish_non_exhaustive()
    }
}

impl ObjectReader {
    pub(crate) fn new(link: Link, stream: String, chunks: String, info: Info) -> Self {
        let (digest, buffer) = (Sha256::new(), Bytes::new());
        Self { link, stream, chunks, info, read: (0, 0), seq: 0, digest, buffer, fetching: None, checked: false }
    }

    /// How many bytes it should have.
    pub fn expected_bytes(&self) -> u64 {
        self.info.size
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let fetching =
            self.fetching.get_or_insert_with(|| Box::pin(fetch(self.link.clone(), self.stream.clone(), self.chunks.clone(), self.seq + 1)));
        let fetched = ready!(fetching.as_mut().poll(cx));
        self.fetching = None;
        let (seq, bytes) = fetched?;
        self.seq = seq;
        self.read = (self.read.0 + 1, self.read.1 + bytes.len() as u64);
        self.digest.update(&bytes);
        self.buffer = bytes;
        Poll::Ready(Ok(()))
    }

    fn check(&mut self) -> io::Result<()> {
        let digest = std::mem::take(&mut self.digest).finalize();
        let wanted = self.info.digest.as_deref().and_then(|text| URL_SAFE.decode(text.strip_prefix("SHA-256=")?).ok());
        self.checked = true;
        if self.read.1 == self.info.size && wanted.as_deref() == Some(&digest[..]) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the object's bytes are not those that were stored"))
    }
}

impl AsyncRead for ObjectReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.buffer.is_empty() {
            if this.read.0 >= this.info.chunks {
                return Poll::Ready(if this.checked { Ok(()) } else { this.check() });
            }
            ready!(this.poll_chunk(cx))?;
            if this.buffer.is_empty() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the object was replaced while it was read")));
            }
        }
        let length = this.buffer.len().min(buf.remaining());
        buf.put_slice(&this.buffer[..length]);
        this.buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// The next chunk at or after a sequence. NATS may be away for a moment: what was stored is still there after it.
async fn fetch(link: Link, stream: String, chunks: String, from: u64) -> io::Result<(u64, Bytes)> {
    let until = Instant::now() + SILENCE;
    loop {
        match link.first_from(&stream, &chunks, from).await {
            Ok(Some(stored)) => return Ok((stored.seq, stored.payload)),
            Ok(None) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the rest of the object is gone; it may have expired")),
            Err(error) if error.retryable() && Instant::now() < until => tokio::time::sleep(TRY_AGAIN).await,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}
