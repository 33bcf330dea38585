//! Finds services that would be deployed in the same place outside of the repository: each sync would undo the other's.

use super::Declared;
use crate::placeholder::{Place, Values, fill};
use proto::sync::{ComposeTarget, DataFolder, DokployTarget, Environment, Executor, ServiceId};
use std::collections::BTreeMap;

/// Environments that places are compared in, each with each: `redis` in staging and `redis-staging` in production end alike.
const ENVIRONMENTS: [&str; 2] = ["production", "staging"];

/// Two services of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twins<'a> {
    pub(super) first: &'a ServiceId,
    pub(super) second: &'a ServiceId,
    /// The place that they share, for people.
    pub(super) place: String,
}

/// Every service that has a place of an earlier one.
pub(super) fn twins(services: &BTreeMap<ServiceId, Declared>) -> Vec<Twins<'_>> {
    let environments: Vec<Environment> = ENVIRONMENTS.into_iter().filter_map(|name| name.parse().ok()).collect();
    let mut taken: BTreeMap<String, &ServiceId> = BTreeMap::new();
    let mut found = Vec::new();
    for (second, declared) in services {
        let places: Vec<String> = match &declared.executor {
            Executor::Command => Vec::new(),
            Executor::Dokploy(target) => {
                let data = environments.iter().filter_map(|environment| data(second, target.native.data.as_ref()?, None, environment));
                std::iter::once(in_dokploy(second, target)).chain(data).collect()
            }
            Executor::Compose(target) => environments.iter().flat_map(|environment| on_host(second, target, environment)).collect(),
        };
        let shared = places.iter().find_map(|place| Some((taken.get(place).copied()?, place)));
        if let Some((first, place)) = shared {
            found.push(Twins { first, second, place: place.clone() });
        }
        for place in places {
            taken.entry(place).or_insert(second);
        }
    }
    found
}

fn in_dokploy(id: &ServiceId, target: &DokployTarget) -> String {
    let project = target.project.as_deref().unwrap_or(id.project());
    let name = target.name.as_deref().unwrap_or(id.name());
    format!("the service `{}` of Dokploy's project `{}`", name.escape_debug(), project.escape_debug())
}

fn on_host(id: &ServiceId, target: &ComposeTarget, environment: &Environment) -> Vec<String> {
    let host = target.host.as_deref();
    let project = filled(id, &target.project, environment).map(|project| format!("the compose project `{project}` on {}", named(host)));
    let folder = format!("the folder `{}/{}{}` on {}", id.project(), id.name(), environment.suffix(), named(host));
    let data = target.native.data.as_ref().and_then(|folder| data(id, folder, host, environment));
    project.into_iter().chain([folder]).chain(data).collect()
}

/// Data folders of Dokploy's services are made on the worker's first host.
fn data(id: &ServiceId, folder: &DataFolder, host: Option<&str>, environment: &Environment) -> Option<String> {
    Some(format!("the data folder `{}` on {}", filled(id, &folder.path, environment)?, named(host)))
}

/// `None`: a text that is refused elsewhere.
fn filled(id: &ServiceId, text: &str, environment: &Environment) -> Option<String> {
    let values = Values { environment, service: id, task: "", reference: "", domain: Some("{domain}") };
    Some(fill(text, Place::Value, &values).ok()?.escape_debug().to_string())
}

fn named(host: Option<&str>) -> String {
    host.map_or_else(|| "the worker's first host".to_owned(), |host| format!("`{host}`"))
}

#[cfg(test)]
mod tests {
    use crate::mapping::{FILE, parse};

    #[test]
    fn two_services_of_one_place_are_refused_with_both_names() {
        let two = |first: &str, second: &str| format!("version: 1\nservices:\n  {first}\n  {second}\n");
        let dokploy = "executor: {dokploy: {project: platform, name: cache}}";
        for (text, expected) in [
            (
                two(&format!("platform/a: {{{dokploy}}}"), &format!("platform/b: {{{dokploy}}}")),
                Some(
                    "navvy.yaml:4:26: platform/b and platform/a are both the service `cache` of Dokploy's project `platform`, and each sync \
                     would replace the other: give one of them another name",
                ),
            ),
            (
                two("platform/redis: {executor: dokploy}", "lab/x: {executor: {dokploy: {project: platform, name: redis}}}"),
                // By name, so the one that is told is not the one that stands below.
                Some("navvy.yaml:3:30: platform/redis and lab/x are both the service `redis` of Dokploy's project `platform`"),
            ),
            (two("lab/redis: {executor: dokploy}", "platform/redis: {executor: dokploy}"), None),
            (two("platform/redis: {executor: compose}", "platform/cache: {executor: dokploy}"), None),
            (
                two("a-b/c: {executor: compose}", "a/b-c: {executor: compose}"),
                Some("navvy.yaml:3:21: a-b/c and a/b-c are both the compose project `a-b-c` on the worker's first host"),
            ),
            (two("a-b/c: {executor: compose}", "a/b-c: {executor: {compose: {host: h.example.com}}}"), None),
            (
                two("p/redis: {executor: compose}", "p/redis-staging: {executor: compose}"),
                Some(
                    "navvy.yaml:4:31: p/redis-staging and p/redis are both the compose project `p-redis-staging` on the worker's first host",
                ),
            ),
            (
                two(
                    "p/redis: {executor: {compose: {project: '{project}-{service}-{env}'}}}",
                    "p/redis-staging: {executor: {compose: {project: '{project}-{service}-{env}'}}}",
                ),
                Some("navvy.yaml:4:31: p/redis-staging and p/redis are both the folder `p/redis-staging` on the worker's first host"),
            ),
            (two("p/redis: {executor: dokploy}", "p/redis-staging: {executor: dokploy}"), None),
            (
                two(
                    "p/redis: {executor: {dokploy: {data: {path: '/data/{project}-{service}{suffix}'}}}}",
                    "p/redis-staging: {executor: {compose: {data: {path: '/data/{project}-{service}{suffix}'}}}}",
                ),
                Some("navvy.yaml:4:31: p/redis-staging and p/redis are both the data folder `/data/p-redis-staging` on the worker's first"),
            ),
            (
                two(
                    "a/b: {executor: {compose: {host: h.example.com, project: '{service}-{project}{suffix}'}}}",
                    "b/a: {executor: {compose: {host: h.example.com, project: '{project}-{service}-{env}'}}}",
                ),
                Some("navvy.yaml:4:19: b/a and a/b are both the compose project `b-a-staging` on `h.example.com`"),
            ),
        ] {
            let found = parse(FILE, &text).map(drop).map_err(|problems| problems.to_string());
            match expected {
                None => assert_eq!(found, Ok(()), "{text}"),
                Some(expected) => {
                    let found = found.unwrap_err();
                    assert!(found.starts_with(expected) && found.lines().count() == 1, "{text}{found}");
                }
            }
        }
    }
}
