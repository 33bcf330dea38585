//! What a push changed: as git compares, else as the forge lists it.

use super::super::checkout::{clone_failed, listening};
use crate::{
    attempt::stage::Stage,
    git::{GitError, History, Paths, Source},
};
use proto::{
    git::{CommitId, GitRef},
    message::AttemptOutcome,
    sync::{Compared, Push},
};

/// What changed, and how that is known.
pub(super) struct Changes {
    pub(super) compared: Compared,
    pub(super) files: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Nothing could be compared: everything counts as changed.
    pub(super) everything: Option<String>,
    /// How far the branch was looked at.
    pub(super) until: CommitId,
}

/// Where the branch stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) source: Source<'a>,
    pub(super) tip: &'a CommitId,
    pub(super) hint: &'a GitRef,
}

impl Place<'_> {
    /// The history around the tip. Nothing can be fetched while it is held.
    pub(super) async fn history(self, stage: &mut Stage) -> Result<History, AttemptOutcome> {
        let git = stage.crew.git.clone();
        let (git, Place { source, tip, hint }) = (&git, self);
        let found = listening(stage, |says| async move { git.history(source, tip, Some(hint), &mut |line| says(line)).await }).await?;
        found.map_err(|error| clone_failed(stage, &error))
    }
}

/// A push that was never told of is caught up with: what changed between the last selection and the beginning of this push
/// counts too. The history is opened once, and handed back for what else is to be read; again only where something had to be
/// fetched in between.
pub(super) async fn changes(
    stage: &mut Stage,
    place: Place<'_>,
    push: &Push,
    since: Option<&CommitId>,
) -> Result<(Changes, History), AttemptOutcome> {
    let mut history = place.history(stage).await?;
    let mut missing = Vec::new();
    for commit in push.before.iter().chain([&push.after]) {
        if !history.has(commit).await.unwrap_or(false) {
            missing.push(commit);
        }
    }
    if !missing.is_empty() {
        drop(history);
        fetch(stage, place.source, &missing).await?;
        history = place.history(stage).await?;
    }
    let compared = stage.unless_stopped(compare(&history, place.tip, push, since)).await?;
    Ok((compared.map_err(|error| clone_failed(stage, &error))?, history))
}

/// Commits that no branch leads to any more: some servers still have them. What cannot be had is said, and done without.
async fn fetch(stage: &mut Stage, source: Source<'_>, commits: &[&CommitId]) -> Result<(), AttemptOutcome> {
    for commit in commits {
        let git = stage.crew.git.clone();
        let git = &git;
        let asked = listening(stage, |says| async move { git.fetch_if_there(source, commit, &mut |line| says(line)).await }).await?;
        if let Err(error) = asked {
            stage.narrate(&format!("{commit} could not be fetched: {}", stage.masked(&error.to_string())));
        }
    }
    Ok(())
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
        return Ok(Changes {
            compared: Compared::Everything { why: why.clone() },
            files: Vec::new(),
            notes,
            everything: Some(why),
            until: after.clone(),
        });
    };
    if !history.has(before).await? {
        return Ok(from_payload(push, before, notes, after.clone()));
    }
    let mut changed = history.changed(before, after).await?;
    let mut compared = before.clone();
    if let Some(missed) = missed(history, before, after, since).await? {
        let Missed { from, to, files } = missed;
        notes.push(format!("nothing was told of what was pushed between {from} and {to}: it is looked at now"));
        changed.cut |= files.cut;
        changed.paths.extend(files.paths);
        compared = from;
    }
    changed.paths.sort_unstable();
    changed.paths.dedup();
    if changed.cut {
        let why = format!("more than {} files changed", changed.paths.len());
        return Ok(Changes {
            compared: Compared::Everything { why: why.clone() },
            files: changed.paths,
            notes,
            everything: Some(why),
            until: after.clone(),
        });
    }
    Ok(Changes { compared: Compared::Diff { before: compared }, files: changed.paths, notes, everything: None, until: after.clone() })
}

/// What nobody was told of.
struct Missed {
    from: CommitId,
    to: CommitId,
    files: Paths,
}

/// Where the last selection and the beginning of this push are not the same, something was pushed in between: it is looked at
/// now, unless this push is the one that came late.
async fn missed(history: &History, before: &CommitId, after: &CommitId, since: Option<&CommitId>) -> Result<Option<Missed>, GitError> {
    let Some(since) = since.filter(|since| *since != before) else { return Ok(None) };
    if !history.has(since).await? {
        return Ok(None);
    }
    let to = if history.is_ancestor(since, before).await? == Some(true) {
        before
    } else if history.is_ancestor(before, since).await? == Some(true) {
        return Ok(None);
    } else {
        // The branch was forced elsewhere, and that was not told.
        after
    };
    Ok(Some(Missed { from: since.clone(), to: to.clone(), files: history.changed(since, to).await? }))
}

fn from_payload(push: &Push, before: &CommitId, mut notes: Vec<String>, until: CommitId) -> Changes {
    let why = format!("{before} is not in the repository any more");
    if push.files_complete {
        return Changes { compared: Compared::Payload { why }, files: push.files.clone(), notes, everything: None, until };
    }
    notes.push("the forge did not list all files of this push".to_owned());
    Changes { compared: Compared::Everything { why: why.clone() }, files: push.files.clone(), notes, everything: Some(why), until }
}
