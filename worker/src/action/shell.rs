//! The shell action on this machine: an order's credentials, its code, its commands, and what they told.

use super::checkout::listening;
use crate::{
    attempt::{deliver, stage::Stage},
    shell::{self, Bounds, Performed},
    source::{self, Logins, Means},
    supplies::Objects,
};
use credentials::{
    bundle,
    merge::{EngineFields, OrderEnvironment, merge},
};
use proto::{
    Secret,
    message::{AttemptOutcome, Failure, JobResult, ReportWhat},
    orders::{CodeSource, Location, OrderBundle, ShellSpec, order_num},
    subject,
    terraform::GitAuth,
};
use std::{collections::BTreeMap, fs::File, path::Path, time::Duration};

/// Longest `CMDS` variable, in bytes. The kernel takes no variable above 128 KiB; the commands themselves are files.
const MAX_CMDS_BYTES: usize = 96 * 1024;
/// How long telling the events of an order may hold up its result.
const TELL_WAIT: Duration = Duration::from_secs(5);

/// Does the work of one order.
pub(super) async fn perform(stage: &mut Stage, spec: &ShellSpec, bundle: OrderBundle) -> AttemptOutcome {
    match prepared(stage, spec, &bundle).await {
        Ok(environment) => run(stage, spec, &bundle, environment).await,
        Err(outcome) => outcome,
    }
}

/// Everything that comes before the commands; nothing outside is changed by it.
async fn prepared(stage: &mut Stage, spec: &ShellSpec, bundle: &OrderBundle) -> Result<OrderEnvironment, AttemptOutcome> {
    stage.phase("credentials").await;
    let environment = environment(stage, spec, bundle).await?;
    stage.phase("cloning").await;
    let logins = logins(stage, &bundle.source).await?;
    let crew = stage.crew.clone();
    let dest = stage.folder.path.join(CODE);
    let (to, code) = (&dest, &bundle.source);
    let fetched = listening(stage, |says| async move {
        let supplies = &crew.supplies;
        let objects = Objects { keeper: &supplies.keeper, max_bytes: supplies.limits.archive_bytes };
        let means = Means {
            git: &crew.git,
            known: &supplies.known,
            logins: &logins,
            allowed: &supplies.archive_hosts,
            local_folders: &supplies.archive_folders,
            store: supplies.has_store.then_some(&objects as &dyn source::store::ArchiveStore),
            limits: &supplies.limits,
        };
        source::prepare(code, &means, to, &mut |line| says(line)).await
    });
    fetched.await?.map_err(|error| {
        let mut failure = error.to_failure("cloning");
        failure.message = stage.masked(&failure.message);
        stage.narrate(&failure.message);
        AttemptOutcome::Failed { failure }
    })?;
    if let Some(recipient) = &bundle.sops_key {
        keep_bundle(stage, recipient, &environment, &dest).await?;
    }
    Ok(environment)
}

const CODE: &str = "code";

/// The environment of the order, credentials included; what is secret in it is masked from here on.
async fn environment(stage: &mut Stage, spec: &ShellSpec, bundle: &OrderBundle) -> Result<OrderEnvironment, AttemptOutcome> {
    let parameters = fetch(stage, &bundle.ssm_paths).await?;
    let secrets = fetch(stage, &bundle.secret_manager_paths).await?;
    let (run_id, num) = (spec.run.to_string(), order_num(spec.no));
    let engine = EngineFields {
        cmds: &bundle.cmds,
        callback_url: None,
        trace_id: &spec.trace_id,
        run_id: &run_id,
        order_name: &spec.name,
        order_num: &num,
        flow_id: &spec.flow_id,
    };
    let mut environment = merge(&bundle.env_vars, &parameters, &secrets, &engine);
    if environment.variables.get("CMDS").is_some_and(|cmds| cmds.expose().len() > MAX_CMDS_BYTES) {
        environment.variables.remove("CMDS");
        stage.narrate("⚠ the commands are too long for the variable CMDS: it is not set");
    }
    Ok(environment)
}

async fn fetch(stage: &mut Stage, locations: &[Location]) -> Result<Vec<BTreeMap<String, Secret>>, AttemptOutcome> {
    let keeper = stage.crew.supplies.keeper.clone();
    let mut all = Vec::with_capacity(locations.len());
    for location in locations {
        let found = stage.unless_stopped(keeper.fetch(location)).await?.map_err(|error| no_credential(stage, &error.to_string()))?;
        for value in found.values().filter(|value| !value.is_empty()) {
            learn(stage, value)?;
        }
        stage.narrate(&format!("Fetched {} from {location}", names(&found)));
        all.push(found);
    }
    Ok(all)
}

