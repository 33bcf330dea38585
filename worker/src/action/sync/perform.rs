//! One attempt to bring one service up to date: what it knows, the commit's files, whether anything is to be done, and then
//! its executor.

use super::{
    super::checkout::{clone_failed, files_of, listening},
    native,
};
use crate::{
    attempt::stage::{Stage, StageError},
    git::{GitError, Source},
    shell::{Bounds, End},
    sync::{PHASE, command, environment::Variables, guard, secrets_file},
};
use credentials::Cause;
use proto::{
    Secret, Timestamp,
    message::{AttemptOutcome, Failure, JobResult},
    orders::Location,
    sync::{Executor, ServiceState, ServiceSync, SyncResult},
    terraform::GitAuth,
};
use services::placeholder::{Place, Values, fill};
use std::{collections::BTreeMap, path::PathBuf};

/// Does the work of one sync.
pub(crate) async fn perform(stage: &mut Stage, sync: &ServiceSync, last: Option<&ServiceState>, auth: Option<&GitAuth>) -> AttemptOutcome {
    let (variables, checkout) = match prepared(stage, sync, last, auth).await {
        Ok(ready) => ready,
        Err(outcome) => return outcome,
    };
    stage.phase(PHASE).await;
    match &sync.service.executor {
        Executor::Command => by_command(stage, sync, &variables, checkout).await,
        Executor::Compose(target) => native::by_compose(stage, sync, target, &variables, &checkout).await,
        Executor::Dokploy(target) => native::by_dokploy(stage, sync, target, &variables, &checkout).await,
    }
}

/// Everything that comes before the executor; nothing outside is changed by it.
async fn prepared(
    stage: &mut Stage,
    sync: &ServiceSync,
    last: Option<&ServiceState>,
    auth: Option<&GitAuth>,
) -> Result<(Variables, PathBuf), AttemptOutcome> {
    if let Some(skipped) = guard::out_of_place(sync) {
        return Err(done(stage, skipped));
    }
    guard::not_paused(sync, last, Timestamp::now()).map_err(|failure| failed(stage, failure))?;
    guard::tag_stands(sync, last).map_err(|failure| failed(stage, failure))?;
    let variables = variables(stage, sync).await?;
    guard::requirements(sync, &variables).map_err(|failure| failed(stage, failure))?;
    stage.phase("cloning").await;
    let source = Source { url: &sync.git_url, auth };
    not_behind(stage, sync, last, source).await?;
    let checkout = files_of(stage, source, &sync.git_ref, &sync.commit).await?;
    for submodule in &checkout.submodules {
        stage.narrate(&format!("⚠ {submodule} is a submodule; submodules are not fetched"));
    }
    Ok((variables, checkout.root))
}

/// What syncs know on this worker. Every secret is masked from here on.
async fn variables(stage: &mut Stage, sync: &ServiceSync) -> Result<Variables, AttemptOutcome> {
    let crew = stage.crew.clone();
    let settings = &crew.settings.worker.sync;
    let mut secrets = match &settings.secrets_file {
        None => BTreeMap::new(),
        Some(file) => secrets_file::read(file).map_err(|error| {
            let failure = Failure {
                kind: "secrets_file".to_owned(),
                phase: String::new(),
                message: format!("the worker's secrets file {} is not used: {error}; nothing was touched", file.display()),
                next_action: "See to it that its agent runs and may read the secrets; then run the sync again.".to_owned(),
            };
            failed(stage, failure)
        })?,
    };
    for path in &settings.vault_paths {
        secrets.extend(of_vault(stage, sync, path).await?);
    }
    let named = secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    stage.learn_secrets(named).map_err(|error| {
        let failure = Failure {
            kind: "secrets_file".to_owned(),
            phase: String::new(),
            message: format!("the secrets of the services cannot be masked: {error}; nothing was touched"),
            next_action: "Keep fewer or shorter values in the worker's secrets file.".to_owned(),
        };
        failed(stage, failure)
    })?;
    let own = settings.pass_env.iter().filter_map(|name| Some((name.clone(), std::env::var_os(name)?.into_string().ok()?)));
    Ok(Variables::new(crew.terraform.pass_env.iter().cloned().chain(own), secrets, settings))
}

/// The entries of one of the secrets in Vault that syncs get.
async fn of_vault(stage: &mut Stage, sync: &ServiceSync, path: &str) -> Result<BTreeMap<String, Secret>, AttemptOutcome> {
    let failure = |kind: &str, why: String| Failure {
        kind: kind.to_owned(),
        phase: String::new(),
        message: format!("the secret {path} of worker.sync.vault_paths is not used: {why}; nothing was touched"),
        next_action: "Store it, or let the policy of the worker's token read it; then run the sync again.".to_owned(),
    };
    let values = Values {
        environment: &sync.environment,
        service: &sync.service.service,
        task: &sync.service.task,
        reference: sync.commit.as_str(),
        domain: None,
    };
    let location = fill(path, Place::Value, &values).map_err(|error| error.to_string());
    let location = location.and_then(|path| format!("vault:::kv2:{path}").parse::<Location>().map_err(|error| error.to_string()));
    let location = location.map_err(|why| failed(stage, failure("vault_secret_missing", why)))?;
    let crew = stage.crew.clone();
    let found = stage.unless_stopped(crew.supplies.keeper.fetch(&location)).await?;
    found.map_err(|error| {
        let kind = match &error.cause {
            Cause::Denied(_) => "vault_permission_denied",
            Cause::NotFound(_) | Cause::Unreachable(_) | Cause::Malformed(_) => "vault_secret_missing",
        };
        failed(stage, failure(kind, error.to_string()))
    })
}

