//! Finds the services of a commit from the names of its files: folders `{NN}.{service}` of the mapping's layers that have
//! something to deploy, and folders that the mapping declares.
//!
//! The number before the dot is neither a key nor an order: two folders may have the same.

use crate::{mapping::Mapping, told};
use proto::{path::RepoPath, sync::ServiceId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Files that make a folder a service, the compose files by preference.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const DEPLOY: &str = "deploy.py";
/// Most services of a repository. One run may be about all of them.
const MOST_SERVICES: usize = 1000;

/// The services of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    pub services: BTreeMap<ServiceId, Found>,
    /// Services with two folders or more: nobody knows which of them is meant, so they are not synced.
    pub ambiguous: BTreeMap<ServiceId, Vec<RepoPath>>,
    /// Declared with a folder that the commit does not have.
    pub missing: BTreeMap<ServiceId, RepoPath>,
    /// Worth knowing.
    pub notes: Vec<String>,
}

/// A service of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub dir: RepoPath,
    /// The compose file, below `dir`.
    pub compose_file: Option<RepoPath>,
    /// Such as `postgres.sync`.
    pub task: String,
}

/// More services than a run can be about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the repository has {0} services, and {MOST_SERVICES} at most are handled: take a layer out of navvy.yaml")]
pub struct TooManyServices(pub usize);

impl Layout {
    /// Finds the services. `paths` are all files of the commit, in any order.
    pub fn discover<'a>(paths: impl IntoIterator<Item = &'a str>, mapping: &Mapping) -> Result<Self, TooManyServices> {
        let seen = Seen::of(paths, mapping);
        let mut layout = Self::default();
        let declared_dirs: BTreeSet<&RepoPath> = mapping.services.values().filter_map(|declared| declared.dir.as_ref()).collect();
        let mut dirs: BTreeMap<ServiceId, Vec<RepoPath>> = BTreeMap::new();
        for dir in &seen.dirs {
            match service_of(dir, mapping) {
                Some(Ok((_, dir))) if declared_dirs.contains(&dir) => {}
                Some(Ok((id, dir))) => dirs.entry(id).or_default().push(dir),
                Some(Err(problem)) => layout.notes.push(problem),
                None => {}
            }
        }
        for (id, declared) in &mapping.services {
            match &declared.dir {
                Some(dir) if seen.declared.contains(dir.as_str()) => drop(dirs.insert(id.clone(), vec![dir.clone()])),
                Some(dir) => {
                    dirs.remove(id);
                    layout.notes.push(format!("{id} is declared in {dir}, and this commit has no such folder"));
                    layout.missing.insert(id.clone(), dir.clone());
                }
                None if !dirs.contains_key(id) => {
                    layout.notes.push(format!("{id} is declared, and no layer has it: give its `dir`, or remove it"));
                }
                None => {}
            }
        }
        for (id, mut dirs) in dirs {
            dirs.sort();
            if let [dir] = dirs.as_slice() {
                let found = found(&id, dir, &seen, mapping);
                layout.services.insert(id, found);
            } else {
                layout.notes.push(format!("{id} has {} folders ({}): it is not synced", dirs.len(), folders(&dirs)));
                layout.ambiguous.insert(id, dirs);
            }
        }
        let count = layout.services.len();
        if count > MOST_SERVICES { Err(TooManyServices(count)) } else { Ok(layout) }
    }

    /// All services by their name.
    pub fn ids(&self) -> BTreeSet<ServiceId> {
        self.services.keys().cloned().collect()
    }
}

/// Some of the folders, for people.
pub(crate) fn folders(dirs: &[RepoPath]) -> String {
    let mut files = told::Files::default();
    for dir in dirs {
        files.add(dir.as_str());
    }
    files.to_string()
}

/// What the names of files tell.
struct Seen<'a> {
    /// Folders of layers that have something to deploy.
    dirs: BTreeSet<&'a str>,
    /// Compose files by their folder: the preferred one of each.
    compose: HashMap<&'a str, usize>,
    /// Declared folders that are there.
    declared: BTreeSet<&'a str>,
}

