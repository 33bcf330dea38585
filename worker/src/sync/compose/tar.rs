//! Packs a service's files for its host: a tar archive (ustar), as every `tar` reads it.
//!
//! Files are read through the confined checkout and become plain files: no link of a repository is made on a host.

use crate::confine::{Refused, Root};
use proto::path::RepoPath;
use std::io::{self, Read as _, Write};

const BLOCK: usize = 512;
/// Largest file, in bytes: as large as a checkout takes.
const MAX_FILE_BYTES: u64 = 100 << 20;
/// Largest archive, in bytes. It has to come over within the time that copying may take.
const MAX_BYTES: u64 = 256 << 20;
/// The last file of an archive. One whose end was lost on the way does not have it, and `tar` alone may not notice.
pub(super) const LAST: &str = ".navvy-complete";

/// Why a service cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPacked {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the path `{0}` is too long for an archive")]
    Path(RepoPath),
    #[error("its files are larger than {} MiB together", MAX_BYTES >> 20)]
    TooLarge,
    #[error("the file `{0}` was changed while it was packed")]
    Changed(RepoPath),
    /// Nobody takes the archive any more: whoever took it knows why.
    #[error("the archive cannot be handed over: {0}")]
    NotTaken(io::Error),
}

/// An archive that can be written: every file was found, and is within the limits. The contents are not held.
#[derive(Debug)]
pub(super) struct Archive {
    root: Root,
    files: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    path: RepoPath,
    header: [u8; BLOCK],
    bytes: u64,
}

impl Archive {
    /// The archive of these files, by their paths in the repository. Blocking.
    pub(super) fn of<'p>(root: Root, paths: impl IntoIterator<Item = &'p RepoPath>) -> Result<Self, NotPacked> {
        let (mut files, mut total) = (Vec::new(), 0);
        for path in paths {
            let file = root.regular_file(path.as_str(), MAX_FILE_BYTES)?;
            let executable = file.is_executable();
            let header = header(path.as_str(), file.bytes, executable).ok_or_else(|| NotPacked::Path(path.clone()))?;
            total += BLOCK as u64 + file.bytes.next_multiple_of(BLOCK as u64);
            if total > MAX_BYTES {
                return Err(NotPacked::TooLarge);
            }
            files.push(Entry { path: path.clone(), header, bytes: file.bytes });
        }
        Ok(Self { root, files })
    }

    /// Writes it, a piece after the other. Blocking.
    pub(super) fn write_to(&self, out: &mut impl Write) -> Result<(), NotPacked> {
        for entry in &self.files {
            let file = self.root.regular_file(entry.path.as_str(), MAX_FILE_BYTES)?;
            if file.bytes != entry.bytes {
                return Err(NotPacked::Changed(entry.path.clone()));
            }
            out.write_all(&entry.header).map_err(NotPacked::NotTaken)?;
            let written = io::copy(&mut file.into_reader(), out).map_err(NotPacked::NotTaken)?;
            if written != entry.bytes {
                return Err(NotPacked::Changed(entry.path.clone()));
            }
            let rest = written.next_multiple_of(BLOCK as u64) - written;
            io::copy(&mut io::repeat(0).take(rest), out).map_err(NotPacked::NotTaken)?;
        }
        if let Some(last) = header(LAST, 0, false) {
            out.write_all(&last).map_err(NotPacked::NotTaken)?;
        }
        out.write_all(&[0; 2 * BLOCK]).and_then(|()| out.flush()).map_err(NotPacked::NotTaken)
    }
}

/// `None`: the path is too long.
fn header(path: &str, bytes: u64, executable: bool) -> Option<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, if executable { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    // One time for all: what is packed depends on the commit alone.
    put(136, b"00000000000\0");
    // The sum counts its own field as blanks.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// A path as the two fields that it has in an archive.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let mut cuts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    cuts.rfind(|(prefix, name)| prefix.len() <= 155 && (1..=100).contains(&name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::{PermissionsExt as _, symlink},
        process::{Command, Stdio},
    };

    #[test]
    fn the_program_tar_unpacks_what_is_packed() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = format!("{}/{}/x.conf", "d".repeat(90), "e".repeat(60));
        let files = [("compose.yaml", "services: {}\n".to_owned()), ("conf/run.sh", "x".repeat(1500)), (long.as_str(), String::new())];
        for (path, content) in &files {
            let path = from.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::set_permissions(from.path().join("conf/run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("run.sh", from.path().join("conf/link")).unwrap();
        symlink("/etc/hostname", from.path().join("conf/out")).unwrap();
        let root = Root::new(from.path()).unwrap();
        let paths: Vec<RepoPath> = files.iter().map(|(path, _)| *path).chain(["conf/link"]).map(|path| path.parse().unwrap()).collect();
        assert!(matches!(
            Archive::of(Root::new(from.path()).unwrap(), &["conf/out".parse().unwrap()]),
            Err(NotPacked::Refused(Refused::LeadsOut(_)))
        ));
        let archive = Archive::of(root, &paths).unwrap();
        let mut tar = Command::new("tar").args(["-x", "-f", "-", "-C"]).arg(to.path()).stdin(Stdio::piped()).spawn().unwrap();
        archive.write_to(&mut tar.stdin.take().unwrap()).unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(to.path().join(LAST).is_file());
        for (path, content) in &files {
            assert_eq!(&std::fs::read_to_string(to.path().join(path)).unwrap(), content);
        }
        let mode = |path: &str| std::fs::symlink_metadata(to.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("conf/run.sh"), mode("compose.yaml")), (0o755, 0o644));
        assert!(to.path().join("conf/link").symlink_metadata().unwrap().is_file(), "a link becomes what it leads to");
    }

    #[test]
    fn a_file_that_is_another_by_now_ends_it_before_the_last() {
        let from = tempfile::tempdir().unwrap();
        let place = from.path().join("a");
        std::fs::write(&place, "one").unwrap();
        let archive = Archive::of(Root::new(from.path()).unwrap(), &["a".parse().unwrap()]).unwrap();
        std::fs::write(&place, "three").unwrap();
        let mut written = Vec::new();
        assert!(matches!(archive.write_to(&mut written), Err(NotPacked::Changed(path)) if path.as_str() == "a"));
        assert!(written.is_empty());
    }

    #[test]
    fn more_than_fits_is_refused_before_anything_is_read() {
        let from = tempfile::tempdir().unwrap();
        let paths: Vec<RepoPath> = (0..3).map(|number| format!("f{number}").parse().unwrap()).collect();
        for path in &paths {
            std::fs::File::create(from.path().join(path.as_str())).unwrap().set_len(MAX_FILE_BYTES).unwrap();
        }
        assert!(Archive::of(Root::new(from.path()).unwrap(), &paths[..2]).is_ok());
        assert!(matches!(Archive::of(Root::new(from.path()).unwrap(), &paths), Err(NotPacked::TooLarge)));
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        assert_eq!(split(&format!("a/{}", "b".repeat(120))), None);
        assert_eq!(split(&"d/".repeat(140)), None, "no name");
        assert!(split(&format!("{}/b", "a".repeat(150))).is_some());
    }
}
