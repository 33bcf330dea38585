//! What gateways have told the outside about a run: the comment on its pull request, the callbacks at its end. Kept so that
//! one gateway at a time tells, and none tells twice.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far one telling has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The gateway that tells now.
    #[serde(default)]
    pub holder: String,
    /// Until then nobody else takes over.
    #[serde(default)]
    pub held_until: Timestamp,
    /// Sequence of the decision that was told last.
    #[serde(default)]
    pub shown: u64,
    /// When it was told.
    #[serde(default)]
    pub shown_at: Option<Timestamp>,
    /// Nothing more is to be told.
    #[serde(default)]
    pub over: bool,
    /// Failed tries since the last success.
    #[serde(default)]
    pub tries: u32,
    /// Not before then.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// The forge's number of the comment.
    #[serde(default)]
    pub comment: Option<u64>,
    /// SHA-256 of what was told, to tell nothing twice.
    #[serde(default)]
    pub digest: Option<String>,
    /// What went wrong last, for people.
    #[serde(default)]
    pub trouble: Option<String>,
}
