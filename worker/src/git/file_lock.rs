//! The right to change or to read one cached repository, between threads and between processes of one host. Not one of
//! the scheduler's locks.
//!
//! A lock file is never deleted: whoever deletes it would let a second holder in through a new file of the same name.

use super::GitError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::Instant;

/// How a repository is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Others may read too.
    Read,
    /// Nobody else.
    Change,
}

/// Held until dropped, and until every git command that got it as its input has ended.
#[derive(Debug)]
pub(super) struct FileLock(File);

impl FileLock {
    /// Waits for the lock, at most `limit`.
    pub(super) async fn acquire(path: &Path, hold: Hold, limit: Duration) -> Result<Self, GitError> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(10);
        loop {
            if let Some(lock) = Self::try_acquire(path, hold)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let operation = "waiting for another attempt that fetches the same repository";
                return Err(GitError::TimedOut { operation, seconds: limit.as_secs() });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// The lock, or nothing when somebody else holds it.
    pub(super) fn try_acquire(path: &Path, hold: Hold) -> Result<Option<Self>, GitError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(GitError::storage("open the lock file", path))?;
        let taken = match hold {
            Hold::Read => file.try_lock_shared(),
            Hold::Change => file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(GitError::storage("lock", path)(source)),
        }
    }

    /// The lock as a command's (empty) standard input. If this process dies, the command that still writes to the
    /// repository keeps everybody else out until it has ended too.
    pub(super) fn as_stdin(&self) -> std::io::Result<Stdio> {
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
        let first = FileLock::acquire(&path, Hold::Read, limit).await.expect("first reader");
        let second = FileLock::acquire(&path, Hold::Read, limit).await.expect("second reader");
        assert!(FileLock::try_acquire(&path, Hold::Change).expect("asked").is_none());
        drop((first, second));
        let change = FileLock::try_acquire(&path, Hold::Change).expect("asked").expect("free");
        let refused = FileLock::acquire(&path, Hold::Read, Duration::ZERO).await.expect_err("held");
        assert!(matches!(refused, GitError::TimedOut { .. }));
        let child = change.as_stdin().expect("a copy");
        drop(change);
        assert!(FileLock::try_acquire(&path, Hold::Read).expect("asked").is_none());
        drop(child);
        assert!(FileLock::try_acquire(&path, Hold::Read).expect("asked").is_some());
    }
}