impl<'a> Seen<'a> {
    fn of(paths: impl IntoIterator<Item = &'a str>, mapping: &Mapping) -> Self {
        let declared: BTreeSet<&str> =
            mapping.services.values().filter_map(|declared| declared.dir.as_ref()).map(RepoPath::as_str).collect();
        let layers: BTreeSet<&str> = mapping.layers.iter().map(|layer| layer.folder.as_str()).collect();
        let mut seen = Self { dirs: BTreeSet::new(), compose: HashMap::new(), declared: BTreeSet::new() };
        for path in paths {
            let (dir, name) = split(path);
            if !declared.is_empty() {
                seen.declared.extend(ancestors(path).filter(|dir| declared.contains(dir)));
            }
            let preference = COMPOSE_FILES.iter().position(|file| *file == name);
            if let Some(preference) = preference {
                let best = seen.compose.entry(dir).or_insert(preference);
                *best = (*best).min(preference);
            }
            if (preference.is_some() || name == DEPLOY) && layers.contains(split(dir).0) {
                seen.dirs.insert(dir);
            }
        }
        seen
    }
}

/// Folder and name of a path; the folder of what lies at the root is `.`.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

/// The folders that a file lies in, from the nearest to the root (`.`).
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let above = path.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'/').map(|(at, _)| &path[..at]);
    above.chain(std::iter::once("."))
}

/// Whether a file makes its folder a service.
pub(crate) fn is_marker(name: &str) -> bool {
    name == DEPLOY || COMPOSE_FILES.contains(&name)
}

/// The service that a folder of a layer is. `None`: it is no such folder. The error is a note.
pub(crate) fn service_of(dir: &str, mapping: &Mapping) -> Option<Result<(ServiceId, RepoPath), String>> {
    let (folder, name) = split(dir);
    let layer = mapping.layers.iter().find(|layer| layer.folder.as_str() == folder)?;
    let (number, service) = name.split_once('.')?;
    if number.is_empty() {
        return None;
    }
    let dir_is = || Some((ServiceId::new(&layer.project, service).ok()?, dir.parse::<RepoPath>().ok()?));
    let problem =
        || format!("the folder {} is no service: the name after the first dot has letters, digits, `_`, `.` and `-`", told::path(dir));
    Some(dir_is().ok_or_else(problem))
}

fn found(id: &ServiceId, dir: &RepoPath, seen: &Seen<'_>, mapping: &Mapping) -> Found {
    let compose_file = seen.compose.get(dir.as_str()).and_then(|at| COMPOSE_FILES.get(*at)?.parse().ok());
    let declared = mapping.services.get(id).and_then(|declared| declared.task.clone());
    Found { dir: dir.clone(), compose_file, task: declared.unwrap_or_else(|| task_of(id, mapping)) }
}

