//! GitLab: `Push Hook` and `Tag Push Hook`.

use super::{Change, Id, Pushed, Repository, commit, files::Commits};
use crate::hooks::skim::{BadPayload, read};
use serde::Deserialize;

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    #[serde(default)]
    user_username: Option<String>,
    project: Project,
    #[serde(default)]
    commits: Option<Commits>,
}

#[derive(Deserialize)]
struct Project {
    id: Id,
    path_with_namespace: String,
}

/// A push. It does not tell whether it was forced, so its list of files never counts as all of them.
pub(super) fn push(body: &[u8]) -> Result<Pushed, BadPayload> {
    let push: Push = read(body)?;
    let change = Change {
        before: commit("before", &push.before)?,
        after: commit("after", &push.after)?,
        reference: push.reference,
        forced: false,
        files: push.commits.unwrap_or_default().files(false),
    };
    Ok(Pushed {
        repository: Repository { id: push.project.id.into_text(), full_name: push.project.path_with_namespace },
        sender: push.user_username.unwrap_or_else(|| "unknown".to_owned()),
        changes: vec![change],
    })
}
