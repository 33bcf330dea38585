//! A pool's artifacts: sealed plans, archived logs, state files that could not be saved. An object store that `nats object`
//! can read, spoken by hand, because the client's way needs rights that no role is to have: it purges a part of the stream to
//! replace an object, and creates consumers to read one. Here old chunks give way to an empty message that rolls them up, and
//! chunks are read one by one from the stream's leader.

use crate::error::{BusError, Op};
use crate::layout::object_stream;
use crate::link::{Link, headers};
use crate::object::{CHUNK_BYTES, Info, ObjectReader};
use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Bytes, BytesMut};
use proto::{PoolName, subject};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The objects of one pool.
#[derive(Debug, Clone)]
pub struct Artifacts {
    link: Link,
    store: String,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub bytes: u64,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
}

impl Artifacts {
    pub(crate) fn new(link: Link, pool: &PoolName) -> Self {
        Self { link, store: subject::artifacts(pool) }
    }

    /// Stores an object under a name; one that was there is replaced once the new one is complete.
    pub async fn put(&self, name: &str, bytes: impl AsyncRead + Send) -> Result<ObjectInfo, BusError> {
        let op = Op("store object", name);
        let before = self.info(op).await?;
        let mut info = Info::new(name, &self.store);
        let chunks = self.chunks(&info.nuid);
        let mut digest = Sha256::new();
        let bytes = failpoint::failpoint_reader!("bus.object.read", bytes);
        tokio::pin!(bytes);
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            while chunk.len() < CHUNK_BYTES {
                let room = (CHUNK_BYTES - chunk.len()) as u64;
                let read = (&mut bytes).take(room).read_buf(&mut chunk).await;
                if read.map_err(|why| BusError::invalid(op, format!("its bytes cannot be read: {why}")))? == 0 {
                    break;
                }
            }
            if chunk.is_empty() {
                break;
            }
            digest.update(&chunk);
            info.size += chunk.len() as u64;
            info.chunks += 1;
            self.link.publish(Op("store object on", &chunks), HeaderMap::new(), chunk.freeze()).await?;
        }
        let digest = digest.finalize();
        info.digest = Some(format!("SHA-256={}", URL_SAFE.encode(digest)));
        self.write_info(&info).await?;
        if let Some(before) = before {
            self.roll_up(&before).await;
        }
        Ok(ObjectInfo { bytes: info.size, sha256: hex::encode(digest) })
    }

    /// The bytes of an object. An error in reading says that they are not what was stored, or no longer there.
    pub async fn get(&self, name: &str) -> Result<ObjectReader, BusError> {
        let op = Op("read object", name);
        let info = self.info(op).await?.filter(|info| !info.deleted).ok_or_else(|| BusError::not_found(op))?;
        let chunks = self.chunks(&info.nuid);
        Ok(ObjectReader::new(self.link.clone(), object_stream(&self.store), chunks, info))
    }

    /// Removes an object; nothing to remove is a success.
    pub async fn delete(&self, name: &str) -> Result<(), BusError> {
        let Some(info) = self.info(Op("remove object", name)).await?.filter(|info| !info.deleted) else { return Ok(()) };
        self.write_info(&Info { size: 0, chunks: 0, deleted: true, ..info.clone() }).await?;
        self.roll_up(&info).await;
        Ok(())
    }

    /// Whether an object is there.
    pub async fn exists(&self, name: &str) -> Result<bool, BusError> {
        Ok(self.info(Op("look for object", name)).await?.is_some_and(|info| !info.deleted))
    }

    async fn info(&self, op: Op<'_>) -> Result<Option<Info>, BusError> {
        if op.1.is_empty() {
            return Err(BusError::invalid(op, "not a name for an object"));
        }
        let stored = match self.link.last(&object_stream(&self.store), &self.place(op.1)).await {
            Ok(stored) => stored,
            // A store that is missing is a fault, and must never look like "no such object".
            Err(BusError::NotFound { .. }) => {
                return Err(BusError::unavailable_because(op, format!("there is no object store {}", self.store)));
            }
            Err(error) => return Err(error),
        };
        let Some(stored) = stored.filter(|stored| !stored.payload.is_empty()) else { return Ok(None) };
        serde_json::from_slice(&stored.payload).map(Some).map_err(|error| BusError::corrupt(op, error))
    }

    async fn write_info(&self, info: &Info) -> Result<(), BusError> {
        let place = self.place(&info.name);
        let op = Op("store object on", &place);
        let body = serde_json::to_vec(info).map_err(|error| BusError::invalid(op, error.to_string()))?;
        self.link.publish(op, headers(&[ROLL_UP]), body.into()).await.map(|_| ())
    }

    /// The chunks of an object that is not there any more go, all but an empty message. If they stay they only take room
    /// until they have expired; what was asked for is done.
    async fn roll_up(&self, info: &Info) {
        let chunks = self.chunks(&info.nuid);
        if info.chunks > 0
            && let Err(error) = self.link.publish(Op("clear", &chunks), headers(&[ROLL_UP]), Bytes::new()).await
        {
            tracing::debug!(object = info.name, %error, "the bytes of an object that was replaced stay until they expire");
        }
    }

    fn chunks(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.store)
    }

    fn place(&self, name: &str) -> String {
        format!("$O.{}.M.{}", self.store, URL_SAFE.encode(name))
    }
}

/// What stood on the subject before goes when this message is stored.
const ROLL_UP: (&str, &str) = ("Nats-Rollup", "sub");
