//! Bitbucket, the cloud and the server. Neither lists files; one push may move several references.

use super::{Change, Files, Id, Pushed, Repository, commit};
use crate::hooks::skim::{BadPayload, Listed, read};
use serde::Deserialize;

#[derive(Deserialize)]
struct CloudPush {
    repository: CloudRepo,
    #[serde(default)]
    actor: Option<CloudActor>,
    push: CloudChanges,
}

#[derive(Deserialize)]
struct CloudRepo {
    uuid: String,
    full_name: String,
}

#[derive(Deserialize)]
struct CloudActor {
    #[serde(default)]
    nickname: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct CloudChanges {
    changes: Listed<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    #[serde(default)]
    new: Option<CloudRef>,
    #[serde(default)]
    old: Option<CloudRef>,
    #[serde(default)]
    forced: bool,
}

#[derive(Deserialize)]
struct CloudRef {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: String,
}

/// `repo:push` of the cloud.
pub(super) fn cloud(body: &[u8]) -> Result<Pushed, BadPayload> {
    let push: CloudPush = read(body)?;
    let changes = push.push.changes.0.into_iter().filter_map(|change| cloud_change(change).transpose()).collect::<Result<_, _>>()?;
    let actor = push.actor.and_then(|actor| actor.nickname.or(actor.display_name));
    let repository = Repository { id: push.repository.uuid.trim_matches(['{', '}']).to_owned(), full_name: push.repository.full_name };
    Ok(Pushed { repository, sender: actor.unwrap_or_else(|| "unknown".to_owned()), changes })
}

/// `None`: neither a place before nor one after.
fn cloud_change(CloudChange { new, old, forced }: CloudChange) -> Result<Option<Change>, BadPayload> {
    let Some(named) = new.as_ref().or(old.as_ref()) else { return Ok(None) };
    let reference = match named.kind.as_str() {
        "branch" => format!("refs/heads/{}", named.name),
        "tag" => format!("refs/tags/{}", named.name),
        other => format!("refs/{other}/{}", named.name),
    };
    let place = |of: Option<&CloudRef>| of.map_or(Ok(None), |of| commit("target.hash", &of.target.hash));
    Ok(Some(Change { reference, before: place(old.as_ref())?, after: place(new.as_ref())?, forced, files: Files::default() }))
}

#[derive(Deserialize)]
struct ServerPush {
    repository: ServerRepo,
    #[serde(default)]
    actor: Option<ServerActor>,
    changes: Listed<ServerChange>,
}

#[derive(Deserialize)]
struct ServerRepo {
    id: Id,
    slug: String,
    project: ServerProject,
}

#[derive(Deserialize)]
struct ServerProject {
    key: String,
}

#[derive(Deserialize)]
struct ServerActor {
    name: String,
}

#[derive(Deserialize)]
struct ServerChange {
    #[serde(rename = "refId")]
    reference: String,
    #[serde(rename = "fromHash")]
    from: String,
    #[serde(rename = "toHash")]
    to: String,
}

/// `repo:refs_changed` of the server.
pub(super) fn server(body: &[u8]) -> Result<Pushed, BadPayload> {
    let push: ServerPush = read(body)?;
    let change = |change: ServerChange| {
        let (before, after) = (commit("fromHash", &change.from)?, commit("toHash", &change.to)?);
        Ok(Change { reference: change.reference, before, after, forced: false, files: Files::default() })
    };
    Ok(Pushed {
        repository: Repository {
            id: push.repository.id.into_text(),
            full_name: format!("{}/{}", push.repository.project.key, push.repository.slug),
        },
        sender: push.actor.map_or_else(|| "unknown".to_owned(), |actor| actor.name),
        changes: push.changes.0.into_iter().map(change).collect::<Result<_, BadPayload>>()?,
    })
}
