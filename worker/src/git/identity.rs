//! The name of a cached repository: the address and the credentials together, as a salted digest.

use super::{GitError, Source};
use proto::terraform::GitAuth;
use sha2::{Digest as _, Sha256};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// File name of a repository as one set of credentials sees it. Salted: the name must not help anybody to try passwords.
pub(super) fn key(salt: &str, source: Source<'_>) -> String {
    let fields: Vec<&str> = match source.auth {
        None => vec!["none"],
        Some(GitAuth::Basic { username, password }) => vec!["basic", username, password.expose()],
        Some(GitAuth::Token { token }) => vec!["token", token.expose()],
        Some(GitAuth::Ssh { username, private_key, known_hosts }) => {
            vec!["ssh", username.as_deref().unwrap_or_default(), private_key.expose(), known_hosts]
        }
    };
    let mut digest = Sha256::new();
    for field in [salt, source.url.as_str()].into_iter().chain(fields) {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    }
    hex::encode(digest.finalize())
}

/// Random text of this cache, made once.
pub(super) fn salt(path: &Path) -> Result<String, GitError> {
    let fresh = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let draft = path.with_extension(&fresh);
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(fresh.as_bytes()).and_then(|()| file.sync_all()))
        // Fails when another process was first, whose salt is then the one.
        .map(|()| std::fs::hard_link(&draft, path));
    let _ = std::fs::remove_file(&draft);
    made.map_err(GitError::storage("write", &draft))?.or_else(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(GitError::storage("write", path)(error)),
    })?;
    std::fs::read_to_string(path).map_err(GitError::storage("read", path))
}
