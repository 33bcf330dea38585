//! Which services a push will probably sync, told from the forge's list of files. Only for the answer: the run itself looks at
//! the repository, and its word counts.
//!
//! How paths become services is the crate `services`' to say, here as in the run. What is missing here is the repository: it is
//! made up of the files that the push names, and of the services that the last run told of.

use proto::sync::{Compared, Environment, MappingInForce, Push, ServiceId, SourceState};
use services::{
    layout::Layout,
    manifest::{self, Manifest},
    mapping::{self, Mapping},
    selection::{self, ChangedFile, Question, Wanted},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// These, and perhaps others.
    Services(Vec<ServiceId>),
    /// None: the list of files is complete, and the services are known.
    Nothing,
}

/// What is foreseen. `known`: what the last run told; its mapping counts where it had one.
///
/// Services that live in production only are foreseen everywhere: which environment it is, is not asked here.
pub(crate) fn foresee(push: &Push, projects: &[String], known: Option<&SourceState>) -> Foreseen {
    let own = known.and_then(|known| known.mapping.as_deref());
    let mapping = own.and_then(|text| mapping::parse(mapping::FILE, text).ok()).unwrap_or_else(Mapping::built_in);
    let Some(services) = selected(push, projects, known, &mapping) else { return Foreseen::Services(Vec::new()) };
    // What the repository says may have changed, or say something else than the built-in table.
    let rewritten = push.files.iter().any(|file| file == mapping::FILE || file == manifest::FILE);
    let sure = push.files_complete && !rewritten && known.is_some() && own.is_none();
    if services.is_empty() && sure { Foreseen::Nothing } else { Foreseen::Services(services) }
}

/// What a run would select in the repository as it is made up here. `None`: it would select nothing, because it is too large.
fn selected(push: &Push, projects: &[String], known: Option<&SourceState>, mapping: &Mapping) -> Option<Vec<ServiceId>> {
    let paths: Vec<String> = folders(push, known, mapping)?.iter().map(|folder| marker(folder)).collect();
    let layout = Layout::discover(paths.iter().map(String::as_str), mapping).ok()?;
    let files: Vec<ChangedFile> = push.files.iter().map(|path| ChangedFile { path: path.clone(), removed: false }).collect();
    let question = Question {
        commit: push.after.clone(),
        generation: 0,
        compared: Compared::Payload { why: String::new() },
        environment: &Environment::PRODUCTION.parse().ok()?,
        wanted: Wanted::Changed(&files),
        projects,
        mapping,
        in_force: MappingInForce::BuiltIn,
        layout: &layout,
        manifest: &Manifest::default(),
    };
    let selection = selection::select(question).ok()?;
    Some(selection.services.into_iter().map(|selected| selected.service).collect())
}

/// Makes a folder of a layer a service.
fn marker(folder: &str) -> String {
    format!("{folder}/compose.yaml")
}

