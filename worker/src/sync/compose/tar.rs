//! Packs a service's files for its host: a tar archive (ustar), as every `tar` reads it.
//!
//! Files are read through the confined checkout and become plain files: no link of a repository is made on a host.

use crate::confine::{Refused, Root};
use proto::path::RepoPath;

const BLOCK: usize = 512;
/// Largest file, in bytes: as large as a checkout takes.
const MAX_FILE_BYTES: u64 = 100 << 20;
/// Largest archive, in bytes. It is held in memory.
const MAX_BYTES: usize = 256 << 20;

/// Why a service cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPacked {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the path `{0}` is too long for an archive")]
    Path(RepoPath),
    #[error("its files are larger than {} MiB together", MAX_BYTES >> 20)]
    TooLarge,
}

/// The archive of these files, by their paths in the repository. Blocking.
pub(super) fn pack<'p>(root: &Root, paths: impl IntoIterator<Item = &'p RepoPath>) -> Result<Vec<u8>, NotPacked> {
    let mut archive = Vec::new();
    for path in paths {
        let file = root.regular_file(path.as_str(), MAX_FILE_BYTES)?;
        let executable = std::fs::metadata(&file.path).is_ok_and(|about| {
            use std::os::unix::fs::PermissionsExt as _;
            about.permissions().mode() & 0o111 != 0
        });
        let content = file.read()?;
        if archive.len() + content.len() > MAX_BYTES {
            return Err(NotPacked::TooLarge);
        }
        archive.extend(header(path, content.len(), executable)?);
        archive.extend(&content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

fn header(path: &RepoPath, bytes: usize, executable: bool) -> Result<[u8; BLOCK], NotPacked> {
    let too_long = || NotPacked::Path(path.clone());
    let (prefix, name) = split(path.as_str()).ok_or_else(too_long)?;
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
    Ok(header)
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
        io::Write as _,
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
        let archive = pack(&root, &paths).unwrap();
        let mut tar = Command::new("tar").args(["-x", "-f", "-", "-C"]).arg(to.path()).stdin(Stdio::piped()).spawn().unwrap();
        tar.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(tar.wait().unwrap().success());
        for (path, content) in &files {
            assert_eq!(&std::fs::read_to_string(to.path().join(path)).unwrap(), content);
        }
        let mode = |path: &str| std::fs::symlink_metadata(to.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("conf/run.sh"), mode("compose.yaml")), (0o755, 0o644));
        assert!(to.path().join("conf/link").symlink_metadata().unwrap().is_file(), "a link becomes what it leads to");
        assert!(matches!(pack(&root, &["conf/out".parse().unwrap()]), Err(NotPacked::Refused(Refused::LeadsOut(_)))));
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        assert_eq!(split(&format!("a/{}", "b".repeat(120))), None);
        assert_eq!(split(&"d/".repeat(140)), None, "no name");
        assert!(split(&format!("{}/b", "a".repeat(150))).is_some());
    }
}
