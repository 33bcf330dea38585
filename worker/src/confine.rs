//! Paths inside a checkout: a job names a directory or a file, and gets it only if it really lies there.
//!
//! The text rules (relative, no `..`) are `proto::path::RepoPath`; here symbolic links count. The kernel resolves the
//! path below an open directory (openat2 with RESOLVE_BENEATH), so there is no moment between a check and a use in which
//! a link could be swapped. Which paths a job asks for is not decided here.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use proto::path::{BadPath, RepoPath};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Largest file of variables that is read, in bytes.
pub const MAX_TFVARS_BYTES: u64 = 1 << 20;

/// Why a path of a checkout is not given out. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Spelling(#[from] BadPath),
    #[error("`{0}` does not exist in the repository at this commit: check the spelling (case counts)")]
    Missing(String),
    #[error("`{0}` leads out of the repository through a symbolic link: point it at something inside")]
    LeadsOut(String),
    #[error("`{0}` is a symbolic link that never ends")]
    Loop(String),
    #[error("`{path}` is a {found}, not a {wanted}: give the path of a {wanted}")]
    WrongKind { path: String, found: &'static str, wanted: &'static str },
    #[error("`{path}` has {bytes} bytes, more than the {limit} that are read: split it or make it smaller")]
    TooLarge { path: String, bytes: u64, limit: u64 },
    #[error("this kernel cannot confine paths (openat2 is missing): run the worker on Linux 5.6 or newer")]
    OldKernel,
    #[error("`{path}` cannot be read")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// The top directory of a checkout, held open.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    dir: OwnedFd,
}

/// A regular file inside a checkout, open for reading: what is read is what was checked.
#[derive(Debug)]
pub struct RegularFile {
    /// Where it really lies, links resolved.
    pub path: PathBuf,
    /// Its size in bytes when it was opened.
    pub bytes: u64,
    file: File,
    limit: u64,
}

impl RegularFile {
    /// The content; at most the limit it was opened with, even if the file has grown.
    pub fn read(self) -> Result<Vec<u8>, Refused> {
        let path = self.path.display().to_string();
        let mut content = Vec::new();
        match self.file.take(self.limit + 1).read_to_end(&mut content) {
            Ok(bytes) if bytes as u64 > self.limit => Err(Refused::TooLarge { path, bytes: bytes as u64, limit: self.limit }),
            Ok(_) => Ok(content),
            Err(source) => Err(Refused::Unreadable { path, source }),
        }
    }

    /// Whether it may be run.
    pub fn is_executable(&self) -> bool {
        self.file.metadata().is_ok_and(|about| about.permissions().mode() & 0o111 != 0)
    }

    /// The content, to be read piece by piece; at most the limit it was opened with.
    pub fn into_reader(self) -> impl std::io::Read {
        self.file.take(self.limit)
    }
}

impl Root {
    /// Opens the top directory of a checkout.
    pub fn new(checkout: &Path) -> Result<Self, Refused> {
        let unreadable = |source| Refused::Unreadable { path: checkout.display().to_string(), source };
        let path = checkout.canonicalize().map_err(unreadable)?;
        let dir = File::open(&path).map_err(unreadable)?;
        if !dir.metadata().map_err(unreadable)?.is_dir() {
            let path = path.display().to_string();
            return Err(Refused::WrongKind { path, found: "file", wanted: "directory" });
        }
        Ok(Self { path, dir: dir.into() })
    }

    /// Where the checkout lies, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The real place of a directory of the checkout; an empty path or `.` is the top.
    pub fn directory(&self, path: &str) -> Result<PathBuf, Refused> {
        let path: RepoPath = path.parse()?;
        let held = self.open(path.as_str())?;
        if kind(&held, path.as_str())? != "directory" {
            return Err(wrong_kind(&held, path.as_str(), "directory"));
        }
        real_path(&held, path.as_str())
    }

    /// A regular file of the checkout with at most `max_bytes` bytes.
    pub fn regular_file(&self, path: &str, max_bytes: u64) -> Result<RegularFile, Refused> {
        let path: RepoPath = path.parse()?;
        let path = path.as_str();
        let held = self.open(path)?;
        if kind(&held, path)? != "file" {
            return Err(wrong_kind(&held, path, "file"));
        }
        // Until here the file was only pointed at (O_PATH): opening a pipe or a device for reading could block or act.
        let unreadable = |source| Refused::Unreadable { path: path.to_owned(), source };
        let file = File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes > max_bytes {
            return Err(Refused::TooLarge { path: path.to_owned(), bytes, limit: max_bytes });
        }
        Ok(RegularFile { path: real_path(&held, path)?, bytes, file, limit: max_bytes })
    }

    /// Whether a path (a link, usually) leads out of the checkout, as far as can be told: one that leads nowhere does not.
    pub(crate) fn leads_out(&self, path: &Path) -> bool {
        match self.resolve(path) {
            Ok(_) => false,
            Err(errno) => !matches!(errno, Errno::ENOENT | Errno::ENOTDIR),
        }
    }

    fn open(&self, path: &str) -> Result<OwnedFd, Refused> {
        self.resolve(Path::new(path)).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => Refused::Missing(path.to_owned()),
            Errno::EXDEV => Refused::LeadsOut(path.to_owned()),
            Errno::ELOOP => Refused::Loop(path.to_owned()),
            Errno::ENOSYS => Refused::OldKernel,
            other => Refused::Unreadable { path: path.to_owned(), source: other.into() },
        })
    }

    fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        // The kernel answers EAGAIN when something was renamed meanwhile and it cannot be sure.
        for _ in 0..8 {
            match openat2(&self.dir, path, how) {
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::EXDEV)
    }
}

fn wrong_kind(held: &OwnedFd, path: &str, wanted: &'static str) -> Refused {
    kind(held, path).map_or_else(|error| error, |found| Refused::WrongKind { path: path.to_owned(), found, wanted })
}

fn kind(held: &OwnedFd, path: &str) -> Result<&'static str, Refused> {
    use std::os::unix::fs::FileTypeExt as _;
    let about = held
        .try_clone()
        .and_then(|held| File::from(held).metadata())
        .map_err(|source| Refused::Unreadable { path: path.to_owned(), source })?;
    let kind = about.file_type();
    Ok(if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "device"
    } else {
        "special file"
    })
}

fn real_path(held: &OwnedFd, path: &str) -> Result<PathBuf, Refused> {
    std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))
        .map_err(|source| Refused::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
