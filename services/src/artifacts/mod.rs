//! Which files a service is made of, told from its compose file, its Dockerfiles and the names of the files that are there.
//!
//! Two steps, because compose files name Dockerfiles: read the compose file, have somebody fetch the Dockerfiles, list the
//! files. Where a text cannot be understood (a variable in a path), more files are listed rather than fewer.

mod compose;
mod dockerfile;

#[cfg(test)]
mod tests;

pub use compose::{Build, ComposeInputs, of_compose};

use crate::{
    glob::{BadGlob, Pattern},
    told,
};
use dockerfile::Source;
use globset::{GlobBuilder, GlobSetBuilder};
use proto::path::RepoPath;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// Most files of one service. All of them are read whenever it is synced.
const MOST_FILES: usize = 20_000;

/// Files of a service. In the order of their names, each once, relative to the root of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Artifacts {
    /// Dockerfiles, what they copy, and relative bind mounts: what the replaced service hashed too.
    pub built: Vec<RepoPath>,
    /// What the service reads besides: `env_file`, files of `configs` and `secrets`, included and extended compose files, other
    /// contexts, and what a build mounts. In none of the old hashes.
    pub read: Vec<RepoPath>,
    /// What could not be followed.
    pub notes: Vec<String>,
}

/// A service that is made of too many files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the service is made of {0} files, and {MOST_FILES} at most are read: narrow what its Dockerfiles copy")]
pub struct TooManyFiles(pub usize);

impl ComposeInputs {
    /// The Dockerfiles that [`ComposeInputs::artifacts`] wants to read.
    pub fn dockerfiles(&self) -> BTreeSet<&RepoPath> {
        self.builds.iter().filter_map(|build| build.dockerfile.as_ref()).collect()
    }

    /// Lists the files. `dockerfiles` are the texts of those that are there, `paths` all files of the commit.
    pub fn artifacts<'a>(
        &self,
        dockerfiles: &BTreeMap<RepoPath, String>,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<Artifacts, TooManyFiles> {
        let tree = Tree(paths.into_iter().filter(|path| !is_litter(path)).collect());
        let (mut built, mut read, mut notes) = (BTreeSet::new(), BTreeSet::new(), self.notes.clone());
        for mount in &self.mounts {
            tree.below(mount, &mut built);
        }
        for path in &self.read {
            tree.below(path, &mut read);
        }
        for build in &self.builds {
            let text = match (&build.inline, &build.dockerfile) {
                (Some(inline), _) => Some(inline),
                (None, Some(path)) => {
                    tree.below(path, &mut built);
                    dockerfiles.get(path)
                }
                (None, None) => None,
            };
            if let Some(text) = text {
                copied(build, text, &tree, &mut built, &mut read, &mut notes);
            } else {
                notes.push(format!("the Dockerfile of {} cannot be read: everything below it counts", build.context));
                tree.below(&build.context, &mut built);
            }
        }
        read.retain(|path| !built.contains(path));
        let count = built.len() + read.len();
        if count > MOST_FILES {
            return Err(TooManyFiles(count));
        }
        notes.sort();
        notes.dedup();
        let notes = told::capped(notes, 20, |more| format!("{more} more notes"));
        Ok(Artifacts { built: as_paths(&built), read: as_paths(&read), notes })
    }
}

/// The files that a service depends on by the globs of [`proto::sync::Selected::depends_on`], in the order of their names. Files
/// that are [`Artifacts`] already may be among them.
pub fn dependencies<'a>(globs: &[String], paths: impl IntoIterator<Item = &'a str>) -> Result<Vec<RepoPath>, DependenciesRefused> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let pattern: Pattern = glob.parse().map_err(|why| DependenciesRefused::Glob { glob: told::path(glob), why })?;
        builder.add(pattern.glob().clone());
    }
    let set = builder.build().map_err(|_| DependenciesRefused::TooManyGlobs(globs.len()))?;
    let files: BTreeSet<&str> = paths.into_iter().filter(|path| !is_litter(path) && set.is_match(path)).collect();
    if files.len() > MOST_FILES {
        return Err(DependenciesRefused::TooManyFiles(TooManyFiles(files.len())));
    }
    Ok(as_paths(&files))
}

/// Why dependencies cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependenciesRefused {
    #[error("depends_on: `{glob}`: {why}")]
    Glob { glob: String, why: BadGlob },
    #[error("depends_on: {0} globs are too large together: write fewer, or shorter ones")]
    TooManyGlobs(usize),
    #[error(transparent)]
    TooManyFiles(#[from] TooManyFiles),
}

/// What a build takes out of its context.
fn copied<'a>(
    build: &Build,
    text: &str,
    tree: &Tree<'a>,
    built: &mut BTreeSet<&'a str>,
    read: &mut BTreeSet<&'a str>,
    notes: &mut Vec<String>,
) {
    for source in dockerfile::sources(text) {
        match source {
            Source::Copied(source) => take(build, &source, tree, built, notes),
            Source::Mounted(source) => take(build, &source, tree, read, notes),
        }
    }
}

fn take<'a>(build: &Build, source: &str, tree: &Tree<'a>, files: &mut BTreeSet<&'a str>, notes: &mut Vec<String>) {
    if source.contains('$') {
        notes.push(format!(
            "a Dockerfile of {} copies `{}`, which has a variable: everything below counts",
            build.context,
            told::path(source)
        ));
        return tree.below(&build.context, files);
    }
    // A path in a build never leaves its context: `/x` and `../x` are `x` in it.
    let parts: Vec<&str> = source.split('/').fold(Vec::new(), |mut parts, part| {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
        parts
    });
    let inside = parts.join("/");
    let Some(path) = join(build.context.as_str(), &inside) else { return };
    if !inside.contains(['*', '?', '[']) {
        return tree.below(&path, files);
    }
    let escaped = globset::escape(build.context.as_str());
    let glob = if build.context == RepoPath::root() { inside.clone() } else { format!("{escaped}/{inside}") };
    match GlobBuilder::new(&glob).literal_separator(true).build() {
        Ok(glob) => {
            let matcher = glob.compile_matcher();
            // What matches may be a folder: then everything in it is copied.
            let hit = |path: &str| crate::layout::ancestors(path).chain([path]).any(|part| matcher.is_match(part));
            files.extend(tree.in_folder(&build.context).filter(|path| hit(path)));
        }
        Err(_) => tree.below(&build.context, files),
    }
}

/// Names of files, in order.
struct Tree<'a>(BTreeSet<&'a str>);

impl<'a> Tree<'a> {
    /// A file, or all files in a folder.
    fn below(&self, path: &RepoPath, files: &mut BTreeSet<&'a str>) {
        files.extend(self.0.get(path.as_str()).copied());
        files.extend(self.in_folder(path));
    }

    fn in_folder(&self, folder: &RepoPath) -> impl Iterator<Item = &'a str> {
        let prefix = if *folder == RepoPath::root() { String::new() } else { format!("{folder}/") };
        let from = self.0.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        from.copied().take_while(move |path| path.starts_with(&prefix)).collect::<Vec<_>>().into_iter()
    }
}

/// What python leaves behind.
fn is_litter(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("pyc" | "pyo")) || path.split('/').any(|part| part == "__pycache__")
}

fn as_paths(files: &BTreeSet<&str>) -> Vec<RepoPath> {
    files.iter().filter_map(|path| path.parse().ok()).collect()
}

/// A path as seen from a folder of the repository; `None` where it leaves the repository or is no path of one.
fn join(folder: &str, path: &str) -> Option<RepoPath> {
    if path.starts_with(['/', '~']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    parts.join("/").parse().ok()
}
