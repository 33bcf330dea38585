//! A right between attempts and between processes of one host, held through a lock file: to a cached repository, to the
//! provider cache, to a tool that is being installed. Not one of the scheduler's locks.
//!
//! The system frees it when its holder dies. A lock file is never deleted: whoever deletes it would let a second holder in
//! through a new file of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::Instant;

/// How it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Others may read too.
    Read,
    /// Nobody else.
    Change,
}

/// Held until dropped, and until every command that got it as its input has ended.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    /// Waits for the lock, at most `limit`. Nothing: somebody else held it all that time.
    pub(crate) async fn acquire(path: &Path, hold: Hold, limit: Duration) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(lock) = Self::try_acquire(path, hold)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// The lock, or nothing when somebody else holds it.
    pub(crate) fn try_acquire(path: &Path, hold: Hold) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let taken = match hold {
            Hold::Read => file.try_lock_shared(),
            Hold::Change => file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }

    /// The lock as a command's (empty) standard input. If this process dies, the command that still writes keeps everybody
    /// else out until it has ended too.
    pub(crate) fn as_stdin(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_changes_or_many_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let limit = Duration::from_mins(1);
        let first = FileLock::acquire(&path, Hold::Read, limit).await.expect("opened").expect("first reader");
        let second = FileLock::acquire(&path, Hold::Read, limit).await.expect("opened").expect("second reader");
        assert!(FileLock::try_acquire(&path, Hold::Change).expect("asked").is_none());
        drop((first, second));
        let change = FileLock::acquire(&path, Hold::Change, limit).await.expect("opened").expect("free");
        for hold in [Hold::Read, Hold::Change] {
            assert!(FileLock::acquire(&path, hold, Duration::ZERO).await.expect("opened").is_none());
        }
        let child = change.as_stdin().expect("a copy");
        drop(change);
        assert!(FileLock::try_acquire(&path, Hold::Read).expect("asked").is_none());
        drop(child);
        assert!(FileLock::try_acquire(&path, Hold::Read).expect("asked").is_some());
    }
}
