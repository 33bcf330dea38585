//! The one place that knows how the crates `gateway`, `scheduler` and `worker` want to be started.

use std::path::PathBuf;
use std::sync::Arc;

use bus::{Bus, KeyPair};
use proto::{Seat, WorkerId};
use service::secret_file;
use service::settings::Settings;

use super::door::Door;
use super::nats::role_failed;
use super::process::{Process, Stage};
use super::vault::Vault;
use crate::exit::Exit;
use crate::problem::CliError;

/// Where a worker lives: its name and its folder belong together over restarts.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: WorkerId,
    pub(crate) work_dir: PathBuf,
}

/// Runs a gateway in this stage.
pub(crate) fn gateway(stage: &mut Stage, process: &Process, bus: Bus, door: Door, vault: Option<Vault>) {
    let drain = stage.tasks.shutdown().drain_token();
    if let Some(vault) = vault.clone() {
        let over = drain.clone();
        stage.tasks.spawn("token of Vault", async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = vault.keep_alive() => {}
            }
        });
    }
    let deps = gateway::GatewayDeps {
        bus,
        settings: process.settings.clone(),
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        tasks: stage.tasks.clone(),
        secret_store: vault.map(|vault| Arc::new(vault) as Arc<dyn gateway::SecretStore>),
    };
    stage.run("gateway", gateway::run(deps, door.listener, drain));
}

/// Runs a scheduler in this stage.
pub(crate) fn scheduler(stage: &mut Stage, process: &Process, bus: Bus, sealing: KeyPair) {
    let deps = scheduler::Deps {
        bus,
        settings: process.settings.clone(),
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        sealing: Arc::new(sealing),
        tasks: stage.tasks.clone(),
    };
    stage.run("scheduler", scheduler::run(deps));
}

/// Runs a worker in this stage.
pub(crate) fn worker(stage: &mut Stage, process: &Process, bus: Bus, place: Place) {
    let name = format!("worker {}", place.name);
    let deps = worker::Deps {
        bus,
        settings: process.settings.clone(),
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        tasks: stage.tasks.clone(),
        name: place.name,
        work_dir: place.work_dir,
        runner: worker::runner::RunnerExe::this_binary(),
    };
    stage.run(&name, worker::run(deps));
}

/// The key that gateways seal secrets to: `scheduler.sealing_key`, else the generated one in the data folder.
pub(crate) fn sealing_key(settings: &Settings) -> Result<KeyPair, CliError> {
    let text = match &settings.scheduler.sealing_key {
        Some(key) => key.clone(),
        None => secret_file::read_or_create(&settings.sealing_key_path(), 32)
            .map_err(role_failed("cannot use the sealing key", "see the cause"))?,
    };
    KeyPair::from_hex(text.expose()).map_err(role_failed(
        "scheduler.sealing_key is no key",
        "it takes 64 hexadecimal digits, the same for every scheduler; leave it out to have one generated",
    ))
}

/// The worker's name: `worker.name`, else the host name with a part that was drawn once and is kept in the data folder,
/// so that the name survives a restart.
pub(crate) fn worker_name(settings: &Settings) -> Result<WorkerId, CliError> {
    let refused = |text: &str| CliError::Role {
        what: format!("`{}` cannot be a worker's name", text.escape_debug()),
        next: "set --name (worker.name): 1 to 64 of a-z, 0-9, - and _, starting with a letter or digit".into(),
        exit: Exit::Configuration,
        source: None,
    };
    if let Some(name) = &settings.worker.name {
        return name.parse().map_err(|_| refused(name));
    }
    let drawn = secret_file::read_or_create(&settings.data_dir.join("worker-suffix"), 4)
        .map_err(role_failed("cannot keep a name for this worker", "see the cause, or set --name"))?;
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let name = format!("{}-{}", tidy(&host), drawn.expose());
    name.parse().map_err(|_| refused(&name))
}

/// Where a worker of this name sits: the pool is `worker.pool`.
pub(crate) fn seat(settings: &Settings, worker: WorkerId) -> Result<Seat, CliError> {
    let pool = settings.worker.pool.parse().map_err(role_failed("worker.pool is no name", "see the cause"))?;
    Ok(Seat { pool, worker })
}

/// A host name as the beginning of a worker's name.
fn tidy(host: &str) -> String {
    let first = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let kept: String = first.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').take(40).collect();
    let kept = kept.trim_matches('-');
    if kept.is_empty() { "worker".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &std::path::Path) -> Settings {
        Settings { data_dir: dir.to_owned(), ..Settings::default() }
    }

    #[test]
    fn generated_names_and_keys_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        assert_eq!(worker_name(&settings).unwrap(), worker_name(&settings).unwrap());
        assert_eq!(sealing_key(&settings).unwrap().key_id(), sealing_key(&settings).unwrap().key_id());
    }

    #[test]
    fn any_host_name_becomes_the_beginning_of_a_name() {
        for (host, expected) in [("Web-1.example.com", "web-1"), ("", "worker"), ("--", "worker"), ("ü", "worker"), ("a_b", "ab")] {
            assert_eq!(tidy(host), expected, "{host}");
        }
    }
}
