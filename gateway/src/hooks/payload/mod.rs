//! From a forge's payload to what it tells about pushes. Pure.
//!
//! Only what is named here is read; addresses in a payload are never followed. A payload that tells of no push is read no
//! further than that its JSON is sound.

mod azure;
mod bitbucket;
mod files;
mod github;
mod gitlab;

pub(crate) use files::Files;

use super::skim::{self, BadPayload};
use proto::git::CommitId;
use serde::Deserialize;
use service::settings::ForgeKind;

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    /// What the forge calls it.
    pub(crate) event: String,
    /// The delivery's id, where it stands in the body.
    pub(crate) delivery: Option<String>,
    /// Absent: it tells of something else.
    pub(crate) pushed: Option<Pushed>,
}

/// Pushes to one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    pub(crate) repository: Repository,
    /// Who pushed, as the forge names them.
    pub(crate) sender: String,
    pub(crate) changes: Vec<Change>,
}

/// A repository as the forge names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Stays when the repository is renamed.
    pub(crate) id: String,
    pub(crate) full_name: String,
}

/// A reference that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// In full, such as `refs/heads/main`. Any text: nothing is done with it but comparing and, escaped, showing.
    pub(crate) reference: String,
    /// Absent: it is new.
    pub(crate) before: Option<CommitId>,
    /// Absent: it is gone.
    pub(crate) after: Option<CommitId>,
    pub(crate) forced: bool,
    pub(crate) files: Files,
}

/// What a delivery tells. `event` is what its header says, for forges that have one.
pub(crate) fn read(kind: ForgeKind, event: &str, body: &[u8]) -> Result<Payload, BadPayload> {
    let pushed = |pushed: Option<Pushed>| Payload { event: event.to_owned(), delivery: None, pushed };
    let payload = match (kind, event) {
        (ForgeKind::Github, "push") => pushed(Some(github::push(body)?)),
        (ForgeKind::Gitea, "push") => pushed(Some(github::gitea_push(body)?)),
        (ForgeKind::Gitlab, "Push Hook" | "Tag Push Hook") => pushed(Some(gitlab::push(body)?)),
        (ForgeKind::BitbucketCloud, "repo:push") => pushed(Some(bitbucket::cloud(body)?)),
        (ForgeKind::BitbucketServer, "repo:refs_changed") => pushed(Some(bitbucket::server(body)?)),
        (ForgeKind::AzureDevops, _) => azure::event(body)?,
        (
            ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Gitlab | ForgeKind::BitbucketCloud | ForgeKind::BitbucketServer,
            _uninteresting,
        ) => {
            skim::skim(body)?;
            pushed(None)
        }
    };
    sound(&payload)?;
    Ok(payload)
}

/// A NUL is in no name of a reference or repository; whatever reads on behind it would read something else.
fn sound(payload: &Payload) -> Result<(), BadPayload> {
    let Some(pushed) = &payload.pushed else { return Ok(()) };
    let mut texts = pushed.changes.iter().map(|change| change.reference.as_str()).chain([pushed.repository.full_name.as_str()]);
    if texts.any(|text| text.contains('\0')) {
        return Err(BadPayload("the payload has a NUL in the name of a reference or repository".to_owned()));
    }
    Ok(())
}

/// A commit; `None` for the one of zeros, which stands for none.
fn commit(field: &str, text: &str) -> Result<Option<CommitId>, BadPayload> {
    let commit: CommitId = text.parse().map_err(|_| BadPayload(format!("the payload's `{field}` is no commit id")))?;
    Ok(Some(commit).filter(|commit| commit.as_str().bytes().any(|digit| digit != b'0')))
}

/// A number or a text, as a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests;
