//! GitHub, on github.com or as an Enterprise Server: comments of issues, which pull requests are too, and signed webhooks.
//!
//! What is asked is here; `exchange` sends it, and `refusal` reads what a bad answer means.

mod exchange;
mod refusal;
mod releases;

pub use releases::Published;

use super::{BadSignature, CommentId, Forge, ForgeError, Page, RemoteComment, Signed, signature::Secrets};
use axum::http::HeaderMap;
use exchange::{Answer, Exchange};
use futures_util::{FutureExt as _, future::BoxFuture};
use proto::orders::PullRequest;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use service::settings;

/// Comments asked for at a time, the most GitHub gives.
const PAGE: usize = 100;

/// GitHub as one token sees it. Without a token only its webhooks are believed, and every call is denied.
#[derive(Debug)]
pub struct GitHub {
    exchange: Option<Exchange>,
    webhook: Secrets,
}

/// Why GitHub cannot be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub enum BadGitHub {
    #[error("gateway.github.token has a character that cannot travel in a header: copy it again")]
    Token,
    #[error("gateway.github.api_url is no address: write https://api.github.com, or https://HOST/api/v3")]
    Address,
    #[error("no HTTP client can be made: {0}")]
    Client(String),
}

impl GitHub {
    /// From checked settings.
    pub fn new(settings: &settings::GitHub) -> Result<Self, BadGitHub> {
        let webhook = Secrets { current: settings.webhook_secret.clone(), previous: settings.webhook_secret_previous.clone() };
        let exchange = settings.token.as_ref().map(|token| Exchange::new(settings, token)).transpose()?;
        Ok(Self { exchange, webhook })
    }

    /// Whether there is a token to comment with.
    pub fn may_comment(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether there is a secret that webhooks are signed with.
    pub fn has_secret(&self) -> bool {
        self.webhook.current.is_some()
    }

    async fn send(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Answer, ForgeError> {
        let denied = || ForgeError::Denied("no token is configured".to_owned());
        self.exchange.as_ref().ok_or_else(denied)?.send(method, path, json).await
    }

    async fn page(&self, on: &PullRequest, page: u32) -> Result<Page, ForgeError> {
        let path = format!("{}?per_page={PAGE}&page={page}", of_issue(on)?);
        let answer = self.send(Method::GET, &path, None).await?;
        let listed: Vec<Comment> = answer.read()?;
        // A page that is not full is the last one; of a full one the Link header knows, where a proxy has left it.
        let more = listed.len() >= PAGE && answer.has_next().unwrap_or(true);
        Ok(Page { comments: listed.into_iter().map(Into::into).collect(), more })
    }

    async fn write(&self, method: Method, path: String, body: &str) -> Result<CommentId, ForgeError> {
        let json = serde_json::to_vec(&Text { body }).map_err(|error| ForgeError::Refused(error.to_string()))?;
        let written: Comment = self.send(method, &path, Some(json)).await?.read()?;
        Ok(written.id)
    }
}

impl Forge for GitHub {
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, BadSignature> {
        self.webhook.verify(headers, body)
    }

    fn comments<'a>(&'a self, on: &'a PullRequest, page: u32) -> BoxFuture<'a, Result<Page, ForgeError>> {
        self.page(on, page).boxed()
    }

    fn create<'a>(&'a self, on: &'a PullRequest, body: &'a str) -> BoxFuture<'a, Result<CommentId, ForgeError>> {
        async move { self.write(Method::POST, of_issue(on)?, body).await }.boxed()
    }

    fn update<'a>(&'a self, on: &'a PullRequest, id: CommentId, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>> {
        async move { self.write(Method::PATCH, comment(on, id)?, body).await.map(drop) }.boxed()
    }

    fn delete<'a>(&'a self, on: &'a PullRequest, id: CommentId) -> BoxFuture<'a, Result<(), ForgeError>> {
        async move { self.send(Method::DELETE, &comment(on, id)?, None).await.map(drop) }.boxed()
    }
}

/// A comment as GitHub writes it, of which we read two fields.
#[derive(Debug, Deserialize)]
struct Comment {
    id: CommentId,
    #[serde(default)]
    body: Option<String>,
}

impl From<Comment> for RemoteComment {
    fn from(comment: Comment) -> Self {
        Self { id: comment.id, body: comment.body.unwrap_or_default() }
    }
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    body: &'a str,
}

fn of_issue(on: &PullRequest) -> Result<String, ForgeError> {
    Ok(format!("repos/{}/issues/{}/comments", repo(on)?, on.number))
}

fn comment(on: &PullRequest, id: CommentId) -> Result<String, ForgeError> {
    Ok(format!("repos/{}/issues/comments/{}", repo(on)?, id.0))
}

fn repo(on: &PullRequest) -> Result<&str, ForgeError> {
    full_name(&on.repo)
}

/// `owner/name`, of which each part stands for itself in a path.
fn full_name(repo: &str) -> Result<&str, ForgeError> {
    let is_part = |part: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=100).contains(&part.len()) && part.bytes().all(legal) && part.bytes().any(|b| b != b'.')
    };
    let fits = repo.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name));
    if fits { Ok(repo) } else { Err(ForgeError::Refused("the repository is not written as owner/name".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_stays_where_it_is_in_a_path() {
        let path = |repo: &str| of_issue(&PullRequest { repo: repo.to_owned(), number: 7 });
        assert_eq!(path("team/app.tf-1_x").unwrap(), "repos/team/app.tf-1_x/issues/7/comments");
        for bad in ["", "team", "/app", "team/", "team/..", "../app", "team/app/x", "team/a?b", "team/a#b", "team/a%2f", "team/ä", "a b/c"]
        {
            assert!(matches!(path(bad), Err(ForgeError::Refused(_))), "{bad}");
        }
    }
}
