//! Looks at the repository: which commit the reference means, what changed, and which services that is about. Nothing is
//! checked out, and nothing of the repository runs.

use super::{
    super::checkout::{bind, clone_failed, listening},
    changes::{Changes, Place, changes},
};
use crate::{
    attempt::stage::Stage,
    git::{GitError, History, Source},
};
use proto::{
    git::CommitId,
    message::{AttemptOutcome, Failure, JobResult},
    sync::{Compared, Selection, SyncSpec, SyncWanted},
    terraform::GitAuth,
};
use services::{
    layout::Layout,
    manifest::{self, Manifest},
    mapping,
    selection::{self, ChangedFile, Question, Wanted},
};
use std::collections::HashSet;

/// Longest `navvy.yaml` or `deploy-dependencies.yaml` that is read, in bytes.
const MOST_FILE_BYTES: usize = 256 * 1024;
/// Longest account of what is wrong with a file, in characters.
const MOST_TOLD: usize = 4096;

/// What is known from before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The last mapping of this source that could be read.
    pub(crate) last_good: Option<&'a str>,
    /// The commit of the last selection.
    pub(crate) since: Option<&'a CommitId>,
}

pub(crate) async fn select(
    stage: &mut Stage,
    spec: &SyncSpec,
    commit: Option<CommitId>,
    known: Known<'_>,
    auth: Option<&GitAuth>,
) -> AttemptOutcome {
    match selected(stage, spec, commit, known, auth).await {
        Ok(selection) => {
            tell(stage, &selection);
            AttemptOutcome::Succeeded { result: JobResult::Selection(Box::new(selection)) }
        }
        Err(outcome) => outcome,
    }
}

async fn selected(
    stage: &mut Stage,
    spec: &SyncSpec,
    commit: Option<CommitId>,
    known: Known<'_>,
    auth: Option<&GitAuth>,
) -> Result<Selection, AttemptOutcome> {
    let source = Source { url: &spec.git_url, auth };
    stage.phase("cloning").await;
    stage.narrate(&format!("Looking at {} of {}", spec.git_ref, spec.git_url));
    let git = stage.crew.git.clone();
    let commit = if let Some(commit) = commit {
        commit
    } else {
        let (git, reference) = (&git, &spec.git_ref);
        let resolved = listening(stage, |says| async move { git.resolve(source, reference, &mut |line| says(line)).await }).await?;
        let commit = resolved.map_err(|error| clone_failed(stage, &error))?.commit;
        bind(stage, &commit).await?;
        commit
    };
    stage.narrate(&format!("{} is {commit}", spec.git_ref));
    let place = Place { source, tip: &commit, hint: &spec.git_ref };
    let (changes, history) = match &spec.wanted {
        SyncWanted::Changed(push) => {
            let (changes, history) = changes(stage, place, push, known.since).await?;
            (Some(changes), history)
        }
        SyncWanted::Named { .. } | SyncWanted::All => (None, place.history(stage).await?),
    };
    stage.phase("select").await;
    let read = stage.unless_stopped(read(&history, &commit)).await?;
    let read = read.map_err(|error| clone_failed(stage, &error))?;
    decide(spec, commit, changes, &read, known.last_good).map_err(|failure| refused(stage, failure))
}

/// What the commit holds that decides.
struct Read {
    files: Vec<String>,
    generation: u64,
    /// Or why there is no text to be had of it.
    mapping: Option<Result<String, String>>,
    manifest: Option<Result<String, String>>,
    too_many: bool,
}

async fn read(history: &History, commit: &CommitId) -> Result<Read, GitError> {
    let files = history.files(commit).await?;
    Ok(Read {
        too_many: files.cut,
        files: files.paths,
        generation: history.generation(commit).await?,
        mapping: text(history.file(commit, mapping::FILE, MOST_FILE_BYTES).await)?,
        manifest: text(history.file(commit, manifest::FILE, MOST_FILE_BYTES).await)?,
    })
}

/// The text of a file, or what its author has to correct; anything else is a fault of the repository or of the way there.
fn text(file: Result<Option<Vec<u8>>, GitError>) -> Result<Option<Result<String, String>>, GitError> {
    match file {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => Ok(Some(String::from_utf8(bytes).map_err(|_| "is not UTF-8: save it as UTF-8 text".to_owned()))),
        Err(GitError::TooLarge { limit, .. }) => Ok(Some(Err(format!("is longer than {limit}: make it shorter")))),
        Err(GitError::UnsafeTree { why, .. }) => Ok(Some(Err(format!("there is something of this name {why}: put a file there")))),
        Err(error) => Err(error),
    }
}

