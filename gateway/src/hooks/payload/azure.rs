//! Azure DevOps. Event and id stand in the body; nothing of a delivery but its login stands in its headers.

use super::{Change, Files, Payload, Pushed, Repository, commit};
use crate::hooks::skim::{BadPayload, Listed, read};
use serde::Deserialize;

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "eventType")]
    event: String,
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Push {
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "refUpdates")]
    updates: Listed<Update>,
    repository: Repo,
    #[serde(rename = "pushedBy", default)]
    by: Option<Person>,
}

#[derive(Deserialize)]
struct Update {
    name: String,
    #[serde(rename = "oldObjectId")]
    old: String,
    #[serde(rename = "newObjectId")]
    new: String,
}

#[derive(Deserialize)]
struct Repo {
    id: String,
    name: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    name: String,
}

#[derive(Deserialize)]
struct Person {
    #[serde(rename = "uniqueName", default)]
    unique: Option<String>,
    #[serde(rename = "displayName", default)]
    display: Option<String>,
}

/// Any event; `git.push` is a push.
pub(super) fn event(body: &[u8]) -> Result<Payload, BadPayload> {
    let Head { event, id } = read(body)?;
    let pushed = if event == "git.push" { Some(push(body)?) } else { None };
    Ok(Payload { event, delivery: id, pushed })
}

fn push(body: &[u8]) -> Result<Pushed, BadPayload> {
    let Push { resource } = read(body)?;
    let change = |update: Update| {
        let (before, after) = (commit("oldObjectId", &update.old)?, commit("newObjectId", &update.new)?);
        Ok(Change { reference: update.name, before, after, forced: false, files: Files::default() })
    };
    let by = resource.by.and_then(|by| by.unique.or(by.display));
    Ok(Pushed {
        repository: Repository {
            id: resource.repository.id,
            full_name: format!("{}/{}", resource.repository.project.name, resource.repository.name),
        },
        sender: by.unwrap_or_else(|| "unknown".to_owned()),
        changes: resource.updates.0.into_iter().map(change).collect::<Result<_, BadPayload>>()?,
    })
}
