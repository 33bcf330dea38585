//! A path inside a repository, in its one canonical spelling. Twins (`a/./b`, `a//b/`) become equal here, so that they
//! share one lock; whether the path really stays inside the checkout (symbolic links) is checked where the checkout is.

use crate::ids::shorten;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error("`{0}` is absolute: give a path relative to the repository's root")]
    Absolute(String),
    #[error("`{0}` leaves the repository: `..` is not allowed")]
    Leaves(String),
    #[error("`{0}` has a character that is not allowed in a path (backslash, control character) or is too long")]
    Characters(String),
    #[error("`{0}` lies in git's or terraform's own folder")]
    Reserved(String),
}

/// A relative path below the repository's root; `.` is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

impl RepoPath {
    /// The repository's root.
    pub fn root() -> Self {
        Self(".".to_owned())
    }

    /// The canonical text: no `.` parts, no doubled or trailing slashes; `.` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RepoPath {
    type Err = BadPath;
    fn from_str(text: &str) -> Result<Self, BadPath> {
        if text.len() > 1024 || text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(BadPath::Characters(shorten(text)));
        }
        if text.starts_with('/') || text.starts_with('~') {
            return Err(BadPath::Absolute(shorten(text)));
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(BadPath::Leaves(shorten(text))),
                part if part.eq_ignore_ascii_case(".git") || part == ".terraform" => return Err(BadPath::Reserved(shorten(text))),
                part => parts.push(part),
            }
        }
        Ok(if parts.is_empty() { Self::root() } else { Self(parts.join("/")) })
    }
}

impl Default for RepoPath {
    fn default() -> Self {
        Self::root()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for RepoPath {
    type Error = BadPath;
    fn try_from(text: String) -> Result<Self, BadPath> {
        text.parse()
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_share_one_spelling_and_escapes_are_refused() {
        for (text, expected) in [
            ("", Ok(".")),
            (".", Ok(".")),
            ("./", Ok(".")),
            ("a/./b", Ok("a/b")),
            ("a//b/", Ok("a/b")),
            ("a b/ü", Ok("a b/ü")),
            ("..", Err(())),
            ("a/../../b", Err(())),
            ("a/../b", Err(())),
            ("/etc", Err(())),
            ("~/x", Err(())),
            ("a\\..\\b", Err(())),
            ("a\0b", Err(())),
            (".git/config", Err(())),
            ("x/.GIT", Err(())),
            (".terraform", Err(())),
        ] {
            let parsed = text.parse::<RepoPath>();
            assert_eq!(parsed.as_ref().map(RepoPath::as_str).map_err(|_| ()), expected, "{text:?}");
        }
    }
}
