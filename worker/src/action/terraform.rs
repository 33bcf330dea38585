//! The terraform action on this machine: checkout, tool, steps, and where a plan waits between its two jobs.

use super::checkout::checkout;
use crate::{
    attempt::stage::Stage,
    terraform::{self, Order, Unclear, Unfinished, Workplace},
    tools::{ResolvedTool, ToolError},
};
use bus::{BlobKey, BusError};
use proto::{
    git::CommitId,
    message::{AttemptOutcome, Evidence, Failure, JobResult},
    subject,
    terraform::{PlanArtifact, PlanResult, SecretBundle, TerraformSpec},
};
use std::{io, path::Path};
use tokio::io::AsyncReadExt as _;

/// Largest sealed plan that is read back, in bytes.
const MAX_PLAN_BYTES: u64 = 512 * 1024 * 1024;

/// Clones, plans, and leaves the plan sealed in the store.
pub(super) async fn plan(stage: &mut Stage, spec: &TerraformSpec, commit: Option<CommitId>, secrets: SecretBundle) -> AttemptOutcome {
    let made = async {
        let (commit, root) = checkout(stage, spec, secrets.git_auth.as_ref(), commit).await?;
        // The clone is done: what goes wrong from here on, a tool that is not there included, is not the clone's fault.
        stage.phase("init").await;
        let scratch = stage.folder.room("scratch").map_err(|error| disk(stage, &error))?;
        let setup = stage.crew.terraform.clone();
        let traceparent = stage.traceparent.clone();
        let order = Order {
            setup: &setup,
            spec,
            secrets: Some(&secrets),
            commit: &commit,
            checkout: &root,
            scratch: &scratch,
            traceparent: traceparent.as_deref(),
        };
        let place = prepare(stage, order).await?;
        let tool = tool(stage, spec, &place).await?;
        let planned = terraform::plan(stage, &place, &tool).await.map_err(|unfinished| outcome_of(stage, unfinished))?;
        let object = subject::plan_object(stage.folder.id);
        failpoint::failpoint!("worker.plan.made");
        let bytes = store(stage, &secrets, &object, &planned.bundle).await?;
        failpoint::failpoint!("worker.plan.stored");
        let artifact = PlanArtifact { object, plan_sha256: planned.plan_sha256, bytes, commit, tool: planned.tool };
        Ok(JobResult::Plan(Box::new(PlanResult { artifact, summary: planned.summary })))
    };
    made.await.map_or_else(|outcome: AttemptOutcome| outcome, |result| AttemptOutcome::Succeeded { result })
}

/// Applies exactly the plan that waits in the store.
pub(super) async fn apply(stage: &mut Stage, spec: &TerraformSpec, artifact: &PlanArtifact, secrets: SecretBundle) -> AttemptOutcome {
    stage.only_phase(if spec.destroy { "destroy" } else { "apply" }).await;
    let applied = async {
        let bundle = fetch(stage, &secrets, artifact).await?;
        stage.note_serial(terraform::state_serial(&bundle));
        let (commit, root) = checkout(stage, spec, secrets.git_auth.as_ref(), Some(artifact.commit.clone())).await?;
        let scratch = stage.folder.room("scratch").map_err(|error| disk(stage, &error))?;
        let setup = stage.crew.terraform.clone();
        let traceparent = stage.traceparent.clone();
        let order = Order {
            setup: &setup,
            spec,
            secrets: Some(&secrets),
            commit: &commit,
            checkout: &root,
            scratch: &scratch,
            traceparent: traceparent.as_deref(),
        };
        let place = prepare(stage, order).await?;
        let tools = stage.crew.tools.clone();
        let tool = stage.unless_stopped(tools.same_as(&artifact.tool)).await?.map_err(|error| tool_failed(stage, &error))?;
        match terraform::apply(stage, &place, &tool, artifact, &bundle).await {
            Ok(applied) => Ok(JobResult::Apply(applied)),
            Err(Unfinished::Unclear(unclear)) => Err(keep_state(stage, &secrets, *unclear).await),
            Err(unfinished) => Err(outcome_of(stage, unfinished)),
        }
    };
    applied.await.map_or_else(|outcome: AttemptOutcome| outcome, |result| AttemptOutcome::Succeeded { result })
}

async fn prepare<'a>(stage: &mut Stage, order: Order<'a>) -> Result<Workplace<'a>, AttemptOutcome> {
    let place = terraform::prepare(stage, order).await.map_err(|unfinished| outcome_of(stage, unfinished))?;
    // Secrets that came up on the way are masked before the first command can print them.
    for secret in place.secrets() {
        stage.learn_secret(secret.expose().to_owned()).map_err(|error| disk(stage, &error))?;
    }
    Ok(place)
}

async fn tool(stage: &Stage, spec: &TerraformSpec, place: &Workplace<'_>) -> Result<ResolvedTool, AttemptOutcome> {
    let tools = stage.crew.tools.clone();
    let resolving = tools.resolve(spec.tool, spec.tool_version.as_deref(), place.root(), place.dir());
    stage.unless_stopped(resolving).await?.map_err(|error| tool_failed(stage, &error))
}

fn tool_failed(stage: &Stage, error: &ToolError) -> AttemptOutcome {
    AttemptOutcome::Failed { failure: error.to_failure(stage.current_phase()) }
}

