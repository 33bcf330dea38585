//! The worker: one job, one tool, an honest report. It is the only holder of cloud credentials, and holds each only
//! while the attempt that it came for runs.
//!
//! - `crew` is a worker process, `slot` is one attempt at a time, `attempt` is an attempt's life, `action` is what it does;
//! - [`git`], [`tools`], [`terraform`], [`shell`], [`sync`] know their programs; [`runner`] is the child process between worker and tool;
//! - [`mask`], [`attempt_log`] and [`confine`] keep secrets out of logs and jobs inside their folder.
//!
//! What may run, and when, is not decided here: an attempt starts only with a permit.

mod action;
mod attempt;
pub mod attempt_log;
pub mod confine;
mod crew;
mod file_lock;
pub mod git;
mod heartbeat;
pub mod mask;
pub mod runner;
pub mod shell;
mod slot;
pub mod source;
mod stop;
mod supplies;
pub mod sync;
pub mod terraform;
pub mod tools;

pub use supplies::keeper;

use bus::{Bus, BusError};
use crew::Crew;
use proto::{WorkerId, git::BadGit, ids::BadId};
use runner::RunnerExe;
use service::{
    metrics::Metrics,
    ops::Readiness,
    settings::Settings,
    shutdown::{Reason, Tasks},
};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Deps {
    pub bus: Bus,
    pub settings: Arc<Settings>,
    pub metrics: Metrics,
    /// Of the process; the worker adds its probes.
    pub readiness: Readiness,
    pub tasks: Tasks,
    /// Kept over a restart together with `work_dir`, so that what the former process left can be delivered.
    pub name: WorkerId,
    /// Folder of this worker alone.
    pub work_dir: PathBuf,
    /// How a runner is started.
    pub runner: RunnerExe,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the message layer refused")]
    Bus(#[from] BusError),
    #[error("worker.pool")]
    Name(#[source] BadId),
    #[error("git.allowed_hosts")]
    AllowedHosts(#[source] BadGit),
    #[error("the worker's folder {} cannot be used", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{key} is no address")]
    Address { key: &'static str, source: url::ParseError },
    #[error("worker.credentials.vault_url needs a way to log in: vault_token_file, or vault_role_id with vault_secret_id_file")]
    VaultLogin,
    #[error("worker.credentials")]
    Credentials(#[source] credentials::BadAccess),
    #[error("worker.registry_host")]
    Registry(#[source] terraform::BadRegistry),
    #[error("the git cache cannot be opened")]
    GitCache(#[source] git::GitError),
}

/// Works until told to drain, then finishes what runs. Told to hurry, it interrupts what runs and reports that.
pub async fn run(deps: Deps) -> Result<(), WorkerError> {
    let crew = Arc::new(Crew::new(&deps)?);
    let found = attempt::recover::take_up(&crew).map_err(|source| WorkerError::Folder { path: deps.work_dir.clone(), source })?;
    crew.note_tools().await;
    crew.bus.fleet().beat(&crew.heartbeat()).await?;
    tracing::info!(worker = %crew.seat.worker, pool = %crew.seat.pool, slots = crew.slots, taken_up = found, "working");

    let shutdown = deps.tasks.shutdown();
    let (drain, over) = (shutdown.drain_token(), CancellationToken::new());
    deps.tasks.spawn("git cache eviction", evict(crew.clone(), over.clone()));
    deps.tasks.spawn("worker heartbeat", heartbeat::beat(crew.clone(), over.clone()));
    deps.tasks.spawn_vital("worker signals", heartbeat::listen(crew.clone(), over.clone()));
    deps.tasks.spawn("token for Vault", keep_token(crew.clone(), over.clone()));
    add_probes(&deps.readiness, &crew);
    crew.metrics.add_slots(crew.slots);
    let slots: Vec<_> = (0..crew.slots).map(|_| deps.tasks.spawn_vital("worker slot", slot::work(crew.clone(), drain.clone()))).collect();

    let hurry = shutdown.hurry_token();
    let finish = async {
        for slot in slots {
            // A slot that panicked has been reported; the others are still waited for.
            let _ = slot.await;
        }
    };
    tokio::pin!(finish);
    let denied = drain_when_refused(&crew);
    tokio::pin!(denied);
    let mut refused = None;
    loop {
        tokio::select! {
            () = &mut finish => break,
            error = &mut denied, if refused.is_none() => refused = Some(error),
            () = hurry.cancelled() => {
                crew.stop_all();
                finish.await;
                break;
            }
        }
    }
    over.cancel();
    if let Err(error) = crew.bus.fleet().leave(&crew.seat).await {
        tracing::debug!(%error, "the fleet was not told; the record ends by itself");
    }
    refused.map_or(Ok(()), |error| Err(error.into()))
}

/// A worker that lacks a permission takes nothing new: what it did could not be reported. What runs is finished; its report
/// and log stay on disk if they cannot be delivered.
async fn drain_when_refused(crew: &Crew) -> BusError {
    let error = crew.bus.refused().await;
    crew.tasks.shutdown().begin(Reason::Failed(error.to_string()));
    error
}

/// Whether the secrets can be had that syncs and orders need: by reading the file, and by asking Vault about the token. That they
/// are there says nothing.
fn add_probes(readiness: &Readiness, crew: &Arc<Crew>) {
    if let Some(file) = crew.settings.worker.sync.secrets_file.clone() {
        readiness.add_of_role("secrets_file", move || {
            let file = file.clone();
            async move {
                let read = tokio::task::spawn_blocking(move || sync::secrets_file::read(&file).map(drop)).await;
                read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
        });
    }
    if crew.supplies.keeper.has_vault() {
        let keeper = crew.supplies.keeper.clone();
        readiness.add_of_role("vault_secrets", move || {
            let keeper = keeper.clone();
            async move { keeper.check_vault().await.map_err(|cause| cause.to_string()) }
        });
    }
}

async fn keep_token(crew: Arc<Crew>, over: CancellationToken) {
    tokio::select! {
        () = over.cancelled() => {}
        () = crew.supplies.keeper.keep_alive() => {}
    }
}

/// How often the git cache is held to its size.
const EVICT_EVERY: Duration = Duration::from_mins(10);

async fn evict(crew: Arc<Crew>, over: CancellationToken) {
    let max_bytes = crew.settings.git.cache_max_bytes;
    let mut every = tokio::time::interval(EVICT_EVERY);
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            _ = every.tick() => {}
        }
        match crew.git.evict(max_bytes).await {
            Ok(evicted) if evicted.repositories > 0 => tracing::info!(?evicted, "the git cache was trimmed"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the git cache could not be trimmed"),
        }
    }
}