/// The folders of services: of those whose files the push names, and of the others that are known some that they could have.
fn folders(push: &Push, known: Option<&SourceState>, mapping: &Mapping) -> Option<Vec<String>> {
    let layers: BTreeSet<&str> = mapping.layers.iter().map(|layer| layer.folder.as_str()).collect();
    let in_layer = |folder: &&str| layers.contains(folder.rsplit_once('/').map_or(".", |(parent, _)| parent));
    let above = |path| str::match_indices(path, '/').map(|(at, _)| &path[..at]).filter(in_layer);
    let above: BTreeSet<&str> = push.files.iter().flat_map(|path| above(path.as_str())).collect();
    let above: Vec<String> = above.into_iter().map(marker).collect();
    let touched = Layout::discover(above.iter().map(String::as_str), mapping).ok()?;
    // One that is new has what makes it a service in the push itself.
    let new = Layout::discover(push.files.iter().map(String::as_str), mapping).ok()?;
    let is_service = |id: &ServiceId| known.is_none_or(|known| known.services.contains(id)) || new.services.contains_key(id);
    let mut folders: BTreeMap<&ServiceId, String> =
        touched.services.iter().filter(|(id, _)| is_service(id)).map(|(id, found)| (id, found.dir.to_string())).collect();
    // One that was moved is named with both of its folders.
    for (id, dirs) in touched.ambiguous.iter().filter(|(id, _)| is_service(id)) {
        folders.extend(dirs.last().map(|dir| (id, dir.to_string())));
    }
    for id in known.iter().flat_map(|known| &known.services) {
        let layer = mapping.layers.iter().find(|layer| layer.project == id.project());
        let elsewhere = layer.map(|layer| format!("{}/0.{}", layer.folder, id.name()));
        if let (false, Some(folder)) = (folders.contains_key(id), elsewhere) {
            folders.insert(id, folder);
        }
    }
    let declared = mapping.services.values().filter_map(|declared| declared.dir.as_ref()).map(ToString::to_string);
    Some(folders.into_values().chain(declared).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{RunId, ShardNo};

    fn state(services: Vec<ServiceId>, mapping: Option<&str>) -> SourceState {
        SourceState {
            source: "platform".parse().unwrap(),
            run: RunId::from_repeatable(&["x"], ShardNo(0)),
            at: proto::Timestamp::UNIX_EPOCH,
            commit: "a".repeat(40).parse().unwrap(),
            services,
            mapping: mapping.map(str::to_owned),
        }
    }

    fn known(mapping: Option<&str>) -> SourceState {
        state(["platform/postgres", "platform/redis", "data/lake"].map(|id| id.parse().unwrap()).to_vec(), mapping)
    }

    fn push(files: &[&str], complete: bool) -> Push {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Push { before: None, after: "b".repeat(40).parse().unwrap(), forced: false, files, files_complete: complete }
    }

    fn services(names: &[&str]) -> Foreseen {
        Foreseen::Services(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn services_are_foreseen_from_paths() {
        let projects = ["platform".to_owned()];
        let state = known(None);
        for (files, expected) in [
            (vec!["platform/01.postgres/compose.yaml"], services(&["platform/postgres"])),
            (vec!["platform/01.postgres/conf/pg.conf"], services(&["platform/postgres"])),
            (vec!["libs/deploy.py"], services(&["platform/postgres", "platform/redis"])),
            (vec!["data/01.lake/x", "bootstrap/05.vault/x", "README.md", "platform/README.md", "platform/notes/x"], Foreseen::Nothing),
            (vec!["platform/99.unknown/x"], Foreseen::Nothing),
            (vec!["platform/99.new/deploy.py", "platform/99.new/x"], services(&["platform/new"])),
            (vec!["platform/01.redis/compose.yaml", "platform/02.redis/compose.yaml"], services(&["platform/redis"])),
            (vec!["platform/platform/02.redis/x"], Foreseen::Nothing),
            (vec!["navvy.yaml"], services(&[])),
            (vec!["deploy-dependencies.yaml"], services(&[])),
            (vec![], Foreseen::Nothing),
        ] {
            assert_eq!(foresee(&push(&files, true), &projects, Some(&state)), expected, "{files:?}");
        }
        assert_eq!(foresee(&push(&[], false), &projects, Some(&state)), services(&[]), "an incomplete list says nothing");
        assert_eq!(foresee(&push(&[], true), &projects, Some(&known(Some("version: 1")))), services(&[]), "a mapping may say more");
        assert_eq!(foresee(&push(&["platform/09.new/x"], true), &projects, None), services(&["platform/new"]));
        assert_eq!(foresee(&push(&["libs/x"], true), &projects, None), services(&[]));
    }

    #[test]
    fn the_last_known_mapping_of_the_repository_counts() {
        let projects = ["platform".to_owned()];
        let mapping = "version: 1\nlayers: [{folder: stacks, project: platform}]\nrules: [{paths: [\"**/*.md\"], then: skip}]\nservices:\n  \
            platform/postgres: {dir: databases/pg, depends_on: [shared/**]}\n";
        let state = known(Some(mapping));
        for (files, expected) in [
            (vec!["databases/pg/x"], vec!["platform/postgres"]),
            (vec!["shared/x"], vec!["platform/postgres"]),
            (vec!["stacks/02.redis/x"], vec!["platform/redis"]),
            (vec!["stacks/02.redis/README.md"], vec![]),
            (vec!["platform/02.redis/x", "libs/x"], vec![]),
        ] {
            assert_eq!(foresee(&push(&files, true), &projects, Some(&state)), services(&expected), "{files:?}");
        }
        let unreadable = known(Some("version: [\n"));
        assert_eq!(foresee(&push(&["platform/02.redis/x"], true), &projects, Some(&unreadable)), services(&["platform/redis"]));
    }

    /// Which services a changed path leads to, with the built-in table: what is foreseen is what the run selects, knowing all.
    #[test]
    fn what_is_foreseen_is_what_a_run_selects() {
        let projects = ["platform".to_owned()];
        let repository = [
            "README.md",
            "bootstrap/05.vault/compose.yaml",
            "finance/01.wealth/compose.yaml",
            "finance_report/finance_report/02.backend/deploy.py",
            "libs/common.py",
            "platform/01.postgres/compose.yaml",
            "platform/01.postgres/deploy.py",
            "platform/03.clickhouse/deploy.py",
            "platform/03.minio/deploy.py",
            "platform/10.authentik/compose.yaml",
            "platform/10.authentik/deploy.py",
            "tools/x.py",
        ];
        let all: &[&str] = &["platform/authentik", "platform/clickhouse", "platform/minio", "platform/postgres"];
        let mapping = Mapping::built_in();
        let layout = Layout::discover(repository, &mapping).unwrap();
        let state = state(layout.services.keys().cloned().collect(), None);
        for (path, expected) in [
            ("platform/01.postgres/compose.yaml", &["platform/postgres"][..]),
            ("platform/01.postgres/conf/a/b", &["platform/postgres"]),
            ("platform/10.authentik/deploy.py", &["platform/authentik"]),
            ("platform/03.minio/x", &["platform/minio"]),
            ("libs/common.py", all),
            ("bootstrap/05.vault/compose.yaml", &[]),
            ("finance_report/finance_report/02.backend/deploy.py", &[]),
            ("finance/01.wealth/compose.yaml", &[]),
            ("tools/x.py", &[]),
            ("README.md", &[]),
        ] {
            let files = [ChangedFile { path: path.to_owned(), removed: false }];
            let question = Question {
                commit: "b".repeat(40).parse().unwrap(),
                generation: 0,
                compared: Compared::Named,
                environment: &"staging".parse().unwrap(),
                wanted: Wanted::Changed(&files),
                projects: &projects,
                mapping: &mapping,
                in_force: MappingInForce::BuiltIn,
                layout: &layout,
                manifest: &Manifest::default(),
            };
            let run: Vec<ServiceId> = selection::select(question).unwrap().services.into_iter().map(|one| one.service).collect();
            assert_eq!(run.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{path}");
            let foreseen = match foresee(&push(&[path], true), &projects, Some(&state)) {
                Foreseen::Services(services) => services,
                Foreseen::Nothing => Vec::new(),
            };
            assert_eq!(foreseen, run, "{path}");
        }
    }
}
