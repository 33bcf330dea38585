//! Inflates what an archive lists and writes it below an open folder.
//!
//! Every path is resolved by the kernel below that folder, without following any link (openat2), and every file must be
//! new. What comes out is counted as it is written: more or less than announced ends it.

use super::{
    BadArchive, BadEntry, Unpacked,
    directory::{Directory, Entry},
    entry::{Kind, Packing},
};
use flate2::{Crc, bufread::DeflateDecoder};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::{Mode, mkdirat},
};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read, Write as _},
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    sync::atomic::{AtomicBool, Ordering},
};

/// How much is inflated at a time, and how often a stop is looked for.
const PIECE: usize = 64 * 1024;

pub(super) fn write(directory: &Directory, top: &File, stop: &AtomicBool) -> Result<Unpacked, BadArchive> {
    let mut writer = Writer { archive: &directory.archive, top, made: HashSet::new(), stop, done: Unpacked::default() };
    for entry in &directory.entries {
        writer.entry(entry)?;
    }
    Ok(writer.done)
}

struct Writer<'a> {
    archive: &'a File,
    top: &'a File,
    /// Paths of folders.
    made: HashSet<&'a str>,
    stop: &'a AtomicBool,
    done: Unpacked,
}

impl<'a> Writer<'a> {
    fn entry(&mut self, entry: &'a Entry) -> Result<(), BadArchive> {
        self.go_on()?;
        for (slash, _) in entry.path.match_indices('/') {
            self.folder(&entry.path[..slash])?;
        }
        match entry.kind {
            Kind::Folder => self.folder(&entry.path),
            Kind::File { executable } => self.file(entry, executable),
        }
    }

    fn go_on(&self) -> Result<(), BadArchive> {
        if self.stop.load(Ordering::Relaxed) { Err(BadArchive::Cancelled) } else { Ok(()) }
    }

    fn folder(&mut self, path: &'a str) -> Result<(), BadArchive> {
        if !self.made.insert(path) {
            return Ok(());
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let made = self
            .open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())
            .and_then(|parent| mkdirat(&parent, name, Mode::from_bits_truncate(0o755)));
        made.map_err(|errno| unwritable(path, errno))
    }

    fn file(&mut self, entry: &Entry, executable: bool) -> Result<(), BadArchive> {
        let mode = Mode::from_bits_truncate(if executable { 0o755 } else { 0o644 });
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let opened = self.open(&entry.path, flags, mode).map_err(|errno| unwritable(&entry.path, errno))?;
        let mut file = File::from(opened);
        let packed = BufReader::new(Section { archive: self.archive, at: entry.at, left: entry.packed });
        match entry.packing {
            Packing::Stored => self.copy(entry, packed, &mut file),
            Packing::Deflated => {
                let mut inflated = DeflateDecoder::new(packed);
                self.copy(entry, &mut inflated, &mut file)?;
                // What is left over behind the content would be more content for another reader.
                if inflated.total_in() == entry.packed { Ok(()) } else { Err(BadArchive::entry(&entry.path, BadEntry::Damaged)) }
            }
        }
    }

    fn copy(&mut self, entry: &Entry, mut content: impl Read, file: &mut File) -> Result<(), BadArchive> {
        let refused = |why| Err(BadArchive::entry(&entry.path, why));
        let (mut piece, mut checksum, mut bytes) = (vec![0; PIECE], Crc::new(), 0_u64);
        loop {
            self.go_on()?;
            let count = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error().is_some() => return Err(BadArchive::Unreadable(error)),
                Err(_) => return refused(BadEntry::Damaged),
            };
            bytes += count as u64;
            // The announced sizes were found small enough, each and together.
            if bytes > entry.unpacked {
                return refused(BadEntry::OtherSize);
            }
            checksum.update(&piece[..count]);
            file.write_all(&piece[..count]).map_err(|source| BadArchive::Write { entry: entry.path.clone(), source })?;
        }
        if bytes != entry.unpacked {
            return refused(BadEntry::OtherSize);
        }
        if checksum.sum() != entry.checksum {
            return refused(BadEntry::Damaged);
        }
        self.done.files += 1;
        self.done.bytes += bytes;
        Ok(())
    }

    fn open(&self, path: &str, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(inside);
        openat2(self.top, path, how)
    }
}

/// The packed bytes of one entry.
struct Section<'a> {
    archive: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.archive.read_at(&mut into[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn unwritable(path: &str, errno: Errno) -> BadArchive {
    match errno {
        Errno::ENOSYS => BadArchive::OldKernel,
        // A file system that takes two names for one.
        Errno::EEXIST => BadArchive::entry(path, BadEntry::Twice),
        other => BadArchive::Write { entry: path.to_owned(), source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    /// Paths that `entry` would never let through, and a folder that is not as new as it should be.
    #[test]
    fn nothing_is_written_over_or_through_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("code")).unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/file"), "kept").unwrap();
        fs::write(at("code/there"), "kept").unwrap();
        symlink("../outside", at("code/out")).unwrap();
        symlink("../outside/file", at("code/link")).unwrap();
        symlink("../outside/new", at("code/dangling")).unwrap();
        fs::write(at("archive"), "").unwrap();
        let (archive, top, stop) = (File::open(at("archive")).unwrap(), File::open(at("code")).unwrap(), AtomicBool::new(false));
        let mut writer = Writer { archive: &archive, top: &top, made: HashSet::new(), stop: &stop, done: Unpacked::default() };
        for path in ["there", "link", "dangling", "out/file", "out/new", "../outside/file", "../new", "/proc/self/cwd/new"] {
            let kind = Kind::File { executable: false };
            let entry = Entry { path: path.to_owned(), kind, packing: Packing::Stored, checksum: 0, at: 0, packed: 0, unpacked: 0 };
            assert!(writer.file(&entry, false).is_err(), "{path}");
        }
        for path in ["out", "out/folder", "../folder", "link/folder"] {
            assert!(writer.folder(path).is_err(), "{path}");
        }
        assert_eq!(writer.done, Unpacked::default());
        assert_eq!(fs::read_to_string(at("outside/file")).unwrap() + &fs::read_to_string(at("code/there")).unwrap(), "keptkept");
        assert_eq!((fs::read_dir(at("outside")).unwrap().count(), fs::read_dir(dir.path()).unwrap().count()), (1, 3));
    }
}
