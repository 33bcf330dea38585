//! An archive that lies on the worker already: only below folders that its operator names, links inside them resolved, and
//! nothing but plain files.

use super::SourceError;
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
};
use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

/// The file, open for reading. Blocking, short.
pub(super) fn open(path: &Path, folders: &[PathBuf], max_bytes: u64) -> Result<File, SourceError> {
    let unreadable = |source: io::Error| SourceError::LocalUnreadable { path: path.to_owned(), source };
    let below = |folder: &PathBuf| path.strip_prefix(folder).ok().map(|rest| (folder.clone(), rest));
    // The longest: what lies in a folder of its own is not reached through the one above.
    let found = folders.iter().filter(|folder| folder.is_absolute()).filter_map(below).min_by_key(|(_, rest)| rest.as_os_str().len());
    let Some((folder, rest)) = found.filter(|(_, rest)| !rest.as_os_str().is_empty()) else {
        return Err(SourceError::LocalNotAllowed { path: path.to_owned() });
    };
    let top = File::open(folder).map_err(unreadable)?;
    // Only pointed at (O_PATH): opening a pipe or a device could block or act.
    let how =
        OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let held = openat2(&top, rest, how).map_err(|errno| match errno {
        // It leads out of the folder, through a link.
        Errno::EXDEV => SourceError::LocalNotAllowed { path: path.to_owned() },
        other => unreadable(other.into()),
    })?;
    let held = File::from(held);
    let about = held.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(SourceError::LocalNoFile { path: path.to_owned() });
    }
    if about.len() > max_bytes {
        return Err(SourceError::ArchiveTooLarge { place: path.display().to_string(), limit: max_bytes });
    }
    File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read as _, os::unix::fs::symlink};

    #[test]
    fn only_plain_files_below_allowed_folders_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("allowed/deep")).unwrap();
        std::fs::create_dir(at("allowed-not")).unwrap();
        for (path, content) in [("allowed/a.zip", "a"), ("allowed/deep/b.zip", "b"), ("outside.zip", "x"), ("allowed-not/c.zip", "c")] {
            std::fs::write(at(path), content).unwrap();
        }
        symlink("deep/b.zip", at("allowed/inside.zip")).unwrap();
        symlink("../outside.zip", at("allowed/out.zip")).unwrap();
        symlink(at("outside.zip"), at("allowed/absolute.zip")).unwrap();
        symlink("/proc/self/root", at("allowed/magic")).unwrap();
        nix::unistd::mkfifo(&at("allowed/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let folders = [PathBuf::from("relative"), at("allowed")];
        let read = |path: &str| {
            open(&at(path), &folders, 10).map(|mut file| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            })
        };
        for (path, content) in [("allowed/a.zip", "a"), ("allowed/deep/b.zip", "b"), ("allowed/inside.zip", "b")] {
            assert_eq!(read(path).unwrap(), content, "{path}");
        }
        for path in ["outside.zip", "allowed-not/c.zip", "allowed", "allowed/out.zip", "allowed/absolute.zip", "allowed/magic/etc/passwd"] {
            assert!(matches!(read(path), Err(SourceError::LocalNotAllowed { .. })), "{path}");
        }
        // Must return at once: opening a pipe for reading waits for a writer.
        for path in ["allowed/pipe", "allowed/deep"] {
            assert!(matches!(read(path), Err(SourceError::LocalNoFile { .. })), "{path}");
        }
        assert!(matches!(read("allowed/absent"), Err(SourceError::LocalUnreadable { .. })));
        std::fs::write(at("allowed/a.zip"), [0; 11]).unwrap();
        assert!(matches!(read("allowed/a.zip"), Err(SourceError::ArchiveTooLarge { limit: 10, .. })));
        assert!(matches!(open(&at("allowed/a.zip"), &[], 100), Err(SourceError::LocalNotAllowed { .. })));
    }
}