fn names(found: &BTreeMap<String, Secret>) -> String {
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// What lets us into the order's repository.
async fn logins(stage: &mut Stage, source: &CodeSource) -> Result<Logins, AttemptOutcome> {
    let CodeSource::Git(git) = source else { return Ok(Logins::default()) };
    let mut logins = Logins::default();
    if let Some(location) = &git.token {
        logins.token = Some(GitAuth::Token { token: token(stage, location).await? });
    }
    if let Some(location) = &git.ssh_key {
        let private_key = token(stage, location).await?;
        logins.ssh_key = Some(GitAuth::Ssh { username: None, private_key, known_hosts: known_hosts(stage)? });
    }
    Ok(logins)
}

async fn token(stage: &mut Stage, location: &Location) -> Result<Secret, AttemptOutcome> {
    let keeper = stage.crew.supplies.keeper.clone();
    let found = stage.unless_stopped(keeper.token(location)).await?.map_err(|error| no_credential(stage, &error.to_string()))?;
    learn(stage, &found)?;
    Ok(found)
}

fn known_hosts(stage: &mut Stage) -> Result<String, AttemptOutcome> {
    let Some(file) = stage.crew.supplies.known_hosts_file.clone() else {
        return Err(no_credential(stage, "an SSH key is given, but this worker has no host keys (worker.sources.known_hosts_file)"));
    };
    std::fs::read_to_string(&file).map_err(|error| no_credential(stage, &format!("the worker's file of host keys cannot be read: {error}")))
}

fn learn(stage: &mut Stage, secret: &Secret) -> Result<(), AttemptOutcome> {
    stage.learn_secret(secret.expose().to_owned()).map_err(|error| failed(stage, "worker_disk", &error.to_string(), ""))
}

fn no_credential(stage: &mut Stage, why: &str) -> AttemptOutcome {
    let outcome = failed(stage, "credentials", why, "check the location, and what the worker's operator allows (worker.credentials)");
    stage.narrate(&format!("Error: {}", stage.masked(why)));
    outcome
}

/// The execution bundle as the replaced engine made it, for whoever has the recipient's key: in the store of the pool.
async fn keep_bundle(stage: &Stage, recipient: &str, environment: &OrderEnvironment, code: &Path) -> Result<(), AttemptOutcome> {
    let (file, recipient, environment, code) =
        (stage.folder.path.join("exec.zip"), recipient.to_owned(), environment.clone(), code.to_owned());
    let path = file.clone();
    let written = tokio::task::spawn_blocking(move || {
        let out = File::create(&path).map_err(|error| error.to_string())?;
        bundle::write(out, &environment, &recipient, Some(&code)).map(|_| ()).map_err(|error| error.to_string())
    });
    let problem = |why: &str| failed(stage, "bundle", why, "check sops_key: it must be an age recipient (age1…)");
    stage.unless_stopped(written).await?.map_err(|error| problem(&error.to_string()))?.map_err(|why| problem(&why))?;
    let open = tokio::fs::File::open(&file).await.map_err(|error| problem(&error.to_string()))?;
    let object = subject::bundle_object(stage.folder.id);
    match stage.crew.artifacts().put(&object, open).await {
        Ok(_) => Ok(()),
        Err(error) => Err(AttemptOutcome::NotStarted { reason: format!("the execution bundle could not be stored: {error}") }),
    }
}

async fn run(stage: &mut Stage, spec: &ShellSpec, bundle: &OrderBundle, environment: OrderEnvironment) -> AttemptOutcome {
    stage.phase("run").await;
    let scratch = match stage.folder.room("scratch") {
        Ok(scratch) => scratch,
        Err(error) => return failed(stage, "worker_disk", &error.to_string(), ""),
    };
    let env: BTreeMap<String, String> = environment.variables.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
    let (cwd, crew) = (stage.folder.path.join(CODE), stage.crew.clone());
    let (bounds, traceparent) = (Bounds::of(&crew.settings.worker.limits), stage.traceparent.clone());
    let order = shell::Order {
        commands: &bundle.cmds,
        cwd: &cwd,
        scratch: &scratch,
        env: &env,
        pass_env: &crew.terraform.pass_env,
        search_path: &crew.terraform.search_path,
        traceparent: traceparent.as_deref(),
        time_limit: Duration::from_secs(u64::from(spec.timeout_s)),
        bounds: &bounds,
    };
    let Performed { outcome, events } = shell::perform(stage, &order).await;
    if !events.is_empty() {
        let told = deliver::tell(&stage.crew, stage.folder.id, ReportWhat::OrderEvents { events });
        if !matches!(tokio::time::timeout(TELL_WAIT, told).await, Ok(Ok(()))) {
            tracing::warn!(attempt = %stage.folder.id, "the events of an order were not told");
        }
        failpoint::failpoint!("worker.events.told");
    }
    outcome.of_attempt(JobResult::Order)
}

fn failed(stage: &Stage, kind: &str, message: &str, next_action: &str) -> AttemptOutcome {
    AttemptOutcome::Failed {
        failure: Failure {
            kind: kind.to_owned(),
            phase: stage.current_phase().to_owned(),
            message: stage.masked(message),
            next_action: next_action.to_owned(),
        },
    }
}
