//! The file `navvy.yaml`: which paths belong to which services, and how a service is synced. Without it the built-in table
//! decides, which is the layout of the platform that the replaced service knew.
//!
//! ```yaml
//! version: 1
//! projects:
//!   finance_report: {managed: false, reason: its own CI deploys it}
//! layers:                                     # where `{NN}.{service}` folders are
//!   - {folder: platform, project: platform}
//! rules:                                      # the first that matches a changed file counts
//!   - {paths: ["**/*.md"], then: skip, reason: only documentation}
//!   - {paths: [libs/**], then: all}
//!   - {paths: [tools/sso.py], then: {services: [platform/authentik]}}
//! services:
//!   platform/authentik:
//!     after: [platform/postgres]              # synced after it, where both are
//!     depends_on: [libs/auth/**]              # files outside its folder that it is built from
//!     requires: [VPS_HOST]
//!     executor:                               # else the command that the operator configured
//!       dokploy:
//!         env: {DATA: "/data/{service}{suffix}"}
//!         domain: {subdomain: sso, service: server, port: 9000}
//! ```
//!
//! A section of the file replaces the built-in one; only `projects` is merged by name, and the bootstrap's layer stays. Nothing
//! in the file can make a service of the bootstrap managed: the runner would deploy itself.

mod builtin;
mod cycle;
mod executor;
mod force;
mod read;
mod service;
mod twins;

pub use force::mapping_in_force;
pub use read::parse;

use crate::{FileProblem, FileProblems, glob::Pattern, spelling::nearest_service, yaml::Place};
use proto::{
    path::RepoPath,
    sync::{Executor, ServiceId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the file, at the root of the repository.
pub const FILE: &str = "navvy.yaml";
/// The project, and the folder at the root, that is never synced: what the runner itself needs to live.
pub const BOOTSTRAP: &str = "bootstrap";

/// Problems that are told at once.
const MOST_TOLD: usize = 20;

/// What a repository says about its services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub projects: BTreeMap<String, Project>,
    /// Where services are discovered.
    pub layers: Vec<Layer>,
    /// In order: the first that matches a path counts.
    pub rules: Vec<Rule>,
    pub services: BTreeMap<ServiceId, Declared>,
    mentions: Vec<Mention>,
}

/// What is said about a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Project {
    /// `Some(false)`: its services are not synced, whatever the operator allows. Absent: as the operator has it.
    pub managed: Option<bool>,
    /// Why its services are not synced.
    pub reason: Option<String>,
    /// What its task names begin with.
    pub prefix: String,
}

/// A folder whose folders `{NN}.{service}` are services of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub folder: RepoPath,
    pub project: String,
}

/// What changed files lead to, besides the service whose folder they lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub paths: Vec<Pattern>,
    pub then: Then,
    pub reason: Option<String>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Every managed service is synced.
    All,
    /// The file counts for nothing, not even for the service whose folder it lies in.
    Skip,
    /// These are synced.
    Services(Vec<ServiceId>),
}

/// What is declared about one service. Everything may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Absent: where it is discovered.
    pub dir: Option<RepoPath>,
    /// Absent: by its name.
    pub task: Option<String>,
    pub after: Vec<ServiceId>,
    pub depends_on: Vec<Pattern>,
    pub executor: Executor,
    /// Whether the executor's compose file was named; else it is the one that is found in the folder.
    pub names_file: bool,
    pub production_only: bool,
    pub requires: Vec<String>,
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            dir: None,
            task: None,
            after: Vec::new(),
            depends_on: Vec::new(),
            executor: Executor::Command,
            names_file: false,
            production_only: false,
            requires: Vec::new(),
        }
    }
}

/// A place of the file that names another service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    place: Place,
    service: ServiceId,
    what: &'static str,
}

impl Mapping {
    /// Checks that every service that the file names is one of the repository. Apart from [`parse`], because services are
    /// discovered. Where it is not called, such names count for nothing, and the selection notes them.
    pub fn check_services(&self, known: &BTreeSet<ServiceId>) -> Result<(), FileProblems> {
        let problem = |mention: &Mention| {
            let advice = match nearest_service(&mention.service, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name one that the repository has, or remove it".to_owned(),
            };
            let message = format!("{} names `{}`, and there is no such service: {advice}", mention.what, mention.service);
            FileProblem { line: mention.place.line, column: mention.place.column, message }
        };
        let count = self.unknown(known).count();
        if count == 0 {
            return Ok(());
        }
        let problems: Vec<FileProblem> = self.unknown(known).take(MOST_TOLD).map(problem).collect();
        let more = count - problems.len();
        Err(FileProblems { file: FILE.to_owned(), problems, more })
    }

    fn unknown<'a>(&'a self, known: &'a BTreeSet<ServiceId>) -> impl Iterator<Item = &'a Mention> {
        self.mentions.iter().filter(|mention| !known.contains(&mention.service))
    }
}

#[cfg(test)]
mod tests;
