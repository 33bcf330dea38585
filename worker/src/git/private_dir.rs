//! A directory for secrets that git or ssh must read from a file: mode 0700, in memory where the system offers it, gone
//! when its owner drops it.
//!
//! The owner holds a lock on a file inside. If the process dies, the lock goes with it, and the next [`sweep`] removes
//! what was left.

use super::GitError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "navvy-git-";
const MEMORY: &str = "/dev/shm";
/// Younger directories are left alone by a sweep: their owner may not hold the lock yet.
const YOUNG: Duration = Duration::from_mins(1);

/// Removes itself.
#[derive(Debug)]
pub(super) struct PrivateDir {
    path: PathBuf,
    _lock: File,
}

impl PrivateDir {
    /// In memory, else below `fallback`, which must exist.
    pub(super) fn create(fallback: &Path) -> Result<Self, GitError> {
        match Self::create_in(Path::new(MEMORY)) {
            Ok(dir) => Ok(dir),
            Err(_) => Self::create_in(fallback).map_err(GitError::storage("make a private directory in", fallback)),
        }
    }

    fn create_in(parent: &Path) -> std::io::Result<Self> {
        let path = parent.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = new_file(&path.join("lock")).and_then(|file| file.lock().map(|()| file));
        match lock {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of mode 0600 that was not there before.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, GitError> {
        let path = self.path.join(name);
        new_file(&path).and_then(|mut file| file.write_all(content)).map_err(GitError::storage("write the private file", &path))?;
        Ok(path)
    }

    /// A symbolic link inside, leading to `target`.
    pub(super) fn link(&self, name: &str, target: &Path) -> Result<PathBuf, GitError> {
        let path = self.path.join(name);
        std::os::unix::fs::symlink(target, &path).map_err(GitError::storage("make the link", &path))?;
        Ok(path)
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::error!(path = %self.path.display(), %error, "a private directory could not be removed");
        }
    }
}

fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Removes what dead processes of this user left behind.
pub(super) fn sweep(fallback: &Path) {
    for parent in [Path::new(MEMORY), fallback] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_left_over(&entry.path()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn is_left_over(path: &Path) -> bool {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        return false;
    };
    let old = about.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > YOUNG);
    let ours = about.is_dir() && about.uid() == nix::unistd::geteuid().as_raw();
    if !ours || !old {
        return false;
    }
    match File::open(path.join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn make_old(path: &Path) {
        let past = SystemTime::now() - 2 * YOUNG;
        File::open(path).expect("open").set_modified(past).expect("set the time");
    }

    #[test]
    fn it_is_private_and_leaves_nothing_behind() {
        let fallback = tempfile::tempdir().expect("a directory");
        let dir = PrivateDir::create_in(fallback.path()).expect("a private directory");
        let file = dir.write("key", b"secret").expect("written");
        assert_eq!(std::fs::metadata(dir.path()).expect("stat").mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(&file).expect("stat").mode() & 0o777, 0o600);
        assert!(dir.write("key", b"again").is_err());
        drop(dir);
        assert_eq!(std::fs::read_dir(fallback.path()).expect("list").count(), 0);
    }

    #[test]
    fn a_sweep_takes_what_the_dead_left_and_spares_the_living() {
        let fallback = tempfile::tempdir().expect("a directory");
        let living = PrivateDir::create_in(fallback.path()).expect("a private directory");
        make_old(living.path());
        let dead = fallback.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).expect("made");
        std::fs::write(dead.join("lock"), "").expect("written");
        make_old(&dead);
        let young = fallback.path().join(format!("{PREFIX}young"));
        std::fs::create_dir(&young).expect("made");
        sweep(fallback.path());
        assert!(living.path().exists() && young.exists());
        assert!(!dead.exists());
    }
}
