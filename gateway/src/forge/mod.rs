//! The forge: where the code of a run lives, and where people read about it. Comments of pull requests and issues go out,
//! signed webhooks come in.
//!
//! [`Forge`] is what any forge must be able to do; `github` is the first. `comment` writes the text of a comment and finds it
//! again; `commenter` decides when which call is due. What is *in* a webhook, and which run a comment belongs to, is decided
//! elsewhere, and nothing here can hold up a run.

pub mod comment;
pub mod commenter;
mod error;
pub mod github;
mod signature;

pub use error::ForgeError;
pub use signature::{BadSignature, Signed};

use axum::http::HeaderMap;
use comment::Identity;
use futures_util::future::BoxFuture;
use proto::orders::PullRequest;
use serde::{Deserialize, Serialize};

/// Most pages of comments that are searched: ten thousand comments. A pull request with more is searched no further.
const MAX_PAGES: u32 = 100;

/// A forge's own number of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommentId(pub u64);

/// A comment as the forge shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteComment {
    pub id: CommentId,
    pub body: String,
}

/// Some comments, oldest first, and whether there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub comments: Vec<RemoteComment>,
    pub more: bool,
}

/// What every forge does for us. One call is one request: nothing here retries, waits or remembers.
pub trait Forge: std::fmt::Debug + Send + Sync {
    /// Whether a webhook's delivery comes from the forge: its headers, and its body byte for byte as it arrived.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, BadSignature>;

    /// One page of comments of a pull request or issue, counted from 1.
    fn comments<'a>(&'a self, on: &'a PullRequest, page: u32) -> BoxFuture<'a, Result<Page, ForgeError>>;

    /// Adds a comment. [`ForgeError::Unavailable`] leaves open whether it was added.
    fn create<'a>(&'a self, on: &'a PullRequest, body: &'a str) -> BoxFuture<'a, Result<CommentId, ForgeError>>;

    /// Replaces the text of a comment.
    fn update<'a>(&'a self, on: &'a PullRequest, id: CommentId, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>>;

    /// Takes a comment away.
    fn delete<'a>(&'a self, on: &'a PullRequest, id: CommentId) -> BoxFuture<'a, Result<(), ForgeError>>;
}

/// The first comment that bears a tag line, searched over all pages.
pub async fn find_by_tag(forge: &dyn Forge, on: &PullRequest, identity: &Identity) -> Result<Option<RemoteComment>, ForgeError> {
    for number in 1..=MAX_PAGES {
        let page = forge.comments(on, number).await?;
        if let Some(found) = page.comments.into_iter().find(|comment| identity.is_on(&comment.body)) {
            return Ok(Some(found));
        }
        if !page.more {
            return Ok(None);
        }
    }
    Err(ForgeError::Refused(format!("{}#{} has more comments than are searched ({MAX_PAGES} pages)", on.repo, on.number)))
}
