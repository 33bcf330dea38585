//! Releases of GitHub: the page that a tag gets.

use super::{GitHub, exchange::Exchange, full_name};
use crate::forge::ForgeError;
use proto::{address::is_loopback, git::CommitId};
use reqwest::Method;
use serde::Serialize;

/// A release to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// `owner/name`.
    pub repo: String,
    /// `vX.Y.Z`, which is there already.
    pub tag: String,
    /// What the tag leads to.
    pub commit: CommitId,
    pub name: String,
    /// Markdown.
    pub body: String,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    tag_name: &'a str,
    /// GitHub makes a tag that is not there; then at least at this commit.
    target_commitish: &'a str,
    name: &'a str,
    body: &'a str,
    draft: bool,
    prerelease: bool,
}

impl GitHub {
    /// Whether the repositories of a git host are on this GitHub. A loopback address, as tests have one, stands for any.
    pub fn hosts(&self, git_host: &str) -> bool {
        let base = self.exchange.as_ref().map(Exchange::base);
        base.is_some_and(|base| {
            is_loopback(base)
                || base.host_str().is_some_and(|api| {
                    let api = api.to_ascii_lowercase();
                    let git_host = git_host.to_ascii_lowercase();
                    api == git_host || api == format!("api.{git_host}")
                })
        })
    }

    /// Whether GitHub takes the token: to see this repository, or at all.
    pub async fn reach(&self, repo: Option<&str>) -> Result<(), ForgeError> {
        let path = match repo {
            Some(repo) => format!("repos/{}", full_name(repo)?),
            None => "user".to_owned(),
        };
        self.send(Method::GET, &path, None).await.map(drop)
    }

    /// Whether the tag has a release already.
    pub async fn has_release(&self, of: &Published) -> Result<bool, ForgeError> {
        let path = format!("repos/{}/releases/tags/{}", full_name(&of.repo)?, of.tag);
        match self.send(Method::GET, &path, None).await {
            Ok(_) => Ok(true),
            Err(ForgeError::NotThere(_)) => Ok(false),
            Err(error @ (ForgeError::Denied(_) | ForgeError::Limited { .. } | ForgeError::Unavailable(_) | ForgeError::Refused(_))) => {
                Err(error)
            }
        }
    }

    /// Publishes it. [`ForgeError::Unavailable`] leaves open whether it was.
    pub async fn publish(&self, of: &Published) -> Result<(), ForgeError> {
        let Published { repo, tag, commit, name, body } = of;
        let page = Page { tag_name: tag, target_commitish: commit.as_str(), name, body, draft: false, prerelease: false };
        let json = serde_json::to_vec(&page).map_err(|error| ForgeError::Refused(error.to_string()))?;
        self.send(Method::POST, &format!("repos/{}/releases", full_name(repo)?), Some(json)).await.map(drop)
    }
}
