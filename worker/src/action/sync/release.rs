//! Makes a release: an annotated tag of the run's commit in the real repository. The repository decides: a tag is only ever
//! made, never moved, so of two that want the same version one gets it, and the other looks again.

use super::super::checkout::{clone_failed, listening};
use crate::{
    attempt::stage::Stage,
    git::{GitError, NewTag, Pushed, Source, TagFound},
};
use proto::{
    RunId, Timestamp,
    git::CommitId,
    message::{AttemptOutcome, Failure, JobResult},
    sync::{Release, ReleaseOrder, SyncSpec},
    terraform::GitAuth,
};
use services::release::{Allocation, Tag, allocate};

/// How often a version may be taken by somebody else before it is given up.
const MAX_RACES: usize = 20;
/// How often a push that was not answered is looked into.
const MAX_UNANSWERED: usize = 3;
/// Who makes tags.
const TAGGER: &str = "navvy <navvy@localhost>";

pub(crate) async fn release(stage: &mut Stage, spec: &SyncSpec, commit: &CommitId, run: RunId, auth: Option<&GitAuth>) -> AttemptOutcome {
    let Some(order) = &spec.release else {
        return failed("release", "the run has no release to make".to_owned(), "");
    };
    stage.phase("release").await;
    let source = Source { url: &spec.git_url, auth };
    match make(stage, source, order, commit, run).await {
        Ok(release) => {
            stage.narrate(&format!("{}: {}", release.tag, release.why));
            AttemptOutcome::Succeeded { result: JobResult::Release(release) }
        }
        Err(outcome) => {
            if let AttemptOutcome::Failed { failure } = &outcome {
                stage.narrate(&format!("Error: {}", failure.message));
            }
            outcome
        }
    }
}

async fn make(
    stage: &mut Stage,
    source: Source<'_>,
    order: &ReleaseOrder,
    commit: &CommitId,
    run: RunId,
) -> Result<Release, AttemptOutcome> {
    let (mut unanswered, mut refused) = (0, None);
    for _ in 0..MAX_RACES {
        let tags = tags(stage, source).await?;
        let Allocation { release, message } =
            allocate(&tags, order, commit, run).map_err(|refusal| failed("release", refusal.to_string(), "order another release"))?;
        // The release that it is made from leads to another commit than when the run looked: somebody moved the tag.
        if release.commit != *commit {
            let why = format!("{} is {commit} for this run, and {} now: the tag was moved", order_name(order), release.commit);
            return Err(failed("tag_moved", why, "find out who moved the tag; releases are never moved"));
        }
        let Some(message) = message else { return Ok(release) };
        // I11: what is to stop makes nothing more.
        if let Some(outcome) = stage.stop_outcome() {
            return Err(outcome);
        }
        match push(stage, source, &release, &message).await? {
            Ok(Pushed::Made) => return Ok(release),
            // Whether the repository took it is not known. Looked at again, a tag of this run is found by its message.
            Err(error) if error.is_transient() && unanswered < MAX_UNANSWERED => {
                unanswered += 1;
                stage.narrate(&format!("Pushing {} was not answered ({error}); looking again", release.tag));
            }
            Err(error) => return Err(clone_failed(stage, &error)),
            Ok(Pushed::Exists) if refused.as_deref() == Some(&*release.tag) => {
                let why = format!("the repository says that it has {} already, and does not show it", release.tag);
                return Err(failed("release", why, "look at the repository: its disk may be full, or its references locked"));
            }
            Ok(Pushed::Exists) => {
                refused = Some(release.tag.clone());
                stage.narrate(&format!("{} was made by somebody else meanwhile; looking again", release.tag));
            }
            Ok(Pushed::Declined { why }) => {
                let why = format!("the repository does not take the tag {}: {}", release.tag, stage.masked(&why));
                return Err(failed("release", why, "let this login make tags: it needs the right to push, and no rule may forbid v* tags"));
            }
        }
    }
    Err(failed("release", format!("{MAX_RACES} versions in a row were taken by others"), "order it again"))
}

fn order_name(order: &ReleaseOrder) -> String {
    order.from.as_ref().map_or_else(|| "the release".to_owned(), ToString::to_string)
}

async fn tags(stage: &mut Stage, source: Source<'_>) -> Result<Vec<Tag>, AttemptOutcome> {
    let git = stage.crew.git.clone();
    let git = &git;
    let found = listening(stage, |says| async move { git.tags(source, &mut |line| says(line)).await }).await?;
    let found = found.map_err(|error| clone_failed(stage, &error))?;
    Ok(found.into_iter().map(|TagFound { name, commit, message }| Tag { name, commit, message }).collect())
}

async fn push(stage: &mut Stage, source: Source<'_>, release: &Release, message: &str) -> Result<Result<Pushed, GitError>, AttemptOutcome> {
    let git = stage.crew.git.clone();
    let git = &git;
    let tag = NewTag { name: &release.tag, commit: &release.commit, message, tagger: TAGGER, at: Timestamp::now().as_second() };
    listening(stage, |says| async move { git.push_tag(source, tag, &mut |line| says(line)).await }).await
}

fn failed(kind: &str, message: String, next_action: &str) -> AttemptOutcome {
    let failure = Failure { kind: kind.to_owned(), phase: "release".to_owned(), message, next_action: next_action.to_owned() };
    AttemptOutcome::Failed { failure }
}
