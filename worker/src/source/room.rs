//! Where code is prepared: the order's folder, and a folder beside it for what is only needed meanwhile. Unless the
//! order's folder is kept in the end, both are gone, also when nobody waits for the work any more.

use super::SourceError;
use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug)]
pub(super) struct Room {
    dest: PathBuf,
    scratch: PathBuf,
    stop: Arc<AtomicBool>,
    kept: bool,
}

impl Room {
    /// For a folder that is not there yet.
    pub(super) fn beside(dest: &Path) -> Result<Self, SourceError> {
        match dest.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SourceError::disk("look for", dest)(error)),
            Ok(_) => return Err(SourceError::disk("make", dest)(io::ErrorKind::AlreadyExists.into())),
        }
        let scratch = dest.with_file_name(format!(".source-{}", uuid::Uuid::new_v4().simple()));
        make_private(&scratch)?;
        Ok(Self { dest: dest.to_owned(), scratch, stop: Arc::default(), kept: false })
    }

    pub(super) fn dest(&self) -> &Path {
        &self.dest
    }

    /// Where an archive is downloaded to.
    pub(super) fn archive(&self) -> PathBuf {
        self.scratch.join("archive.zip")
    }

    /// Where a whole commit is written, a new place each time.
    pub(super) fn checkout(&self) -> PathBuf {
        self.scratch.join(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Runs work that makes the order's folder on the threads for it. The flag is raised when nobody waits any more.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let (stop, dest) = (Arc::clone(&self.stop), self.dest.clone());
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&stop);
            // Whoever dropped the room may have looked before the folder was there.
            if stop.load(Ordering::SeqCst) {
                let _ = std::fs::remove_dir_all(&dest);
            }
            done
        });
        match working.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(SourceError::disk("go on (the worker is shutting down) with", &self.dest)(io::ErrorKind::Interrupted.into())),
        }
    }

    /// The order's folder is complete.
    pub(super) fn keep_dest(mut self) {
        self.kept = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.kept {
            self.stop.store(true, Ordering::SeqCst);
            let _ = std::fs::remove_dir_all(&self.dest);
        }
        // What a checkout that was let go writes in here at this moment goes with the attempt's folder.
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

/// A new folder for the worker's user alone.
pub(super) fn make_private(path: &Path) -> Result<(), SourceError> {
    DirBuilder::new().mode(0o700).create(path).map_err(SourceError::disk("make", path))
}