/// `{prefix of the project}{service}.sync`, with `-` for `_`.
fn task_of(id: &ServiceId, mapping: &Mapping) -> String {
    let prefix = mapping.projects.get(id.project()).map(|project| project.prefix.as_str()).unwrap_or_default();
    format!("{prefix}{}.sync", id.name()).replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{FILE, parse};
    use proptest::prelude::*;

    /// The services as `id dir task compose`, one a line.
    fn shown(layout: &Layout) -> Vec<String> {
        layout
            .services
            .iter()
            .map(|(id, found)| {
                let file = found.compose_file.as_ref().map_or("-", RepoPath::as_str);
                format!("{id} {} {} {file}", found.dir, found.task)
            })
            .collect()
    }

    fn discover(paths: &[&str], mapping: &str) -> Layout {
        let mapping = if mapping.is_empty() { Mapping::built_in() } else { parse(FILE, mapping).unwrap() };
        Layout::discover(paths.iter().copied(), &mapping).unwrap()
    }

    const PLATFORM: [&str; 12] = [
        "README.md",
        "platform/01.postgres/compose.yaml",
        "platform/01.postgres/deploy.py",
        "platform/03.click_house/docker-compose.yml",
        "platform/03.click_house/compose.yml",
        "platform/03.minio/deploy.py",
        "platform/04.app.api/deploy.py",
        "platform/shared/deploy.py",
        "platform/05.notes/README.md",
        "platform/06.deep/inner/deploy.py",
        "bootstrap/05.vault/compose.yaml",
        "finance_report/finance_report/02.back_end/deploy.py",
    ];

    #[test]
    fn folders_with_something_to_deploy_are_services() {
        let layout = discover(&PLATFORM, "");
        assert_eq!(
            shown(&layout),
            [
                "bootstrap/vault bootstrap/05.vault vault.sync compose.yaml",
                "finance_report/back_end finance_report/finance_report/02.back_end fr-back-end.sync -",
                "platform/app.api platform/04.app.api app.api.sync -",
                "platform/click_house platform/03.click_house click-house.sync compose.yml",
                "platform/minio platform/03.minio minio.sync -",
                "platform/postgres platform/01.postgres postgres.sync compose.yaml",
            ]
        );
        assert_eq!((layout.ambiguous.len(), layout.notes.len()), (0, 0));
    }

    #[test]
    fn two_folders_of_one_service_are_told_and_none_wins() {
        let layout = discover(&["platform/01.redis/deploy.py", "platform/02.redis/compose.yaml", "platform/07.a b/deploy.py"], "");
        assert!(layout.services.is_empty());
        let notes = [
            "the folder platform/07.a b is no service: the name after the first dot has letters, digits, `_`, `.` and `-`",
            "platform/redis has 2 folders (platform/01.redis, platform/02.redis): it is not synced",
        ];
        assert_eq!(layout.notes, notes);
        let chosen = "version: 1\nservices: {platform/redis: {dir: platform/02.redis}}\n";
        let layout = discover(&["platform/01.redis/deploy.py", "platform/02.redis/compose.yaml"], chosen);
        assert_eq!(shown(&layout), ["platform/redis platform/02.redis redis.sync compose.yaml"], "a declared folder decides");
    }

    #[test]
    fn declared_folders_count_and_claim_theirs() {
        let mapping = "version: 1\nprojects: {lab: {prefix: lab-}}\nservices:\n  platform/sso: {dir: platform/10.authentik, task: auth.sync}\n  \
            lab/toy: {dir: toys/one}\n  lab/gone: {dir: toys/two}\n  lab/nowhere: {}\n";
        let layout = discover(&["platform/10.authentik/deploy.py", "toys/one/src/main.py", "toys/one2/x"], mapping);
        assert_eq!(shown(&layout), ["lab/toy toys/one lab-toy.sync -", "platform/sso platform/10.authentik auth.sync -"]);
        assert_eq!(layout.missing.keys().map(ToString::to_string).collect::<Vec<_>>(), ["lab/gone"]);
        let notes = [
            "lab/gone is declared in toys/two, and this commit has no such folder",
            "lab/nowhere is declared, and no layer has it: give its `dir`, or remove it",
        ];
        assert_eq!(layout.notes, notes);
    }

    #[test]
    fn too_many_are_refused() {
        let paths: Vec<String> = (0..1001).map(|number| format!("platform/1.s{number}/deploy.py")).collect();
        assert_eq!(Layout::discover(paths.iter().map(String::as_str), &Mapping::built_in()), Err(TooManyServices(1001)));
    }

    #[test]
    fn a_file_lies_in_all_folders_above_it() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a", "."]);
        assert_eq!(ancestors("a").collect::<Vec<_>>(), ["."]);
    }

    proptest! {
        #[test]
        fn the_order_of_paths_does_not_count(mut paths in prop::collection::vec("platform/0[1-3]\\.[ab]/(deploy.py|compose.yaml|x)", 0..12)) {
            let of = |paths: &[String]| Layout::discover(paths.iter().map(String::as_str), &Mapping::built_in()).unwrap();
            let before = of(&paths);
            paths.reverse();
            prop_assert_eq!(of(&paths), before);
        }
    }
}