/// Seals what belongs to a run's plan and puts it into the store. The digest that the approval is bound to is of what was
/// sealed, so a half-written object can never be applied.
async fn store(stage: &Stage, secrets: &SecretBundle, object: &str, plain: &[u8]) -> Result<u64, AttemptOutcome> {
    let sealed = BlobKey::from_hex(&secrets.run_key).and_then(|key| key.seal(&context(stage), plain));
    let sealed = sealed.map_err(|error| stage_failed(stage, "plan_store", &format!("the plan could not be sealed: {error}")))?;
    let bytes = sealed.len() as u64;
    match stage.crew.artifacts().put(object, io::Cursor::new(sealed)).await {
        Ok(_) => Ok(bytes),
        // Nothing was changed by a plan: it can be made again.
        Err(error) => Err(AttemptOutcome::NotStarted { reason: format!("the plan could not be stored: {error}") }),
    }
}

async fn fetch(stage: &Stage, secrets: &SecretBundle, artifact: &PlanArtifact) -> Result<Vec<u8>, AttemptOutcome> {
    let stale = |why: String| stage_failed(stage, "plan_stale", &format!("{why}; nothing was changed"));
    let sealed = match read(stage, artifact).await {
        Ok(sealed) => sealed,
        Err(ReadError::Bus(BusError::NotFound { .. })) => return Err(stale("the plan is no longer in the store".to_owned())),
        Err(ReadError::Bus(error)) if error.retryable() => {
            return Err(AttemptOutcome::NotStarted { reason: format!("the plan could not be read: {error}") });
        }
        Err(error) => return Err(stale(format!("the plan cannot be read: {error}"))),
    };
    let key = BlobKey::from_hex(&secrets.run_key).map_err(|error| stale(format!("the run's key cannot be used: {error}")))?;
    key.open(&context(stage), &sealed).map_err(|error| stale(format!("the stored plan cannot be opened: {error}")))
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

async fn read(stage: &Stage, artifact: &PlanArtifact) -> Result<Vec<u8>, ReadError> {
    let mut sealed = Vec::new();
    stage.crew.artifacts().get(&artifact.object).await?.take(MAX_PLAN_BYTES).read_to_end(&mut sealed).await?;
    Ok(sealed)
}

/// What a sealed blob of this run is bound to.
fn context(stage: &Stage) -> String {
    stage.folder.id.run.to_string()
}

/// A state that terraform could not save must not be lost with the folder: sealed into the store, or the folder stays.
async fn keep_state(stage: &mut Stage, secrets: &SecretBundle, unclear: Unclear) -> AttemptOutcome {
    let mut evidence = unclear.evidence;
    if let Some(path) = unclear.errored_state {
        failpoint::failpoint!("worker.state.found");
        match upload_state(stage, secrets, &path).await {
            Ok(object) => {
                failpoint::failpoint!("worker.state.stored");
                stage.narrate("terraform could not save its state; Navvy has stored it, sealed. See `navvy run` for where.");
                evidence.errored_state = Some(object);
                // Stored: this copy is no longer the only one.
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => {
                tracing::error!(attempt = %stage.folder.id, %error, "a state that could not be saved was not stored either; it stays on this worker");
                evidence.check.push(format!(
                    "the state file errored.tfstate in the folder kept/{} of worker {}",
                    stage.folder.id, stage.crew.seat.worker
                ));
            }
        }
    }
    AttemptOutcome::Unclear { evidence }
}

async fn upload_state(stage: &Stage, secrets: &SecretBundle, path: &Path) -> Result<String, String> {
    let plain = std::fs::read(path).map_err(|error| error.to_string())?;
    let key = BlobKey::from_hex(&secrets.run_key).map_err(|error| error.to_string())?;
    let sealed = key.seal(&context(stage), &plain).map_err(|error| error.to_string())?;
    let object = subject::errored_state_object(stage.folder.id);
    stage.crew.artifacts().put(&object, io::Cursor::new(sealed)).await.map_err(|error| error.to_string())?;
    Ok(object)
}

fn outcome_of(stage: &Stage, unfinished: Unfinished) -> AttemptOutcome {
    match unfinished {
        Unfinished::Failed(mut failure) => {
            failure.message = stage.masked(&failure.message);
            AttemptOutcome::Failed { failure }
        }
        Unfinished::Stopped { clean } => AttemptOutcome::Stopped { clean, timed_out: stage.left().is_zero() },
        Unfinished::NotStarted { reason } => AttemptOutcome::NotStarted { reason },
        Unfinished::Unclear(unclear) => AttemptOutcome::Unclear { evidence: masked(stage, unclear.evidence) },
    }
}

fn masked(stage: &Stage, mut evidence: Evidence) -> Evidence {
    evidence.seen = stage.masked(&evidence.seen);
    evidence
}

fn stage_failed(stage: &Stage, kind: &str, message: &str) -> AttemptOutcome {
    AttemptOutcome::Failed {
        failure: Failure {
            kind: kind.to_owned(),
            phase: stage.current_phase().to_owned(),
            message: stage.masked(message),
            next_action: "submit the request again".to_owned(),
        },
    }
}

fn disk(stage: &Stage, error: &io::Error) -> AttemptOutcome {
    stage_failed(stage, "worker_disk", &format!("the worker cannot use its folder: {error}"))
}
