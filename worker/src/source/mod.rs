//! The code of an order: nothing, a folder of a commit, or a zip archive. Each order gets a copy of its own.
//!
//! - `repository` takes a folder of a commit out of the git cache, over the way that lets us in; `known` remembers what
//!   abbreviated commit ids mean, so that a thousand orders of one commit cost one fetch;
//! - `place` reads where an archive lies, `reach` and `download` fetch it from an address, [`store`] from an object store,
//!   `local` opens one that is on the worker already; [`unpack`] takes it apart;
//! - `room` is where all of it happens, so that nothing half-done is left.
//!
//! Fetching the credentials, and running the commands, is not done here. A dropped future stops the work and removes what
//! it made.

mod download;
mod error;
mod known;
mod local;
mod place;
mod reach;
mod repository;
mod room;
pub mod store;
pub mod unpack;

pub use error::SourceError;
pub use known::KnownCommits;

use crate::git::{Cache, Sink};
use place::Place;
use proto::{
    git::{AllowedHosts, CommitId},
    orders::CodeSource,
    terraform::GitAuth,
};
use room::Room;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use store::ArchiveStore;
use unpack::UnpackLimits;

/// What a worker has to fetch code with. Everything but the logins is the same for all orders.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    pub git: &'a Cache,
    pub known: &'a KnownCommits,
    pub logins: &'a Logins,
    /// Hosts that archives may come from. The git cache has its own list.
    pub allowed: &'a AllowedHosts,
    /// Absolute folders of the worker below which archives may lie.
    pub local_folders: &'a [PathBuf],
    /// Absent: no `s3://`.
    pub store: Option<&'a dyn ArchiveStore>,
    pub limits: &'a Limits,
}

/// The credentials of one order's repository, fetched already.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    /// For http and https.
    pub token: Option<GitAuth>,
    /// For ssh.
    pub ssh_key: Option<GitAuth>,
}

/// How far an archive may go before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive itself.
    pub archive_bytes: u64,
    /// For the whole download.
    pub fetch_time: Duration,
    pub unpack: UnpackLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { archive_bytes: 512 << 20, fetch_time: Duration::from_mins(10), unpack: UnpackLimits::default() }
    }
}

/// An order's code on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The folder that was asked for, mode 0700.
    pub dir: PathBuf,
    /// The commit that it is of, when it came from a repository.
    pub commit: Option<CommitId>,
    /// Files and links in it.
    pub files: u64,
    /// Symbolic links that lead out of it, relative to it.
    pub links_out: Vec<String>,
}

/// Puts an order's code into `dest`, which must not exist; its parent must. What people should read meanwhile goes to
/// `says`, line by line. When it fails or is dropped, `dest` is not there.
pub async fn prepare(source: &CodeSource, means: &Means<'_>, dest: &Path, says: &mut Sink<'_>) -> Result<Prepared, SourceError> {
    let room = Room::beside(dest)?;
    let prepared = match source {
        CodeSource::None => {
            room::make_private(dest)?;
            Prepared { dir: dest.to_owned(), commit: None, files: 0, links_out: Vec::new() }
        }
        CodeSource::Git(source) => repository::copy(source, means, &room, says).await?,
        CodeSource::Zip { location } => archive(location, means, &room, says).await?,
    };
    room.keep_dest();
    Ok(prepared)
}

async fn archive(location: &str, means: &Means<'_>, room: &Room, says: &mut Sink<'_>) -> Result<Prepared, SourceError> {
    let place = Place::parse(location)?;
    says(&format!("Fetching the archive {}...", place.shown()));
    let file = match &place {
        Place::File(path) => local::open(path, means.local_folders, means.limits.archive_bytes)?,
        Place::Address(_) | Place::Object { .. } => download::fetch(&place, means, &room.archive()).await?,
    };
    let (limits, dest) = (means.limits.unpack, room.dest().to_owned());
    let unpacked = room.blocking(move |stop| Ok(unpack::unpack(file, &dest, &limits, stop))).await?;
    let unpacked = unpacked.map_err(|why| SourceError::Archive { place: place.shown(), why })?;
    says(&format!("Unpacked {} files ({} bytes)", unpacked.files, unpacked.bytes));
    Ok(Prepared { dir: room.dest().to_owned(), commit: None, files: unpacked.files, links_out: Vec::new() })
}
