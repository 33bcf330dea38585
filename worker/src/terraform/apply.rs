//! The apply job: exactly the plan that was approved, in a checkout of the same commit, by the same version of the tool.
//!
//! Everything that can be refused is refused before leave is asked for ([`Commands::start_effects`]); from then on the
//! question is only whether anybody can say what was done. Exit codes 0 and 1 say so (terraform saves its state before it
//! ends with either); a signal, any other code, or a state that could not be saved do not.

use super::backend::Backend;
use super::bundle::{self, Bundle, Origin};
use super::diagnosis::{self, Diagnosis};
use super::init::{self, LockFile};
use super::plan::place_lock_file;
use super::prepare::{storage, text};
use super::step::{Step, Unclear, by_signal};
use super::{
    Unfinished, Workplace,
    commands::{CommandError, Commands, Streamed},
    outputs, private_file,
};
use crate::tools::ResolvedTool;
use proto::message::Evidence;
use proto::terraform::{ApplyResult, PlanArtifact};
use serde::Deserialize;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

/// The state that the tool could not save where it belongs.
const ERRORED_STATE: &str = "errored.tfstate";
/// Longest state in a plan file that is looked at for its serial, in bytes.
const MAX_STATE: u64 = 256 * 1024 * 1024;
/// Longest output of `output -json`, in bytes.
const MAX_OUTPUTS: usize = 16 * 1024 * 1024;

/// What the tool says when it could not write down what it did.
const STATE_LOST: &[&str] = &[
    "Failed to save state",
    "Failed to persist state",
    "Error saving state",
    "Failed to write state",
    "Two interrupts received",
    "TERRAFORM CRASH",
    "OPENTOFU CRASH",
];
const LOCK_LEFT: &[&str] = &["Error releasing the state lock"];

/// Applies the plan in `bundle`, which the caller has opened and which is checked here once more against `artifact`.
///
/// # Errors
/// [`Unfinished::Failed`] with the kind `plan_stale` when anything is not as it was at the plan. [`Unfinished::Unclear`]
/// when the side effects began and nobody can say what they did.
pub async fn apply<C: Commands>(
    commands: &mut C,
    place: &Workplace<'_>,
    tool: &ResolvedTool,
    artifact: &PlanArtifact,
    bundle: &[u8],
) -> Result<ApplyResult, Unfinished> {
    let step = if place.order.spec.destroy { Step::Destroy } else { Step::Apply };
    let bundle = check(place, tool, artifact, bundle).map_err(|why| stale(step, &why))?;
    let file = place.private("plan");
    private_file::write(&file, bundle.plan).map_err(|error| storage(&error))?;
    if let Some(lock_file) = bundle.lock_file {
        place_lock_file(place.dir(), lock_file).map_err(|error| storage(&error))?;
    }
    let lock = if bundle.lock_file.is_some() { LockFile::Fixed } else { LockFile::MayChange };
    let backend = init::init(commands, place, tool, lock).await?;
    // A new workspace would be a change before leave was given; one in the checkout is nobody's.
    init::select_workspace(commands, place, tool, backend == Backend::Checkout).await?;
    let serial_before = serial(bundle.plan);
    commands.start_effects().await.map_err(|refused| Unfinished::NotStarted { reason: refused.reason })?;
    run(commands, place, tool, step, &file).await.map_err(|unfinished| with_serial(unfinished, serial_before))?;
    let outputs = read_outputs(commands, place, tool).await;
    commands.narrate("Deployment completed successfully!").await;
    Ok(ApplyResult { outputs, serial_before })
}

/// Whether this is the plan that was approved, and whether everything is as it was when it was made.
fn check<'a>(place: &Workplace<'_>, tool: &ResolvedTool, artifact: &PlanArtifact, bundle: &'a [u8]) -> Result<Bundle<'a>, String> {
    let bundle = bundle::unpack(bundle).map_err(|damaged| format!("the stored plan is damaged: {damaged}"))?;
    if bundle.plan_sha256 != artifact.plan_sha256 {
        return Err(format!(
            "the stored plan is not the approved one: its SHA-256 is {}, and {} was approved",
            bundle.plan_sha256, artifact.plan_sha256
        ));
    }
    let now = Origin::new(place.order.spec, place.order.commit, &tool.used);
    let approved = Origin::new(place.order.spec, &artifact.commit, &artifact.tool);
    match bundle.origin.difference(&now).or_else(|| approved.difference(&now)) {
        Some(difference) => Err(format!("the plan does not fit: {difference}")),
        None => Ok(bundle),
    }
}

fn stale(step: Step, why: &str) -> Unfinished {
    step.failed(Some("plan_stale"), why, "Nothing was changed. Start a new run: it makes a new plan.")
}

#[derive(Deserialize)]
struct State {
    serial: u64,
}

/// The serial of the state that the plan in a bundle was made for: the tool applies it to a state with no other one, so it
/// is the state's serial before the apply. Nothing when the plan file cannot be read (OpenTofu may encrypt it).
pub fn state_serial(bundle: &[u8]) -> Option<u64> {
    bundle::unpack(bundle).ok().and_then(|bundle| serial(bundle.plan))
}

fn serial(plan: &[u8]) -> Option<u64> {
    let mut archive = zip::ZipArchive::new(Cursor::new(plan)).ok()?;
    let mut state = Vec::new();
    archive.by_name("tfstate").ok()?.take(MAX_STATE).read_to_end(&mut state).ok()?;
    serde_json::from_slice::<State>(&state).ok().map(|state| state.serial)
}

