//! Makes room in the cache: the longest unused repositories go first.

use super::GitError;
use super::entry::{Entry, GONE, USED};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What [`super::Cache::evict`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    pub repositories: u64,
    pub bytes: u64,
    /// Bytes that stay.
    pub left: u64,
}

/// Blocking.
pub(super) fn evict(root: &Path, max_bytes: u64) -> Result<Evicted, GitError> {
    let repos = root.join("repos");
    let mut found: Vec<(SystemTime, u64, String)> = Vec::new();
    for dir in std::fs::read_dir(&repos).map_err(GitError::storage("read", &repos))?.flatten() {
        let name = dir.file_name().to_string_lossy().into_owned();
        if !name.starts_with(GONE) {
            let used = std::fs::metadata(dir.path().join(USED)).and_then(|about| about.modified());
            found.push((used.unwrap_or(SystemTime::UNIX_EPOCH), tree_bytes(dir.path()), name));
        }
    }
    found.sort_unstable();
    let mut done = Evicted { left: found.iter().map(|(_, bytes, _)| bytes).sum(), ..Evicted::default() };
    for (_, bytes, name) in found {
        if done.left <= max_bytes {
            break;
        }
        let entry = Entry::new(root, &name, &name);
        if let Some(_lock) = entry.try_hold()? {
            entry.remove()?;
            done = Evicted { repositories: done.repositories + 1, bytes: done.bytes + bytes, left: done.left - bytes };
        }
    }
    Ok(done)
}

/// Bytes of all files below a directory, links not followed.
fn tree_bytes(top: PathBuf) -> u64 {
    let mut open = vec![top];
    let mut bytes = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => open.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
