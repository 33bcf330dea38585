//! What is there: the compose service in Dokploy, and what it says of itself.

use super::{
    client::{Api, ApiError},
    plan::Names,
    wire::{Compose, Deployment, Project},
};

/// Where a service stands: ids, as far as they are there.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) project: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) compose: Option<String>,
}

/// Why a place cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("Dokploy has {count} {what} named `{name}`, and nobody can tell which is meant")]
    Ambiguous { what: &'static str, name: String, count: usize },
}

/// Finds a service by its names. The list is cut short: it has neither variables nor files.
pub(super) async fn find(api: &Api, names: &Names) -> Result<Place, NoPlace> {
    let projects: Vec<Project> = api.get("project.all", &[]).await?;
    let Some(project) = one("projects", &names.project, projects, |project| &project.name)? else { return Ok(Place::default()) };
    let mut place = Place { project: Some(project.id), ..Place::default() };
    let environment = one("environments", &names.environment, project.environments, |environment| &environment.name)?;
    let Some(environment) = environment else { return Ok(place) };
    place.environment = Some(environment.environment_id);
    place.compose = one("compose services", &names.compose, environment.compose, |compose| &compose.name)?.map(|found| found.compose_id);
    Ok(place)
}

fn one<T>(what: &'static str, name: &str, all: Vec<T>, of: impl Fn(&T) -> &String) -> Result<Option<T>, NoPlace> {
    let mut found: Vec<T> = all.into_iter().filter(|one| of(one) == name).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(NoPlace::Ambiguous { what, name: name.to_owned(), count }),
    }
}

/// What a compose service says of itself.
pub(super) async fn read(api: &Api, compose_id: &str) -> Result<Compose, ApiError> {
    api.get("compose.one", &[("composeId", compose_id)]).await
}

/// Its deployments.
pub(super) async fn deployments(api: &Api, compose_id: &str) -> Result<Vec<Deployment>, ApiError> {
    api.get("deployment.allByCompose", &[("composeId", compose_id)]).await
}
