//! Key files of the worker's operator: tokens, keys, identities. A file that others may use is not used.

use crate::error::Cause;
use proto::Secret;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Largest key file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The text of a key file without white space around it.
pub(crate) fn read_private(path: &Path) -> Result<Secret, Cause> {
    let shown = path.display();
    let unusable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Cause::denied(format!("the worker's key file {shown} does not exist; its operator must put it there")),
        _ => Cause::denied(format!("the worker's key file {shown} cannot be read: {error}")),
    };
    // NONBLOCK: opening a pipe must not hang. Links are followed: the operator chose the path.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(unusable)?;
    let about = file.metadata().map_err(unusable)?;
    if !about.is_file() {
        return Err(Cause::denied(format!("the worker's key file {shown} is no regular file")));
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Cause::denied(format!(
            "the worker's key file {shown} can be used by others (mode {mode:04o}); its operator must run: chmod 600 {shown}"
        )));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unusable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Cause::denied(format!("the worker's key file {shown} is larger than {MAX_BYTES} bytes")));
    }
    Ok(Secret::new(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_a_file_of_its_owner_alone_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, " hunter2\n").unwrap();
        for (mode, usable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match read_private(&path) {
                Ok(text) => assert!(usable && text.expose() == "hunter2", "{mode:o}"),
                Err(cause) => assert!(!usable && cause.to_string().contains("chmod 600"), "{mode:o}: {cause}"),
            }
        }
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for unusable in [dir.path().join("absent"), dir.path().to_owned(), pipe] {
            assert!(matches!(read_private(&unusable), Err(Cause::Denied(_))), "{}", unusable.display());
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        assert!(read_private(&path).is_err());
    }
}
