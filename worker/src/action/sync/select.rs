//! Looks at the repository: which commit the reference means, what changed, and which services that is about. Nothing is
//! checked out, and nothing of the repository runs.

use super::super::checkout::{bind, clone_failed, listening};
use crate::{
    attempt::stage::Stage,
    git::{GitError, History, Source},
};
use proto::{
    git::{CommitId, GitRef},
    message::{AttemptOutcome, Failure, JobResult},
    sync::{Compared, Push, Selection, SyncSpec, SyncWanted},
    terraform::SecretBundle,
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

/// What changed, and how that is known.
struct Changes {
    compared: Compared,
    files: Vec<String>,
    notes: Vec<String>,
    /// Nothing could be compared: everything counts as changed.
    everything: Option<String>,
}

pub(crate) async fn select(
    stage: &mut Stage,
    spec: &SyncSpec,
    commit: Option<CommitId>,
    known: Known<'_>,
    secrets: SecretBundle,
) -> AttemptOutcome {
    match selected(stage, spec, commit, known, &secrets).await {
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
    secrets: &SecretBundle,
) -> Result<Selection, AttemptOutcome> {
    let source = Source { url: &spec.git_url, auth: secrets.git_auth.as_ref() };
    stage.phase("cloning").await;
    stage.narrate(&format!("Looking at {} of {}", spec.git_ref, spec.git_url));
    let git = stage.crew.git.clone();
    let commit = match commit {
        Some(commit) => commit,
        None => {
            let (git, reference) = (&git, &spec.git_ref);
            let resolved = listening(stage, |says| async move { git.resolve(source, reference, &mut |line| says(line)).await }).await?;
            let commit = resolved.map_err(|error| clone_failed(stage, &error))?.commit;
            bind(stage, &commit).await?;
            commit
        }
    };
    stage.narrate(&format!("{} is {commit}", spec.git_ref));
    let history = history(stage, source, &commit, &spec.git_ref).await?;
    let changes = match &spec.wanted {
        SyncWanted::Changed(push) => Some(changes(stage, source, history.clone(), &commit, push, known.since, &spec.git_ref).await?),
        SyncWanted::Named { .. } | SyncWanted::All => None,
    };
    drop(history);
    stage.phase("select").await;
    let history = self::history(stage, source, &commit, &spec.git_ref).await?;
    let read = stage.unless_stopped(read(&history, &commit)).await?;
    let read = read.map_err(|error| clone_failed(stage, &error))?;
    decide(spec, commit, changes, read, known.last_good).map_err(|failure| refused(stage, failure))
}

async fn history(stage: &mut Stage, source: Source<'_>, commit: &CommitId, hint: &GitRef) -> Result<History, AttemptOutcome> {
    let git = stage.crew.git.clone();
    let git = &git;
    let found = listening(stage, |says| async move { git.history(source, commit, Some(hint), &mut |line| says(line)).await }).await?;
    found.map_err(|error| clone_failed(stage, &error))
}

/// What the commit holds that decides.
struct Read {
    files: Vec<String>,
    generation: u64,
    mapping: Option<String>,
    manifest: Option<String>,
    too_many: bool,
}

async fn read(history: &History, commit: &CommitId) -> Result<Read, GitError> {
    let files = history.files(commit).await?;
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Read {
        too_many: files.cut,
        files: files.paths,
        generation: history.generation(commit).await?,
        mapping: text(history.file(commit, mapping::FILE, MOST_FILE_BYTES).await?),
        manifest: text(history.file(commit, manifest::FILE, MOST_FILE_BYTES).await?),
    })
}

/// What a push changed: as git compares, else as the forge lists it. A push that was never told of is caught up with: what
/// changed between the last selection and the beginning of this push counts too.
async fn changes(
    stage: &mut Stage,
    source: Source<'_>,
    history: History,
    tip: &CommitId,
    push: &Push,
    since: Option<&CommitId>,
    hint: &GitRef,
) -> Result<Changes, AttemptOutcome> {
    let known = |commit: CommitId| {
        let history = history.clone();
        async move { history.has(&commit).await.unwrap_or(false) }
    };
    let wanted: Vec<CommitId> = push.before.iter().chain([&push.after]).cloned().collect();
    let mut missing = Vec::new();
    for commit in wanted {
        if !known(commit.clone()).await {
            missing.push(commit);
        }
    }
    // Nothing can be fetched while the history is held.
    drop(history);
    for commit in missing {
        let git = stage.crew.git.clone();
        let (git, at) = (&git, &commit);
        let asked = listening(stage, |says| async move { git.fetch_if_there(source, at, &mut |line| says(line)).await }).await?;
        if let Err(error) = asked {
            stage.narrate(&format!("{commit} could not be fetched: {}", stage.masked(&error.to_string())));
        }
    }
    let history = self::history(stage, source, tip, hint).await?;
    let compared = stage.unless_stopped(compare(&history, tip, push, since)).await?;
    compared.map_err(|error| clone_failed(stage, &error))
}

async fn compare(history: &History, tip: &CommitId, push: &Push, since: Option<&CommitId>) -> Result<Changes, GitError> {
    let mut notes = Vec::new();
    // The branch may have moved on, or been forced elsewhere, since it was pushed.
    let after = if history.has(&push.after).await? { &push.after } else { tip };
    if after == tip && *tip != push.after {
        notes.push(format!("{} is not in the repository any more: the branch was forced elsewhere after this push", push.after));
    }
    if after != tip && history.is_ancestor(after, tip).await? == Some(false) {
        notes.push(format!("{after} is not on the branch any more: the branch was forced elsewhere after this push"));
    }
    let Some(before) = &push.before else {
        let why = "the branch is new".to_owned();
        return Ok(Changes { compared: Compared::Everything { why: why.clone() }, files: Vec::new(), notes, everything: Some(why) });
    };
    if !history.has(before).await? {
        return Ok(from_payload(push, before, notes));
    }
    let mut changed = history.changed(before, after).await?;
    let mut compared = before.clone();
    if let Some(since) = since.filter(|since| *since != before)
        && history.has(since).await?
        && history.is_ancestor(since, before).await? == Some(true)
    {
        let missed = history.changed(since, before).await?;
        notes.push(format!("nothing was told of what was pushed between {since} and {before}: it is looked at now"));
        changed.cut |= missed.cut;
        changed.paths.extend(missed.paths);
        compared = since.clone();
    }
    changed.paths.sort_unstable();
    changed.paths.dedup();
    if changed.cut {
        let why = format!("more than {} files changed", changed.paths.len());
        return Ok(Changes { compared: Compared::Everything { why: why.clone() }, files: changed.paths, notes, everything: Some(why) });
    }
    Ok(Changes { compared: Compared::Diff { before: compared }, files: changed.paths, notes, everything: None })
}

fn from_payload(push: &Push, before: &CommitId, mut notes: Vec<String>) -> Changes {
    let why = format!("{before} is not in the repository any more");
    if push.files_complete {
        return Changes { compared: Compared::Payload { why }, files: push.files.clone(), notes, everything: None };
    }
    notes.push("the forge did not list all files of this push".to_owned());
    Changes { compared: Compared::Everything { why: why.clone() }, files: push.files.clone(), notes, everything: Some(why) }
}

fn decide(spec: &SyncSpec, commit: CommitId, changes: Option<Changes>, read: Read, last_good: Option<&str>) -> Result<Selection, Failure> {
    let (mapping, in_force) = mapping::mapping_in_force(read.mapping.as_deref(), last_good).map_err(|problems| {
        let told: String = problems.to_string().chars().take(MOST_TOLD).collect();
        failure("mapping", told, "correct navvy.yaml (`navvy mapping check navvy.yaml` says the same), and push")
    })?;
    if read.too_many {
        return Err(failure("repository", "the repository has too many files".to_owned(), "keep services in a repository of their own"));
    }
    let layout = Layout::discover(read.files.iter().map(String::as_str), &mapping)
        .map_err(|error| failure("mapping", error.to_string(), "name fewer layers or services in navvy.yaml"))?;
    let mut notes = Vec::new();
    let manifest = match read.manifest.as_deref().map(|text| manifest::parse(manifest::FILE, text)) {
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
    selection.notes.splice(0..0, notes);
    Ok(selection)
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
