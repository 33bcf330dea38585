//! GitHub, and Gitea and Forgejo, whose payloads are shaped after it.

use super::{Change, Id, Pushed, Repository, commit, files::Commits};
use crate::hooks::skim::{BadPayload, read};
use serde::Deserialize;

/// As many commits GitHub lists at most.
const MOST_COMMITS: usize = 2_048;

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Option<Commits>,
    repository: Repo,
    #[serde(default)]
    sender: Option<Account>,
}

#[derive(Deserialize)]
struct Repo {
    id: Id,
    full_name: String,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

/// A `push` of GitHub.
pub(super) fn push(body: &[u8]) -> Result<Pushed, BadPayload> {
    // After a forced push the commits that are no longer there are not listed, nor is what came before a new branch.
    pushed(body, |push, commits| !push.forced && commits < MOST_COMMITS)
}

/// A `push` of Gitea or Forgejo. It tells neither whether it was forced, nor lists all commits: git has to compare.
pub(super) fn gitea_push(body: &[u8]) -> Result<Pushed, BadPayload> {
    pushed(body, |_, _| false)
}

fn pushed(body: &[u8], lists_all: impl Fn(&Push, usize) -> bool) -> Result<Pushed, BadPayload> {
    let mut push: Push = read(body)?;
    // Whoever lists no commits at all says nothing about files.
    let lists_any = push.commits.is_some();
    let commits = push.commits.take().unwrap_or_default();
    let (before, after) = (commit("before", &push.before)?, commit("after", &push.after)?);
    let told_all = lists_any && before.is_some() && lists_all(&push, commits.count);
    let change = Change { reference: push.reference, before, after, forced: push.forced, files: commits.files(told_all) };
    Ok(Pushed {
        repository: Repository { id: push.repository.id.into_text(), full_name: push.repository.full_name },
        sender: push.sender.map_or_else(|| "unknown".to_owned(), |sender| sender.login),
        changes: vec![change],
    })
}