fn decide(spec: &SyncSpec, commit: CommitId, changes: Option<Changes>, read: &Read, last_good: Option<&str>) -> Result<Selection, Failure> {
    let (mapping, in_force) =
        mapping::mapping_in_force(read.mapping.as_ref().map(|text| text.as_deref().map_err(String::as_str)), last_good).map_err(
            |problems| {
                let told: String = problems.to_string().chars().take(MOST_TOLD).collect();
                failure("mapping", told, "correct navvy.yaml (`navvy mapping check navvy.yaml` says the same), and push")
            },
        )?;
    if read.too_many {
        return Err(failure("repository", "the repository has too many files".to_owned(), "keep services in a repository of their own"));
    }
    let layout = Layout::discover(read.files.iter().map(String::as_str), &mapping)
        .map_err(|error| failure("mapping", error.to_string(), "name fewer layers or services in navvy.yaml"))?;
    let mut notes = Vec::new();
    let no_text = |why: &String| failure("mapping", format!("{}: {why}", manifest::FILE), "correct the file, and push");
    let manifest = read.manifest.as_ref().map(|text| text.as_deref().map_err(no_text)).transpose()?;
    let manifest = match manifest.map(|text| manifest::parse(manifest::FILE, text)) {
        None => Manifest::default(),
        Some(Ok(manifest)) => manifest,
        // Whom a changed library concerns is not known: nobody is left out by that.
        Some(Err(problems)) => {
            let told: String = problems.to_string().chars().take(MOST_TOLD).collect();
            return Err(failure("mapping", told, "correct deploy-dependencies.yaml, and push"));
        }
    };
    let present: HashSet<&str> = read.files.iter().map(String::as_str).collect();
    let files: Vec<ChangedFile> = changes
        .iter()
        .flat_map(|changes| &changes.files)
        .map(|path| ChangedFile { path: path.clone(), removed: !present.contains(path.as_str()) })
        .collect();
    let everything = changes.as_ref().and_then(|changes| changes.everything.clone());
    let wanted = match (&spec.wanted, &everything) {
        (SyncWanted::Changed(_), None) => Wanted::Changed(&files),
        (SyncWanted::Changed(_), Some(why)) => Wanted::All { why },
        (SyncWanted::Named { names }, _) => Wanted::Named(names),
        (SyncWanted::All, _) => Wanted::All { why: "every service was asked for" },
    };
    let until = changes.as_ref().map(|changes| changes.until.clone());
    let compared = changes.as_ref().map_or(Compared::Named, |changes| changes.compared.clone());
    notes.extend(changes.map(|changes| changes.notes).unwrap_or_default());
    let question = Question {
        commit,
        generation: read.generation,
        compared,
        environment: &spec.environment,
        wanted,
        projects: &spec.projects,
        mapping: &mapping,
        in_force,
        layout: &layout,
        manifest: &manifest,
    };
    let mut selection = selection::select(question)
        .map_err(|error| failure("mapping", error.to_string(), "name fewer globs in navvy.yaml or deploy-dependencies.yaml"))?;
    all_there(spec, &selection)?;
    selection.until = until;
    selection.notes.splice(0..0, notes);
    Ok(selection)
}

/// Whoever names a service that is not there means another one: nothing is better than all but that.
fn all_there(spec: &SyncSpec, selection: &Selection) -> Result<(), Failure> {
    let SyncWanted::Named { .. } = &spec.wanted else { return Ok(()) };
    match selection.skipped.iter().find(|skipped| skipped.reason.starts_with(selection::NO_SUCH)) {
        None => Ok(()),
        Some(absent) => {
            let told = format!("{}: {}; nothing was synced", absent.what, absent.reason);
            Err(failure("unknown_service", told, "name services that are in the commit, or leave the names out"))
        }
    }
}

fn failure(kind: &str, message: String, next_action: &str) -> Failure {
    Failure { kind: kind.to_owned(), phase: "select".to_owned(), message, next_action: next_action.to_owned() }
}

fn refused(stage: &mut Stage, failure: Failure) -> AttemptOutcome {
    stage.narrate(&format!("Error: {}", failure.message));
    AttemptOutcome::Failed { failure }
}

fn tell(stage: &mut Stage, selection: &Selection) {
    for note in &selection.notes {
        stage.narrate(&format!("⚠ {note}"));
    }
    for selected in &selection.services {
        stage.narrate(&format!("{}: {}", selected.service, selected.reasons.join("; ")));
    }
    for skipped in &selection.skipped {
        stage.narrate(&format!("skipped {}: {}", skipped.what, skipped.reason));
    }
    let (some, left) = (selection.services.len(), selection.skipped.len());
    stage.narrate(&format!("{some} to sync, {left} skipped ({} changed files)", selection.changed_files));
}