/// Ends the attempt if the service has a newer commit of the branch already. Where that cannot be told it goes on: that a
/// branch was rewritten is no reason to deploy nothing any more.
async fn not_behind(stage: &mut Stage, sync: &ServiceSync, last: Option<&ServiceState>, source: Source<'_>) -> Result<(), AttemptOutcome> {
    let Some(deployed) = guard::deployed_already(sync, last) else { return Ok(()) };
    let cache = stage.crew.git.clone();
    let git = &cache;
    let asked = listening(stage, |says| async move {
        let tip = git.resolve(source, &sync.git_ref, &mut |line| says(line)).await?.commit;
        let history = git.history(source, deployed, Some(&sync.git_ref), &mut |line| says(line)).await?;
        // A branch that was put back is followed back: what is deployed is ahead only while it is on the branch.
        let on_branch = history.is_ancestor(deployed, &tip).await? == Some(true);
        Ok::<_, GitError>(on_branch && history.is_ancestor(&sync.commit, deployed).await? == Some(true))
    });
    match asked.await? {
        Ok(true) => Err(done(stage, guard::is_ahead(sync, deployed))),
        Ok(false) => Ok(()),
        // Whether the service would be put back is not known, and may be known in a moment.
        Err(error) if error.is_transient() => Err(clone_failed(stage, &error)),
        Err(error) => {
            stage.narrate(&format!("Whether {deployed}, which is deployed, comes after {} cannot be told: {error}", sync.commit));
            Ok(())
        }
    }
}

async fn by_command(stage: &mut Stage, sync: &ServiceSync, variables: &Variables, checkout: PathBuf) -> AttemptOutcome {
    let scratch = match stage.folder.room("scratch") {
        Ok(scratch) => scratch,
        Err(error) => return AttemptOutcome::NotStarted { reason: format!("the worker cannot use its folder: {error}") },
    };
    let crew = stage.crew.clone();
    let (bounds, traceparent) = (Bounds::of(&crew.settings.worker.limits), stage.traceparent.clone());
    let order = command::Order {
        sync,
        checkout: &checkout,
        scratch: &scratch,
        variables,
        search_path: &crew.terraform.search_path,
        traceparent: traceparent.as_deref(),
        bounds: &bounds,
    };
    let spec = match command::prepare(&order, &stage.folder.log()) {
        Ok(spec) => spec,
        Err(failure) => return failed(stage, failure),
    };
    let words: Vec<String> = spec.args.iter().map(|argument| format!("{argument:?}")).collect();
    stage.narrate(&format!("Syncing {} in {}: {} {}", sync.service.service, sync.environment, spec.program.display(), words.join(" ")));
    if let Some(stopped) = stage.stop_outcome() {
        return stopped;
    }
    // From here on it is never begun again by itself.
    if let Err(reason) = stage.start_effects().await {
        return AttemptOutcome::NotStarted { reason };
    }
    let before = stage.log_len();
    let ended = stage.run_order(spec).await;
    failpoint::failpoint!("worker.sync.ended");
    let outcome = match ended {
        Ok(exit) => match stage.tail(before) {
            Ok(tail) => command::judge(&End::from(&exit), &scratch, &command::end_of(&tail), &|text| stage.masked(text)),
            Err(error) => command::unclear(&format!("the command has ended, but its log cannot be read: {error}")),
        },
        Err(StageError::Lost(error)) => command::unclear(&format!("the command was lost in the middle: {error}")),
        Err(error @ (StageError::NotStarted(_) | StageError::Runner(_) | StageError::Folder(_))) => {
            command::not_started(&stage.masked(&error.to_string()))
        }
    };
    told(stage, outcome)
}

fn done(stage: &mut Stage, result: SyncResult) -> AttemptOutcome {
    told(stage, AttemptOutcome::Succeeded { result: JobResult::Sync(result) })
}

/// Says in the log what came of it.
pub(super) fn told(stage: &mut Stage, outcome: AttemptOutcome) -> AttemptOutcome {
    match &outcome {
        AttemptOutcome::Succeeded { result: JobResult::Sync(result) } => {
            stage.narrate(&format!("{}: {}", result.action.as_str(), result.details));
        }
        AttemptOutcome::Failed { failure } => stage.narrate(&format!("Error: {}", failure.message)),
        AttemptOutcome::Unclear { evidence } => stage.narrate(&format!("Error: {}", evidence.seen)),
        AttemptOutcome::Succeeded { .. } | AttemptOutcome::NotStarted { .. } | AttemptOutcome::Stopped { .. } => {}
    }
    outcome
}

pub(super) fn failed(stage: &mut Stage, failure: Failure) -> AttemptOutcome {
    let phase = stage.current_phase().to_owned();
    let message = stage.masked(&failure.message);
    told(stage, AttemptOutcome::Failed { failure: Failure { phase, message, ..failure } })
}
