//! The first step of every terraform job: the reference becomes a commit, once and for good, and its files lie on disk.

use crate::{
    attempt::stage::Stage,
    git::{Checkout, GitError, Source},
};
use proto::{
    git::{CommitId, GitRef},
    message::{AttemptOutcome, Failure},
    terraform::{GitAuth, TerraformSpec},
};
use std::{
    future::Future,
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;

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
    let cache = stage.crew.git.clone();
    let git = &cache;
    let commit = if let Some(commit) = commit {
        commit
    } else {
        let resolved = listening(stage, |says| async move { git.resolve(source, &spec.git_ref, &mut |line| says(line)).await }).await?;
        let commit = resolved.map_err(|error| clone_failed(stage, &error))?.commit;
        bind(stage, &commit).await?;
        commit
    };
    let checkout = files_of(stage, source, &spec.git_ref, &commit).await?;
    if let Some(link) = checkout.links_out.iter().find(|link| is_read_by_tool(spec.path.as_str(), link)) {
        return Err(leads_out(stage, link));
    }
    for submodule in &checkout.submodules {
        stage.narrate(&format!("⚠ {submodule} is a submodule; submodules are not fetched"));
    }
    Ok((commit, checkout.root))
}

/// The files of a commit, in the attempt's folder, and nothing else of the repository.
pub(super) async fn files_of(
    stage: &mut Stage,
    source: Source<'_>,
    reference: &GitRef,
    commit: &CommitId,
) -> Result<Checkout, AttemptOutcome> {
    let cache = stage.crew.git.clone();
    let (git, dest) = (&cache, stage.folder.path.join("checkout"));
    let to = &dest;
    let written = listening(stage, |says| async move {
        // The reference helps servers that give no commit by its id.
        git.fetch(source, commit, Some(reference), &mut |line| says(line)).await?;
        failpoint::failpoint!("worker.fetched");
        git.checkout(source, commit, to, &mut |line| says(line)).await
    });
    let checkout = written.await?.map_err(|error| clone_failed(stage, &error))?;
    stage.narrate(&format!("Checked out {reference} at {commit} ({} files)", checkout.files));
    Ok(checkout)
}

/// Does something that speaks, and writes what it says into the log while it does. Stopped, it is dropped half-way.
pub(super) async fn listening<T, F: Future<Output = T>>(stage: &mut Stage, work: impl FnOnce(Says) -> F) -> Result<T, AttemptOutcome> {
    let (sender, mut lines) = mpsc::unbounded_channel::<String>();
    let stop = stage.stop.clone();
    let time_limit = tokio::time::sleep(stage.left());
    let work = work(Box::new(move |line| {
        // Nobody listens any more when it is being dropped.
        let _ = sender.send(line.to_owned());
    }));
    tokio::pin!(work, time_limit);
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => stage.narrate(&line),
            done = &mut work => {
                while let Ok(line) = lines.try_recv() {
                    stage.narrate(&line);
                }
                return Ok(done);
            }
            _ = stop.stronger_than(None) => return Err(AttemptOutcome::Stopped { clean: true, timed_out: false }),
            () = &mut time_limit => return Err(AttemptOutcome::Stopped { clean: true, timed_out: true }),
        }
    }
}

pub(super) type Says = Box<dyn Fn(&str) + Send + Sync>;

/// The first commit told binds the run: every later attempt uses it. What is not stored is not used.
pub(super) async fn bind(stage: &Stage, commit: &CommitId) -> Result<(), AttemptOutcome> {
    stage.pin(commit.clone()).await.map_err(|error| {
        tracing::warn!(attempt = %stage.folder.id, %error, "the commit could not be told");
        AttemptOutcome::NotStarted { reason: "the commit could not be bound to the run: the message layer did not answer".to_owned() }
    })
}

pub(super) fn clone_failed(stage: &mut Stage, error: &GitError) -> AttemptOutcome {
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

/// Whether the tool would follow a link by itself: everything in the working directory, and configuration anywhere.
fn is_read_by_tool(dir: &str, link: &str) -> bool {
    let inside = dir == "." || Path::new(link).starts_with(dir);
    let configuration = [".tf", ".tf.json", ".tofu", ".tofu.json", ".tfvars", ".tfvars.json", ".tfquery.hcl", ".tftest.hcl"];
    inside || configuration.iter().any(|ending| link.ends_with(ending))
}

fn leads_out(stage: &Stage, link: &str) -> AttemptOutcome {
    AttemptOutcome::Failed {
        failure: Failure {
            kind: "path".to_owned(),
            phase: stage.current_phase().to_owned(),
            message: format!("the symbolic link {link} leads out of the repository: a job reads nothing outside its checkout"),
            next_action: "replace the link by the file itself, or let it point inside the repository".to_owned(),
        },
    }
}
