//! Files of locations: only below the folders that the worker's operator allows. The kernel resolves the path below the
//! open folder (openat2 with RESOLVE_BENEATH), so that no link leads out and there is no moment to swap one in.

use crate::error::Cause;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Largest file of credentials, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The content of the file at an absolute path.
pub(crate) fn read_allowed(folders: &[PathBuf], path: &str) -> Result<Vec<u8>, Cause> {
    let path = Path::new(path);
    if !path.is_absolute() || path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Cause::malformed("the path of a file must be absolute and without `..`"));
    }
    let Some((folder, inside)) = folders.iter().find_map(|folder| Some((folder, path.strip_prefix(folder).ok()?))) else {
        return Err(Cause::denied("it lies in no folder that the operator of this worker allows"));
    };
    let top = File::open(folder).map_err(|error| Cause::denied(format!("the allowed folder {} is unusable: {error}", folder.display())))?;
    let file = open_regular(&top.into(), inside)?;
    let mut content = Vec::new();
    let failed = |error: std::io::Error| Cause::denied(format!("the file cannot be read: {error}"));
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(Cause::malformed(format!("the file is larger than {MAX_BYTES} bytes")));
    }
    Ok(content)
}

fn open_regular(top: &OwnedFd, inside: &Path) -> Result<File, Cause> {
    let held = resolve(top, inside).map_err(|errno| match errno {
        Errno::ENOENT | Errno::ENOTDIR => Cause::NotFound("there is no such file on this worker".to_owned()),
        Errno::EXDEV => Cause::denied("a symbolic link leads out of the allowed folder"),
        Errno::ELOOP => Cause::malformed("it is a symbolic link that never ends"),
        Errno::ENOSYS => Cause::denied("this kernel cannot confine paths (openat2 is missing): run the worker on Linux 5.6 or newer"),
        other => Cause::denied(format!("the file cannot be opened: {other}")),
    })?;
    // Only pointed at until here (O_PATH): opening a pipe or a device for reading could block or act.
    let failed = |error: std::io::Error| Cause::denied(format!("the file cannot be opened: {error}"));
    let held = File::from(held);
    if !held.metadata().map_err(failed)?.is_file() {
        return Err(Cause::malformed("it is no regular file"));
    }
    File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).map_err(failed)
}

fn resolve(top: &OwnedFd, inside: &Path) -> Result<OwnedFd, Errno> {
    let how =
        OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    // The kernel answers EAGAIN when something was renamed meanwhile and it cannot be sure.
    for _ in 0..8 {
        match openat2(top, inside, how) {
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::EXDEV)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_inside_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let allowed = dir.path().join("allowed");
        std::fs::create_dir_all(allowed.join("sub")).unwrap();
        std::fs::write(allowed.join("sub/a.json"), "{}").unwrap();
        std::fs::write(dir.path().join("outside.json"), "{}").unwrap();
        std::fs::write(allowed.join("big.json"), vec![b' '; MAX_BYTES as usize + 1]).unwrap();
        symlink("sub/a.json", allowed.join("inside")).unwrap();
        symlink("../outside.json", allowed.join("out")).unwrap();
        symlink(dir.path(), allowed.join("up")).unwrap();
        symlink("/proc/self/root", allowed.join("magic")).unwrap();
        symlink("loop", allowed.join("loop")).unwrap();
        nix::unistd::mkfifo(&allowed.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let read = |path: &str| read_allowed(std::slice::from_ref(&allowed), &format!("{}/{path}", dir.path().display()));
        for good in ["allowed/sub/a.json", "allowed//sub/./a.json", "allowed/inside"] {
            assert_eq!(read(good).unwrap(), b"{}", "{good}");
        }
        for denied in ["outside.json", "allowed/out", "allowed/up/outside.json", "allowed/magic/etc/passwd", "allowed-too/a.json"] {
            assert!(matches!(read(denied), Err(Cause::Denied(_))), "{denied}");
        }
        for malformed in ["allowed/../outside.json", "allowed/loop", "allowed/pipe", "allowed/sub", "allowed", "allowed/big.json"] {
            assert!(matches!(read(malformed), Err(Cause::Malformed(_))), "{malformed}");
        }
        assert!(matches!(read("allowed/absent"), Err(Cause::NotFound(_))));
        assert!(matches!(read_allowed(&[], "/etc/passwd"), Err(Cause::Denied(_))), "nothing is allowed at first");
        assert!(matches!(read_allowed(&["/etc".into()], "etc/passwd"), Err(Cause::Malformed(_))));
    }
}
