//! Decides which services a run is about: those that changed files lead to, those that were named, or all, each with the
//! reasons; and what was left out, with the reason too.
//!
//! The same commit, mapping and question give the same answer, in whatever order files are listed. All lists are bounded and
//! say what they leave out.

mod admit;
mod changed;
mod globs;
mod order;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use crate::{
    layout::{Found, Layout},
    manifest::Manifest,
    mapping::{Declared, Mapping},
    told,
};
use admit::Admission;
use proto::{
    git::CommitId,
    sync::{Compared, Environment, Executor, MappingInForce, Selected, Selection, ServiceId, Skipped},
};
use std::collections::{BTreeMap, BTreeSet};

/// How the reason begins for which a service is skipped that is not in the commit.
pub const NO_SUCH: &str = "no such service";

/// Most reasons that are told of one service.
const MOST_REASONS: usize = 5;
/// Most entries of what was skipped.
const MOST_SKIPPED: usize = 100;
const MOST_NOTES: usize = 30;

/// A file that a push touched. A file that was moved is two: the old path, removed, and the new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedFile {
    pub path: String,
    /// It is not there any more.
    pub removed: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// What these files lead to.
    Changed(&'a [ChangedFile]),
    Named(&'a [ServiceId]),
    /// Every managed service; `why` is told as the reason.
    All {
        why: &'a str,
    },
}

/// The question.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub commit: CommitId,
    pub generation: u64,
    pub compared: Compared,
    pub environment: &'a Environment,
    pub wanted: Wanted<'a>,
    /// Projects that the operator has managed here. A mapping can take a project out, and none in.
    pub projects: &'a [String],
    pub mapping: &'a Mapping,
    pub in_force: MappingInForce,
    pub layout: &'a Layout,
    pub manifest: &'a Manifest,
}

/// Globs that are too much together, though each of them was allowed. Nothing is selected: which files lead where is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {0} globs of navvy.yaml and deploy-dependencies.yaml are too large together: write fewer, or shorter ones")]
pub struct TooManyGlobs(pub usize);

/// What was found so far.
#[derive(Default)]
struct Findings {
    /// Candidates and why they are.
    reasons: BTreeMap<ServiceId, Vec<String>>,
    skipped: Vec<Skipped>,
}

/// Answers it.
///
/// # Errors
/// [`TooManyGlobs`].
pub fn select(question: Question<'_>) -> Result<Selection, TooManyGlobs> {
    let admission = Admission::new(&question);
    let (findings, changed_files) = match question.wanted {
        Wanted::Changed(files) => changed::findings(&question, &admission, files)?,
        Wanted::Named(names) => (named(names), 0),
        Wanted::All { why } => (all(question.layout, why), 0),
    };
    let Findings { reasons, mut skipped } = findings;
    let mut chosen = BTreeMap::new();
    for (id, reasons) in reasons {
        match admission.admit(&id) {
            Ok((found, executor)) => drop(chosen.insert(id, (found, executor, reasons))),
            Err(reason) => {
                // Why a service was asked for is worth telling where files led to it.
                let because = match question.wanted {
                    Wanted::Changed(_) => format!("{reason} ({})", reasons.join("; ")),
                    Wanted::Named(_) | Wanted::All { .. } => reason,
                };
                skipped.push(Skipped { what: id.to_string(), reason: because });
            }
        }
    }
    let ids: BTreeSet<&ServiceId> = chosen.keys().collect();
    let mut after = order::within(&ids, question.mapping);
    let services = chosen.iter().map(|(id, chosen)| selected(&question, id, chosen, after.remove(id).unwrap_or_default())).collect();
    skipped.sort_by(|a, b| (&a.what, &a.reason).cmp(&(&b.what, &b.reason)));
    let skipped = told::capped(skipped, MOST_SKIPPED, |more| Skipped { what: format!("{more} more"), reason: "not listed".to_owned() });
    let notes = notes(&question);
    let known = question.layout.services.keys().filter(|id| admission.managed(id.project()).is_ok()).cloned().collect();
    let Question { commit, generation, compared, in_force, .. } = question;
    Ok(Selection {
        until: None,
        commit,
        generation,
        compared,
        changed_files: changed_files as u32,
        services,
        skipped,
        known,
        mapping: in_force,
        notes,
    })
}

fn named(names: &[ServiceId]) -> Findings {
    let reasons = names.iter().map(|id| (id.clone(), vec!["named".to_owned()])).collect();
    Findings { reasons, skipped: Vec::new() }
}

/// Services that cannot be told apart are asked for too, so that they are listed with the reason.
fn all(layout: &Layout, why: &str) -> Findings {
    let reason = format!("all services: {why}");
    let ids = layout.services.keys().chain(layout.ambiguous.keys()).chain(layout.missing.keys());
    Findings { reasons: ids.map(|id| (id.clone(), vec![reason.clone()])).collect(), skipped: Vec::new() }
}

fn selected(question: &Question<'_>, id: &ServiceId, chosen: &(&Found, Executor, Vec<String>), after: Vec<ServiceId>) -> Selected {
    let (found, executor, reasons) = chosen;
    let undeclared = Declared::default();
    let declared = question.mapping.services.get(id).unwrap_or(&undeclared);
    let of_manifest = question.manifest.depends_on.get(id).into_iter().flatten();
    let depends_on: BTreeSet<String> = declared.depends_on.iter().chain(of_manifest).map(ToString::to_string).collect();
    Selected {
        service: id.clone(),
        dir: found.dir.clone(),
        task: found.task.clone(),
        executor: executor.clone(),
        reasons: told::capped(reasons.clone(), MOST_REASONS, |more| format!("{more} more reasons")),
        after,
        production_only: declared.production_only,
        requires: declared.requires.clone(),
        depends_on: depends_on.into_iter().collect(),
    }
}

fn notes(question: &Question<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let MappingInForce::LastGood { problem, .. } = &question.in_force {
        notes.push(format!("the mapping of this commit cannot be read, so the last good one decides:\n{problem}"));
    }
    notes.extend(question.layout.notes.iter().cloned());
    if let Err(problems) = question.mapping.check_services(&question.layout.ids()) {
        notes.extend(problems.to_string().lines().map(str::to_owned));
    }
    for id in question.manifest.depends_on.keys().filter(|id| !question.layout.services.contains_key(*id)) {
        notes.push(format!("{}: {id} is no service of this commit", crate::manifest::FILE));
    }
    told::capped(notes, MOST_NOTES, |more| format!("{more} more notes"))
}