async fn run<C: Commands>(commands: &mut C, place: &Workplace<'_>, tool: &ResolvedTool, step: Step, file: &Path) -> Result<(), Unfinished> {
    let name = tool.used.tool.as_str();
    let lock_timeout = format!("-lock-timeout={}s", place.order.setup.lock_timeout.as_secs());
    let args = vec!["apply".to_owned(), "-input=false".to_owned(), lock_timeout, text(file)?.to_owned()];
    let mut command = place.command(tool, args);
    command.effects = true;
    commands.phase(step.phase()).await;
    commands.narrate(&format!("Running {name} {}...", step.phase())).await;
    let ran = commands.stream(command).await;
    failpoint::failpoint!("worker.tool.ended");
    let errored_state = Some(place.dir().join(ERRORED_STATE)).filter(|path| std::fs::symlink_metadata(path).is_ok());
    match ran {
        Ok(ran) => judge(step, name, &ran, errored_state, |text| commands.mask(text)),
        Err(CommandError::Lost(why)) => {
            Err(unclear(format!("{name} was lost in the middle of its {}: {why}", step.phase()), None, errored_state))
        }
        Err(error @ (CommandError::NotStarted { .. } | CommandError::Stopped | CommandError::TooMuch { .. })) => Err(step.not_run(&error)),
    }
}

/// What an apply means that ended while nobody but its runner was there: the same as if it had been watched.
pub(crate) fn judge_unwatched(destroy: bool, tool: &str, ran: &Streamed, errored_state: Option<PathBuf>) -> Result<(), Unfinished> {
    let step = if destroy { Step::Destroy } else { Step::Apply };
    // What stands in the log was masked before it was written.
    judge(step, tool, ran, errored_state, str::to_owned)
}

/// What a finished command means.
fn judge(step: Step, name: &str, ran: &Streamed, errored_state: Option<PathBuf>, mask: impl Fn(&str) -> String) -> Result<(), Unfinished> {
    let found = diagnosis::read(&ran.tail, mask);
    let phase = step.phase();
    let lost = errored_state.is_some() || (ran.exit.code != Some(0) && found.speaks_of(STATE_LOST));
    if lost {
        return Err(unclear(
            format!("{name} could not save its state at the end of its {phase}: {}", found.text),
            Some(&found),
            errored_state,
        ));
    }
    match (ran.exit.code, ran.exit.signal) {
        // Done is done, even if somebody wanted it stopped in the meantime.
        (Some(0), _) => Ok(()),
        (Some(1), _) if ran.exit.interrupted => Err(Unfinished::Stopped { clean: !found.speaks_of(LOCK_LEFT) }),
        (Some(1), _) => Err(Unfinished::Failed(found.failure(step, name, 1))),
        (Some(code), _) => Err(unclear(
            format!("{name} ended its {phase} with the exit code {code}, as it does when it crashes: {}", found.text),
            Some(&found),
            None,
        )),
        (None, signal) => Err(unclear(format!("{name} was killed{} in the middle of its {phase}", by_signal(signal)), Some(&found), None)),
    }
}

fn unclear(seen: String, found: Option<&Diagnosis>, errored_state: Option<PathBuf>) -> Unfinished {
    let state_lock = found.and_then(Diagnosis::lock_id);
    let mut check = vec!["Compare what is really there with the state: which resources of the plan exist?".to_owned()];
    if errored_state.is_some() {
        check.push("The state that could not be saved was kept: `state push` it before anything else runs.".to_owned());
    }
    check.push(match &state_lock {
        Some(id) => format!("The state may still be locked. When nothing works on it any more: `force-unlock {id}`."),
        None => "The state may still be locked: the next command will name the lock's id.".to_owned(),
    });
    check.push("Do not apply the same plan again: what was done would be done twice.".to_owned());
    let evidence = Evidence { seen, serial_before: None, state_lock, errored_state: None, check };
    Unfinished::Unclear(Box::new(Unclear { evidence, errored_state }))
}

fn with_serial(unfinished: Unfinished, serial_before: Option<u64>) -> Unfinished {
    match unfinished {
        Unfinished::Unclear(mut unclear) => {
            unclear.evidence.serial_before = serial_before;
            if let Some(serial) = serial_before {
                unclear
                    .evidence
                    .check
                    .insert(0, format!("The state's serial was {serial} before: a higher one now says that a part was saved."));
            }
            Unfinished::Unclear(unclear)
        }
        Unfinished::Failed(_) | Unfinished::Stopped { .. } | Unfinished::NotStarted { .. } => unfinished,
    }
}

/// The outputs, fit to be shown. What was done is done: a failure here changes nothing.
async fn read_outputs<C: Commands>(commands: &mut C, place: &Workplace<'_>, tool: &ResolvedTool) -> String {
    commands.narrate("Retrieving outputs...").await;
    let args = vec!["output".to_owned(), "-json".to_owned()];
    let captured = commands.capture(place.command(tool, args), MAX_OUTPUTS).await;
    let why = match captured {
        Ok(captured) if captured.exit.code == Some(0) => match outputs::masked(&captured.stdout, &|text| commands.mask(text)) {
            Ok(Some(outputs)) => return outputs,
            Ok(None) => {
                commands.narrate("No outputs available").await;
                return String::new();
            }
            Err(error) => format!("line {}, column {} cannot be read", error.line(), error.column()),
        },
        Ok(captured) => format!("the command ended with {:?}", captured.exit.code),
        Err(error) => error.to_string(),
    };
    commands.narrate(&format!("The outputs could not be read: {why}")).await;
    String::new()
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
