//! What changed files lead to. For each file: a rule that says `skip` ends it; else the service whose folder it lies in, every
//! service that depends on it, and what the first rule that matches says, all count.

use super::{
    ChangedFile, Findings, Question, TooManyGlobs,
    admit::Admission,
    globs::{Globs, Owner},
};
use crate::{
    layout::{ancestors, is_marker, service_of, split},
    mapping::{self, Rule, Then},
    told::{self, Files},
};
use proto::{
    path::RepoPath,
    sync::{Executor, ServiceId, Skipped},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rules, folders and names of rules' globs that are told.
const MOST_GROUPS: usize = 50;
const MOST_NAMED_GLOBS: usize = 3;

/// Why a service is a candidate. In the order in which reasons are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    OwnFolder,
    /// It was in this folder before.
    Moved(String),
    DependsOn(String),
    /// The rule's place in the mapping.
    Rule(usize),
    /// The mapping itself changed, and says how the service is deployed.
    Mapping,
}

/// What is left of files that lead to no service. In the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Unowned {
    Rule(usize),
    Gone(ServiceId),
    Project(String),
    Folder(String),
}

struct Changes<'a> {
    question: &'a Question<'a>,
    admission: &'a Admission<'a>,
    globs: Globs<'a>,
    /// Services by their folder; more than one where folders are declared.
    by_dir: HashMap<&'a str, Vec<&'a ServiceId>>,
    /// Folders of services that are not there any more, with what they were.
    gone: HashMap<String, ServiceId>,
    causes: BTreeMap<ServiceId, BTreeMap<Cause, Files>>,
    everything: BTreeMap<usize, Files>,
    unowned: BTreeMap<Unowned, Files>,
}

/// The findings, and how many different files there are.
pub(super) fn findings(
    question: &Question<'_>,
    admission: &Admission<'_>,
    files: &[ChangedFile],
) -> Result<(Findings, usize), TooManyGlobs> {
    let mut files: Vec<&ChangedFile> = files.iter().collect();
    files.sort_unstable();
    files.dedup_by(|a, b| a.path == b.path);
    let mut changes = Changes {
        question,
        admission,
        globs: Globs::of(question)?,
        by_dir: by_dir(question),
        gone: gone(question, &files),
        causes: BTreeMap::new(),
        everything: BTreeMap::new(),
        unowned: BTreeMap::new(),
    };
    for file in &files {
        changes.look_at(file);
    }
    Ok((changes.into_findings(), files.len()))
}

fn by_dir<'a>(question: &Question<'a>) -> HashMap<&'a str, Vec<&'a ServiceId>> {
    let mut by_dir: HashMap<&str, Vec<&ServiceId>> = HashMap::new();
    for (id, found) in &question.layout.services {
        by_dir.entry(found.dir.as_str()).or_default().push(id);
    }
    for (id, dirs) in &question.layout.ambiguous {
        for dir in dirs {
            by_dir.entry(dir.as_str()).or_default().push(id);
        }
    }
    by_dir
}

/// Folders that lost what made them a service.
fn gone(question: &Question<'_>, files: &[&ChangedFile]) -> HashMap<String, ServiceId> {
    let there: BTreeSet<&RepoPath> =
        question.layout.services.values().map(|found| &found.dir).chain(question.layout.ambiguous.values().flatten()).collect();
    let mut gone: HashMap<String, ServiceId> = HashMap::new();
    for file in files.iter().filter(|file| file.removed) {
        let (dir, name) = split(&file.path);
        if is_marker(name)
            && let Some(Ok((id, dir))) = service_of(dir, question.mapping)
            && !there.contains(&dir)
        {
            gone.insert(dir.as_str().to_owned(), id);
        }
    }
    gone.extend(question.layout.missing.iter().map(|(id, dir)| (dir.as_str().to_owned(), id.clone())));
    gone
}

