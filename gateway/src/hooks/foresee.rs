//! Which services a push will probably sync, told from the forge's list of files. Only for the answer: the run itself looks at
//! the repository, and its word counts.

use proto::sync::{Push, ServiceId, SourceState};
use std::collections::BTreeSet;

/// What the answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// These, and perhaps others.
    Services(Vec<ServiceId>),
    /// None: the list of files is complete, and the services are known.
    Nothing,
}

/// What is foreseen by the layout `project/NN.service/…`, where `libs/` belongs to all. `known`: what the last run told.
pub(crate) fn foresee(push: &Push, projects: &[String], known: Option<&SourceState>) -> Foreseen {
    let managed = |service: &ServiceId| projects.iter().any(|project| project == service.project());
    let mut services = BTreeSet::new();
    for path in &push.files {
        let mut parts = path.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("libs"), Some(_), _) => {
                services.extend(known.iter().flat_map(|known| known.services.iter().cloned()));
            }
            // finance_report/finance_report/NN.service/…
            (Some(project), Some(twice), Some(dir)) if project == twice => {
                services.extend(parts.next().and_then(|_| service(project, dir)));
            }
            (Some(project), Some(dir), Some(_)) => services.extend(service(project, dir)),
            _ => {}
        }
    }
    services.retain(|service| managed(service) && known.is_none_or(|known| known.services.contains(service)));
    // A mapping of the repository's own may say something else.
    let sure = push.files_complete && known.is_some_and(|known| known.mapping.is_none());
    if services.is_empty() && sure { Foreseen::Nothing } else { Foreseen::Services(services.into_iter().collect()) }
}

/// The service of a folder such as `01.postgres`.
fn service(project: &str, dir: &str) -> Option<ServiceId> {
    let (number, name) = dir.split_once('.')?;
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    numbered.then(|| ServiceId::new(project, name).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{RunId, ShardNo};

    fn known(mapping: Option<&str>) -> SourceState {
        SourceState {
            source: "platform".parse().unwrap(),
            run: RunId::from_repeatable(&["x"], ShardNo(0)),
            at: proto::Timestamp::UNIX_EPOCH,
            commit: "a".repeat(40).parse().unwrap(),
            services: ["platform/postgres", "platform/redis", "data/lake"].map(|id| id.parse().unwrap()).to_vec(),
            mapping: mapping.map(str::to_owned),
        }
    }

    fn push(files: &[&str], complete: bool) -> Push {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Push { before: None, after: "b".repeat(40).parse().unwrap(), forced: false, files, files_complete: complete }
    }

    #[test]
    fn services_are_foreseen_from_paths() {
        let projects = ["platform".to_owned()];
        let services = |names: &[&str]| Foreseen::Services(names.iter().map(|name| name.parse().unwrap()).collect());
        let state = known(None);
        for (files, expected) in [
            (vec!["platform/01.postgres/compose.yaml"], services(&["platform/postgres"])),
            (vec!["libs/deploy.py"], services(&["platform/postgres", "platform/redis"])),
            (vec!["data/01.lake/x", "bootstrap/05.vault/x", "README.md", "platform/README.md", "platform/notes/x"], Foreseen::Nothing),
            (vec!["platform/99.unknown/x"], Foreseen::Nothing),
            (vec!["platform/platform/02.redis/x"], services(&["platform/redis"])),
            (vec![], Foreseen::Nothing),
        ] {
            assert_eq!(foresee(&push(&files, true), &projects, Some(&state)), expected, "{files:?}");
        }
        assert_eq!(foresee(&push(&[], false), &projects, Some(&state)), services(&[]), "an incomplete list says nothing");
        assert_eq!(foresee(&push(&[], true), &projects, Some(&known(Some("version: 1")))), services(&[]), "a mapping may say more");
        assert_eq!(foresee(&push(&["platform/09.new/x"], true), &projects, None), services(&["platform/new"]));
        assert_eq!(foresee(&push(&["libs/x"], true), &projects, None), services(&[]));
    }
}
