//! Finds services that would be deployed in the same place outside of the repository: each sync would undo the other's.

use super::Declared;
use crate::placeholder::{Place, Values, fill};
use proto::sync::{ComposeTarget, DokployTarget, Environment, Executor, ServiceId};
use std::collections::BTreeMap;

/// Two services of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twins<'a> {
    pub(super) first: &'a ServiceId,
    pub(super) second: &'a ServiceId,
    /// The place that they share, for people.
    pub(super) place: String,
}

/// Every service whose place an earlier one has. A compose project is filled in for the environment without a suffix and for
/// one that has one; `{env}` and `{suffix}` end it in the same way in all others.
pub(super) fn twins(services: &BTreeMap<ServiceId, Declared>) -> Vec<Twins<'_>> {
    let environments: Vec<Environment> = ["production", "staging"].into_iter().filter_map(|name| name.parse().ok()).collect();
    let mut taken: BTreeMap<String, &ServiceId> = BTreeMap::new();
    let mut found = Vec::new();
    for (second, declared) in services {
        let places = match &declared.executor {
            Executor::Command => Vec::new(),
            Executor::Dokploy(target) => vec![in_dokploy(second, target)],
            Executor::Compose(target) => environments.iter().filter_map(|environment| on_host(second, target, environment)).collect(),
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

/// `None`: nothing that is filled in here, such as a domain that only the worker knows.
fn on_host(id: &ServiceId, target: &ComposeTarget, environment: &Environment) -> Option<String> {
    let values = Values { environment, service: id, task: "", reference: "", domain: Some("{domain}") };
    let project = fill(&target.project, Place::Value, &values).ok()?;
    let host = target.host.as_deref().map_or_else(|| "the worker's first host".to_owned(), |host| format!("`{host}`"));
    Some(format!("the compose project `{}` on {host}", project.escape_debug()))
}
