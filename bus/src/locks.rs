//! LOCKS: the lock records, changed by compare-and-swap, several of them all or none. Reads come from the leader, because a
//! lock is a decision. A free lock keeps its record, without holder and queue, so that its revision is never lost.

use crate::batch::Write;
use crate::bucket::{Bucket, value_of};
use crate::error::{BusError, Op};
use crate::link::Link;
use futures_util::future::try_join_all;
use proto::lock::{LockKey, LockRecord};
use proto::subject;
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
        self.bucket.all().await?.iter().filter_map(|stored| value_of(stored).transpose()).collect()
    }
}
