//! The first step of every terraform job: the reference becomes a commit, once and for good, and its files lie on disk.

use crate::{
    attempt::stage::Stage,
    git::{GitError, Source},
};
use proto::{
    git::CommitId,
    message::{AttemptOutcome, Failure},
    terraform::{GitAuth, TerraformSpec},
};
use std::path::PathBuf;

/// The commit's files, in the attempt's folder. Without a commit the reference is resolved and bound to the run first.
pub(super) async fn checkout(
    stage: &mut Stage,
    spec: &TerraformSpec,
    auth: Option<&GitAuth>,
    commit: Option<CommitId>,
) -> Result<(CommitId, PathBuf), AttemptOutcome> {
    stage.phase("cloning").await;
    stage.narrate("Cloning repository...");
    let source = Source { url: &spec.git_url, auth };
    let git = stage.crew.git.clone();
    let mut lines = Vec::new();
    let commit = match commit {
        Some(commit) => commit,
        None => {
            let resolved = stage.unless_stopped(git.resolve(source, &spec.git_ref, &mut |line| lines.push(line.to_owned()))).await;
            flush(stage, &mut lines);
            let commit = resolved?.map_err(|error| clone_failed(stage, &error))?.commit;
            bind(stage, &commit).await?;
            commit
        }
    };
    let dest = stage.folder.path.join("checkout");
    let written = stage.unless_stopped(git.checkout(source, &commit, &dest, &mut |line| lines.push(line.to_owned()))).await;
    flush(stage, &mut lines);
    let checkout = written?.map_err(|error| clone_failed(stage, &error))?;
    stage.narrate(&format!("Checked out {} at {commit} ({} files)", spec.git_ref, checkout.files));
    for submodule in &checkout.submodules {
        stage.narrate(&format!("⚠ {submodule} is a submodule; submodules are not fetched"));
    }
    Ok((commit, checkout.root))
}

fn flush(stage: &mut Stage, lines: &mut Vec<String>) {
    for line in lines.drain(..) {
        stage.narrate(&line);
    }
}

/// The first commit told binds the run: every later attempt uses it. What is not stored is not used.
async fn bind(stage: &Stage, commit: &CommitId) -> Result<(), AttemptOutcome> {
    stage.pin(commit.clone()).await.map_err(|error| {
        tracing::warn!(attempt = %stage.folder.id, %error, "the commit could not be told");
        AttemptOutcome::NotStarted { reason: "the commit could not be bound to the run: the message layer did not answer".to_owned() }
    })
}

fn clone_failed(stage: &mut Stage, error: &GitError) -> AttemptOutcome {
    let message = stage.masked(&format!("Git clone failed: {error}"));
    stage.narrate(&message);
    AttemptOutcome::Failed {
        failure: Failure {
            kind: "git_clone".to_owned(),
            phase: stage.current_phase().to_owned(),
            message,
            next_action: "check git_url, git_ref and git_auth, and that this worker may reach the server".to_owned(),
        },
    }
}
