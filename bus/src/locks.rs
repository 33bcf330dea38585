//! LOCKS: the lock records, changed by compare-and-swap, several of them all or none. Reads come from the leader, because a
//! lock is a decision. A free lock keeps its record, without holder and queue, so that its revision is never lost.

use crate::batch::Write;
use crate::bucket::{Bucket, value_of};
use crate::error::{BusError, Op};
use crate::link::Link;
use futures_util::future::try_join_all;
use proto::lock::{LockKey, LockRecord};
use proto::{ShardNo, codec, subject};
use std::collections::HashSet;

/// The lock records.
#[derive(Debug, Clone)]
pub struct Locks {
    bucket: Bucket,
}

/// A value with the revision it was read at, or that its place must have for it to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<T> {
    pub value: T,
    /// 0: never written.
    pub revision: u64,
}

impl Locks {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::LOCKS) }
    }

    /// The records of these locks, in order. One that was never taken is empty, with the revision its first write needs.
    pub async fn read(&self, keys: &[LockKey]) -> Result<Vec<Held<LockRecord>>, BusError> {
        try_join_all(keys.iter().map(|key| self.read_one(key))).await
    }

    async fn read_one(&self, key: &LockKey) -> Result<Held<LockRecord>, BusError> {
        let entry = self.bucket.get::<LockRecord>(&key.bucket_key()).await?;
        let value = entry.value.unwrap_or_else(|| LockRecord { key: key.clone(), holder: None, queue: Vec::new() });
        if &value.key != key {
            return Err(BusError::corrupt(Op("read lock", key.as_str()), "another lock's record is stored under its key"));
        }
        Ok(Held { value, revision: entry.revision })
    }

    /// Whether the bucket carries the mark of a shard. Nothing ever takes it away: a bucket without it has lost what it held.
    pub async fn is_marked(&self, shard: ShardNo) -> Result<bool, BusError> {
        Ok(self.bucket.get::<LockRecord>(&mark_key(shard)).await?.value.is_some())
    }

    /// Marks the bucket as one whose records are all there, as far as a shard is concerned.
    pub async fn mark(&self, shard: ShardNo) -> Result<(), BusError> {
        // In the form of a record that nobody holds, so that an older version reads the bucket as well.
        let mark: LockRecord = codec::decode(format!(r#"{{"key":"{}","holder":null}}"#, mark_key(shard)).as_bytes())
            .map_err(|error| BusError::corrupt(Op("mark", subject::LOCKS), error))?;
        self.bucket.put(&mark_key(shard), &mark).await.map(|_| ())
    }

    /// Writes these records, all or none, if each one's revision is still the last; returns the new revisions in order.
    ///
    /// [`BusError::Conflict`]: one was changed in between, nothing was written. [`BusError::Timeout`]: unknown, read again.
    pub async fn write_all(&self, writes: &[Held<LockRecord>]) -> Result<Vec<u64>, BusError> {
        let mut names = HashSet::new();
        if let Some(twice) = writes.iter().find(|held| !names.insert(&held.value.key)) {
            return Err(BusError::invalid(Op("write lock", twice.value.key.as_str()), "written twice at once"));
        }
        let writes: Vec<Write> = writes
            .iter()
            .map(|held| self.bucket.write(&held.value.key.bucket_key(), &held.value, held.revision))
            .collect::<Result<_, _>>()?;
        match writes.as_slice() {
            [one] => Ok(vec![self.bucket.link.write_one("write lock", one).await?]),
            several => self.bucket.link.write_all("write lock", several).await,
        }
    }

    /// Every record there is, free ones included. In a cluster it may lag: good for showing, not for deciding.
    pub async fn list(&self) -> Result<Vec<LockRecord>, BusError> {
        let stored = self.bucket.all().await?;
        let records = stored.iter().filter(|stored| !self.bucket.key(&stored.subject).starts_with(MARK));
        records.filter_map(|stored| value_of(stored).transpose()).collect()
    }
}

/// Beginning of the keys that are marks. A lock's own key is a digest.
const MARK: &str = "mark-";

fn mark_key(shard: ShardNo) -> String {
    format!("{MARK}{shard}")
}
