//! An exclusive right between attempts and between processes of one host, held through a lock file.
//!
//! The system frees it when its holder dies. The file is never deleted: whoever deletes it would let a second holder in
//! through a new file of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct FileLock(#[expect(dead_code, reason = "holding the open file is holding the lock")] File);

impl FileLock {
    /// Waits for the lock, at most `limit`. Nothing: somebody else held it all that time.
    pub(crate) async fn acquire(path: &Path, limit: Duration) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(5);
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lock");
        let limit = Duration::from_mins(1);
        let first = FileLock::acquire(&path, limit).await.expect("opened").expect("free");
        assert!(FileLock::acquire(&path, Duration::ZERO).await.expect("opened").is_none());
        drop(first);
        assert!(FileLock::acquire(&path, limit).await.expect("opened").is_some());
    }
}
