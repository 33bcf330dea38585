//! Taking a zip archive apart that nobody vouches for, into a new folder and nowhere else.
//!
//! An archive says many things twice, and readers differ in which they believe. Here it has one reading or is refused:
//! `directory` reads the list at its end and holds it against what it lists, `entry` says which names and kinds are taken,
//! `write` inflates and writes, counting what really comes out. Where archives come from is not decided here.
//!
//! Names that differ only in case are two names, as they are in git and on the file systems of workers; on one that cannot
//! tell them apart, the second is refused when it is written.

mod directory;
mod entry;
mod error;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod made;
mod write;

pub use error::{BadArchive, BadEntry};

use directory::Directory;
use std::{
    fs::{DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::atomic::AtomicBool,
};

/// How much may come out of one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Files and folders, also those that are only on the way to a listed one.
    pub entries: u64,
    /// Folders that one name may lead through.
    pub depth: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { entries: 50_000, depth: 64, file_bytes: 1 << 30, total_bytes: 2 << 30 }
    }
}

/// What came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    pub bytes: u64,
}

/// Unpacks into `dest`, which must not exist; its parent must. Blocking; ends early when `stop` becomes true. When it fails,
/// `dest` is gone again.
pub fn unpack(archive: File, dest: &Path, limits: &UnpackLimits, stop: &AtomicBool) -> Result<Unpacked, BadArchive> {
    let directory = Directory::read(archive, limits)?;
    let cannot_make = |source| BadArchive::Folder { path: dest.to_owned(), source };
    DirBuilder::new().mode(0o700).create(dest).map_err(cannot_make)?;
    let unpacked = File::open(dest).map_err(cannot_make).and_then(|top| write::write(&directory, &top, stop));
    if unpacked.is_err() {
        // The first error says more than one about removing.
        let _ = std::fs::remove_dir_all(dest);
    }
    unpacked
}