impl Changes<'_> {
    fn look_at(&mut self, file: &ChangedFile) {
        let path = file.path.as_str();
        let matching = self.globs.matching(path);
        let of_rule = |owner: &&Owner<'_>| match owner {
            Owner::Rule(at) => Some(*at),
            Owner::Dependency(..) => None,
        };
        let rule = matching.iter().filter_map(of_rule).min();
        let of_dependency = |owner: &&Owner<'_>| match owner {
            Owner::Rule(_) => None,
            Owner::Dependency(id, glob) => Some(((*id).clone(), Cause::DependsOn((*glob).to_owned()))),
        };
        let dependencies: Vec<(ServiceId, Cause)> = matching.iter().filter_map(of_dependency).collect();
        let mut owned = match rule.and_then(|at| Some((at, self.question.mapping.rules.get(at)?))) {
            Some((at, Rule { then: Then::Skip, .. })) => return self.leave(Unowned::Rule(at), path),
            Some((at, Rule { then: Then::All, .. })) => {
                self.everything.entry(at).or_default().add(path);
                true
            }
            Some((at, Rule { then: Then::Services(services), .. })) => {
                for id in services {
                    self.cause(id, Cause::Rule(at), path);
                }

                true
            }
            None => false,
        };
        owned |= !dependencies.is_empty();
        for (id, cause) in dependencies {
            self.cause(&id, cause, path);
        }
        owned |= self.own_folder(path);
        owned |= path == mapping::FILE && self.of_mapping(path);
        if !owned {
            self.without_owner(path);
        }
    }

    fn cause(&mut self, id: &ServiceId, cause: Cause, path: &str) {
        self.causes.entry(id.clone()).or_default().entry(cause).or_default().add(path);
    }

    fn leave(&mut self, why: Unowned, path: &str) {
        self.unowned.entry(why).or_default().add(path);
    }

    /// The nearest folder above the file that is a service's.
    fn own_folder(&mut self, path: &str) -> bool {
        for dir in ancestors(path) {
            if let Some(ids) = self.by_dir.get(dir).cloned() {
                for id in ids {
                    self.cause(id, Cause::OwnFolder, path);
                }

                return true;
            }
            if let Some(id) = self.gone.get(dir).cloned() {
                if self.question.layout.services.contains_key(&id) {
                    self.cause(&id, Cause::Moved(told::path(dir)), path);
                } else {
                    self.leave(Unowned::Gone(id), path);
                }
                return true;
            }
        }
        false
    }

    /// Services that we deploy ourselves have their variables in the mapping.
    fn of_mapping(&mut self, path: &str) -> bool {
        let mapping = self.question.mapping;
        let native = mapping
            .services
            .iter()
            .filter(|(id, declared)| declared.executor != Executor::Command && self.question.layout.services.contains_key(*id));
        let ids: Vec<&ServiceId> = native.map(|(id, _)| id).collect();
        for id in &ids {
            self.cause(id, Cause::Mapping, path);
        }

        !ids.is_empty()
    }

    fn without_owner(&mut self, path: &str) {
        let folder = path.split_once('/').map(|(folder, _)| folder);
        let why = match folder {
            Some(folder) if self.question.mapping.projects.contains_key(folder) && self.admission.managed(folder).is_err() => {
                Unowned::Project(folder.to_owned())
            }
            Some(folder) => Unowned::Folder(format!("{}/", told::path(folder))),
            None => Unowned::Folder("files at the root".to_owned()),
        };
        self.leave(why, path);
    }

    fn into_findings(mut self) -> Findings {
        for (at, files) in std::mem::take(&mut self.everything) {
            let managed: Vec<ServiceId> =
                self.question.layout.services.keys().filter(|id| self.admission.managed(id.project()).is_ok()).cloned().collect();
            if managed.is_empty() {
                self.unowned.insert(Unowned::Rule(at), files.clone());
            }
            for id in managed {
                self.causes.entry(id).or_default().insert(Cause::Rule(at), files.clone());
            }
        }
        let mapping = self.question.mapping;
        let told = |(cause, files): (Cause, Files)| told_cause(&cause, &files, &mapping.rules);
        let reasons = self.causes.into_iter().map(|(id, causes)| (id, causes.into_iter().map(told).collect())).collect();
        let groups: Vec<Skipped> =
            self.unowned.iter().map(|(why, files)| told_unowned(why, files, &mapping.rules, self.admission)).collect();
        let skipped =
            told::capped(groups, MOST_GROUPS, |more| Skipped { what: format!("{more} more folders"), reason: "not listed".to_owned() });
        Findings { reasons, skipped }
    }
}

fn told_cause(cause: &Cause, files: &Files, rules: &[Rule]) -> String {
    match cause {
        Cause::OwnFolder => format!("own folder ({files})"),
        Cause::Moved(dir) => format!("it was in {dir} before ({files})"),
        Cause::DependsOn(glob) => format!("depends on {} ({files})", told::path(glob)),
        Cause::Rule(at) => match rules.get(*at) {
            Some(rule @ Rule { then: Then::All, .. }) => format!("rule {}: everything ({files})", globs_of(rule)),
            Some(rule) => format!("rule {} names it ({files})", globs_of(rule)),
            None => format!("a rule ({files})"),
        },
        Cause::Mapping => format!("{} says how it is deployed, and changed", mapping::FILE),
    }
}

fn told_unowned(why: &Unowned, files: &Files, rules: &[Rule], admission: &Admission<'_>) -> Skipped {
    let counted = |reason: String| format!("{reason} ({files})");
    let (what, reason) = match why {
        Unowned::Rule(at) => {
            let rule = rules.get(*at);
            let skips = rule.is_some_and(|rule| rule.then == Then::Skip);
            let usual = if skips { "the mapping says so" } else { "no service is managed here" };
            let reason = rule.filter(|_| skips).and_then(|rule| rule.reason.clone()).unwrap_or_else(|| usual.to_owned());
            (rule.map(globs_of).unwrap_or_default(), counted(reason))
        }
        Unowned::Gone(id) => (id.to_string(), counted("removed from the repository; undeploying is manual".to_owned())),
        Unowned::Project(project) => (format!("{}/", told::path(project)), counted(admission.managed(project).err().unwrap_or_default())),
        Unowned::Folder(folder) => (folder.clone(), counted("no service belongs to it".to_owned())),
    };
    Skipped { what, reason }
}

/// The globs of a rule, for people.
fn globs_of(rule: &Rule) -> String {
    let globs: Vec<String> = rule.paths.iter().map(|glob| told::path(glob.as_str())).collect();
    told::capped(globs, MOST_NAMED_GLOBS, |more| format!("{more} more")).join(", ")
}
