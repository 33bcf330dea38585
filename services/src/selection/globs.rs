//! The globs of rules and dependencies, matched against one path at a time.

use super::{Question, TooManyGlobs};
use crate::glob::Pattern;
use globset::{Candidate, Glob, GlobSet, GlobSetBuilder};
use proto::sync::ServiceId;

/// Globs that are compiled into one set. 100,000 paths against 1,800 globs take half a second in sets of 250, and ten seconds
/// in one set, which outgrows the matcher's cache.
const SET: usize = 250;

/// What a glob belongs to.
pub(super) enum Owner<'a> {
    Rule(usize),
    Dependency(&'a ServiceId, &'a str),
}

/// Sets of globs, and what each glob belongs to.
pub(super) struct Globs<'a> {
    sets: Vec<GlobSet>,
    owners: Vec<Owner<'a>>,
}

impl<'a> Globs<'a> {
    pub(super) fn of(question: &'a Question<'a>) -> Result<Self, TooManyGlobs> {
        let (mut globs, mut owners) = (Vec::new(), Vec::new());
        for (at, rule) in question.mapping.rules.iter().enumerate() {
            globs.extend(rule.paths.iter().map(Pattern::glob));
            owners.extend(rule.paths.iter().map(|_| Owner::Rule(at)));
        }
        let declared = question.mapping.services.iter().map(|(id, declared)| (id, &declared.depends_on));
        for (id, patterns) in declared.chain(&question.manifest.depends_on) {
            if question.layout.services.contains_key(id) {
                globs.extend(patterns.iter().map(Pattern::glob));
                owners.extend(patterns.iter().map(|pattern| Owner::Dependency(id, pattern.as_str())));
            }
        }
        let set = |globs: &[&Glob]| {
            let mut builder = GlobSetBuilder::new();
            for glob in globs {
                builder.add((*glob).clone());
            }
            builder.build().map_err(|_| TooManyGlobs(owners.len()))
        };
        let sets = globs.chunks(SET).map(set).collect::<Result<_, _>>()?;
        Ok(Self { sets, owners })
    }

    /// What the globs that match a path belong to.
    pub(super) fn matching(&self, path: &str) -> Vec<&Owner<'a>> {
        let candidate = Candidate::new(path);
        let mut owners = Vec::new();
        for (set, of_set) in self.sets.iter().zip(self.owners.chunks(SET)) {
            owners.extend(set.matches_candidate(&candidate).into_iter().filter_map(|at| of_set.get(at)));
        }
        owners
    }
}
