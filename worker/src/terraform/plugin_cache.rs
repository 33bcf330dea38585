//! The worker's cache of provider packages, made safe for several attempts at a time.
//!
//! The tool's own cache is not: two `init`s write the same package, and a package that is being written cannot be started
//! ("text file busy"). So: one `init` at a time (between processes too), and what `init` linked into the checkout is
//! replaced by copies before the next one begins ([`PluginCache::detach`]). A package in the cache is thus never running,
//! and a job that damages its own copy damages nobody else's. The price is a copy of each provider per attempt, which is
//! what `init` without a cache costs too, less the download.

use crate::file_lock::{FileLock, Hold};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Below this in the checkout the tool keeps its providers: `<host>/<namespace>/<type>/<version>/<platform>`.
const PROVIDERS: &str = ".terraform/providers";
const DEEPEST: usize = 5;

/// One folder, shared by the attempts of a worker, and by other workers on the same host if they are given the same one.
#[derive(Debug, Clone)]
pub struct PluginCache {
    dir: PathBuf,
    patience: Duration,
    turn: Arc<Mutex<()>>,
}

/// The right to run `init` with the cache.
#[derive(Debug)]
pub(super) struct Turn {
    _within: OwnedMutexGuard<()>,
    _between: FileLock,
}

impl PluginCache {
    /// Makes the folder if need be. `patience`: how long one `init` waits for others before it goes on without the cache.
    pub fn open(dir: impl Into<PathBuf>, patience: Duration) -> io::Result<Self> {
        let dir: PathBuf = dir.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir: dir.canonicalize()?, patience, turn: Arc::default() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits for the turn. Nothing: others held it too long, or the lock cannot be had; go on without the cache.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let within = tokio::time::timeout(self.patience, self.turn.clone().lock_owned()).await.ok()?;
        let lock = self.dir.join(".navvy-lock");
        match FileLock::acquire(&lock, Hold::Change, self.patience).await {
            Ok(between) => Some(Turn { _within: within, _between: between? }),
            Err(error) => {
                tracing::error!(path = %lock.display(), %error, "the lock of the provider cache cannot be taken; init goes on without the cache");
                None
            }
        }
    }

    /// Replaces every link from the working directory into the cache by a copy. Needs the [`Turn`].
    pub(super) async fn detach(&self, _turn: &Turn, working_dir: &Path) -> io::Result<()> {
        let (cache, providers) = (self.dir.clone(), working_dir.join(PROVIDERS));
        let copied = tokio::task::spawn_blocking(move || copy_links(&providers, &cache, DEEPEST));
        copied.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

fn copy_links(dir: &Path, cache: &Path, depth: usize) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_symlink() {
            let target = path.canonicalize()?;
            if target.starts_with(cache) {
                let copy = path.with_extension("navvy-copy");
                copy_package(&target, &copy, DEEPEST)?;
                std::fs::remove_file(&path)?;
                std::fs::rename(&copy, &path)?;
            }
        } else if kind.is_dir() && depth > 1 {
            copy_links(&path, cache, depth - 1)?;
        }
    }
    Ok(())
}

/// Files and folders only: a package with a link in it is not copied, and its link stays where it is.
fn copy_package(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_file() {
            std::fs::copy(&path, &copy)?;
        } else if kind.is_dir() && depth > 1 {
            copy_package(&path, &copy, depth - 1)?;
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is neither a file nor a folder", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[tokio::test]
    async fn one_init_at_a_time_and_nobody_waits_for_ever() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = PluginCache::open(dir.path().join("cache"), Duration::ZERO).expect("opened");
        let other_worker = PluginCache::open(dir.path().join("cache"), Duration::ZERO).expect("opened");
        let turn = cache.turn().await.expect("free");
        assert!(cache.turn().await.is_none());
        assert!(other_worker.turn().await.is_none());
        drop(turn);
        assert!(other_worker.turn().await.is_some());
    }

    #[tokio::test]
    async fn links_into_the_cache_become_copies_and_others_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = PluginCache::open(dir.path().join("cache"), Duration::from_mins(1)).expect("opened");
        let package = cache.dir().join("r/n/t/1.0.0/linux_amd64");
        std::fs::create_dir_all(package.join("docs")).expect("made");
        std::fs::write(package.join("provider"), "#!/bin/sh\n").expect("written");
        std::fs::write(package.join("docs/LICENSE"), "free").expect("written");
        std::fs::set_permissions(package.join("provider"), std::fs::Permissions::from_mode(0o755)).expect("set");
        let versions = dir.path().join("work/.terraform/providers/r/n/t/1.0.0");
        std::fs::create_dir_all(&versions).expect("made");
        symlink(&package, versions.join("linux_amd64")).expect("linked");
        symlink("/etc", versions.join("elsewhere")).expect("linked");
        let turn = cache.turn().await.expect("free");
        cache.detach(&turn, &dir.path().join("work")).await.expect("copied");
        let copy = versions.join("linux_amd64");
        assert!(std::fs::symlink_metadata(&copy).expect("there").is_dir());
        assert_eq!(std::fs::metadata(copy.join("provider")).expect("there").permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read(copy.join("docs/LICENSE")).expect("read"), b"free");
        assert!(std::fs::symlink_metadata(versions.join("elsewhere")).expect("there").is_symlink());
        cache.detach(&turn, &dir.path().join("nothing there")).await.expect("nothing to do");
    }
}
