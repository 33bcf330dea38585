//! A generated secret that outlives the process: the admin token, the sealing key.
//!
//! Created once, read ever after. Several processes may start at the same moment and one may die half-way: the file
//! appears under its name only when it is complete and on disk, and the first one to name it wins. Operators' own
//! secret files (`*_file` settings) are read elsewhere.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::settings::Secret;

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The system refused an operation.
    #[error("cannot {operation} the secret file {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read or write it.
    #[error("the secret file {} can be used by others (mode {mode:04o}); run: chmod 600 {}, and replace the secret if others may have read it", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no regular file of hexadecimal digits of the right length.
    #[error("the secret file {} does not hold {digits} hexadecimal digits; restore it, or move it away to let a new one be made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How many digits belong there.
        digits: usize,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for the secret file {}", path.display())]
    NoRandomness {
        /// The file.
        path: PathBuf,
    },
}

/// The secret of `bytes` random bytes in `path`, as hexadecimal digits; made with mode 0600 when there is none yet.
/// Missing parent folders are made with mode 0700. Blocking, and short.
///
/// # Errors
/// The file is open to others, is damaged, or cannot be read or made. It is never replaced.
pub fn read_or_create(path: &Path, bytes: usize) -> Result<Secret, SecretFileError> {
    match read(path, bytes) {
        Err(SecretFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    create(path, bytes)?;
    // Read back in any case: another process may have named its file first, and that one counts.
    read(path, bytes)
}

fn read(path: &Path, bytes: usize) -> Result<Secret, SecretFileError> {
    let failed = |operation, source| SecretFileError::Io { operation, path: path.to_owned(), source };
    let damaged = || SecretFileError::Damaged { path: path.to_owned(), digits: bytes * 2 };
    // NOFOLLOW: a link would let its maker choose the secret; NONBLOCK: opening a FIFO must not hang.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| failed("open", e))?;
    let about = file.metadata().map_err(|e| failed("examine", e))?;
    let mode = about.mode() & 0o7777;
    if !about.is_file() {
        return Err(damaged());
    }
    if mode & 0o077 != 0 {
        return Err(SecretFileError::TooOpen { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(bytes as u64 * 2 + 3).read_to_string(&mut text).map_err(|e| failed("read", e))?;
    let digits = text.strip_suffix('\n').unwrap_or(&text);
    let whole = digits.len() == bytes * 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if whole { Ok(Secret::new(digits)) } else { Err(damaged()) }
}

/// Makes the file complete under another name, then gives it its name, unless the name is taken by now.
fn create(path: &Path, bytes: usize) -> Result<(), SecretFileError> {
    let failed = |operation, source| SecretFileError::Io { operation, path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed("make the folder of", e))?;
    let draft = folder.join(format!(".secret-{}", hex::encode(&random(path, 8)?[..])));
    let digits = Zeroizing::new(hex::encode(&random(path, bytes)?[..]) + "\n");
    let named = write_draft(&draft, digits.as_bytes()).map_err(|e| failed("write", e)).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("name", error)),
        Ok(()) | Err(_) => Ok(()),
    });
    // A draft left behind by a death before this line holds a secret that nobody uses.
    let removed = fs::remove_file(&draft);
    named?;
    removed.map_err(|e| failed("tidy up after", e))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| failed("store the name of", e))
}

fn write_draft(draft: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

fn random(path: &Path, bytes: usize) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    aws_lc_rs::rand::fill(&mut buffer).map_err(|_| SecretFileError::NoRandomness { path: path.to_owned() })?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/admin-token");
        let first = read_or_create(&path, 32).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(read_or_create(&path, 32).unwrap().expose(), first.expose());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let other = read_or_create(&dir.path().join("data/other"), 32).unwrap();
        assert_ne!(other.expose(), first.expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn all_who_start_at_once_get_the_same_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| read_or_create(&path, 32).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap().expose().to_owned()).collect()
        });
        assert!(secrets.iter().all(|s| *s == secrets[0]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_use_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secret = read_or_create(&path, 32).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            chmod(&path, mode);
            let told = read_or_create(&path, 32).unwrap_err().to_string();
            assert!(told.contains("chmod 600") && told.contains(&format!("{mode:04o}")), "{told}");
            assert!(!told.contains(secret.expose()));
        }
        for mode in [0o600, 0o400] {
            chmod(&path, mode);
            assert_eq!(read_or_create(&path, 32).unwrap().expose(), secret.expose());
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for content in ["", "\n", "abcd", &"g".repeat(64), &"a".repeat(65), &("a".repeat(64) + "\n\n"), "é"] {
            fs::write(&path, content).unwrap();
            chmod(&path, 0o600);
            let told = read_or_create(&path, 32).unwrap_err();
            assert!(matches!(told, SecretFileError::Damaged { digits: 64, .. }), "{content:?}: {told}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_link_or_a_folder_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        read_or_create(&real, 32).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(matches!(read_or_create(&link, 32), Err(SecretFileError::Io { operation: "open", .. })));
        assert!(matches!(read_or_create(dir.path(), 32), Err(SecretFileError::Damaged { .. })));
    }
}
