//! Releases: versions `vMAJOR.MINOR.PATCH` as annotated tags of the repository.

use crate::git::{CommitId, GitRef};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// The next patch: an iteration of staging.
    Staging,
    /// The next minor, made of a staging release.
    Production,
    /// The next patch above a production release, of a commit that need not be on the branch.
    Hotfix,
    /// An older release, deployed again. Makes no tag.
    Rollback,
}

impl ReleaseKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Hotfix => "hotfix",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for ReleaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A release that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseOrder {
    pub kind: ReleaseKind,
    /// The release it is made from: the staging release that is promoted, the production release that is mended, the release
    /// that is rolled back to. Absent: a staging release.
    #[serde(default)]
    pub from: Option<GitRef>,
    /// Refuse instead of taking the next free version, or the release that is there already.
    #[serde(default)]
    pub strict: bool,
}

/// A release that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub kind: ReleaseKind,
    /// Such as `v1.3.0`.
    pub tag: String,
    pub commit: CommitId,
    #[serde(default)]
    pub from: Option<GitRef>,
    /// It was there already, at the same commit, and this run had not made it.
    #[serde(default)]
    pub existed: bool,
    /// For people: why it is this version.
    pub why: String,
}
