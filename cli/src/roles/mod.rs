//! The roles: `navvy gateway`, `navvy scheduler`, `navvy worker`. Each loads its settings, connects to an existing NATS,
//! runs until it is told to drain, and says honestly how it ended.
//!
//! What a role does is in its own crate; how it is started from here is in `adapter`; several roles in one process are
//! in `crate::up`.

mod adapter;
mod door;
mod nats;
mod ops;
mod process;
mod ready;
mod vault;

use std::sync::Arc;

use bus::Role;
use service::settings::{Layers, Settings, SettingsError};

use crate::args::{GatewayArgs, SchedulerArgs, WorkerArgs};
use crate::exit::Exit;
use crate::output::Out;
use crate::problem::CliError;

pub(crate) use adapter::{Place, gateway, scheduler, sealing_key, seat, worker, worker_name};
pub(crate) use door::listen;
pub(crate) use nats::{connect, layout, nats_failed, role_failed};
pub(crate) use process::{Process, Stage};
pub(crate) use ready::announce;
pub(crate) use vault::Vault;

/// `navvy gateway`.
pub(crate) async fn run_gateway(out: &Out, args: &GatewayArgs) -> Result<Exit, CliError> {
    let process = Process::start(out, load(args.layers())?)?;
    let door = listen(&process.settings).await?;
    let vault = Vault::of_sources(&process.settings)?;
    let bus = connect_checked(&process.settings, "navvy-gateway", Role::Gateway).await?;
    let url = door.url();
    let mut stage = Stage::new();
    gateway(&mut stage, &process, bus, door, vault);
    let stages = vec![stage];
    tokio::select! {
        () = announce(out, &url, "Ctrl-C stops it") => {}
        () = process.until_draining(&stages) => {}
    }
    process.live(stages).await
}

/// `navvy scheduler`.
pub(crate) async fn run_scheduler(out: &Out, args: &SchedulerArgs) -> Result<Exit, CliError> {
    let process = Process::start(out, load(args.layers())?)?;
    let sealing = sealing_key(&process.settings)?;
    let bus = connect_checked(&process.settings, "navvy-scheduler", Role::Scheduler).await?;
    let ops = ops::serve(&process, &bus).await?;
    let mut stage = Stage::new();
    scheduler(&mut stage, &process, bus, sealing);
    process.live(std::iter::once(stage).chain(ops).collect()).await
}

/// `navvy worker`.
pub(crate) async fn run_worker(out: &Out, args: &WorkerArgs) -> Result<Exit, CliError> {
    let process = Process::start(out, load(args.layers())?)?;
    let name = worker_name(&process.settings)?;
    let seat = seat(&process.settings, name.clone())?;
    let pool = seat.pool.clone();
    let bus = connect(&process.settings, &format!("navvy-worker {name}"), Role::Worker(seat)).await?;
    bus.check_pool(&pool, &layout(&process.settings)).await.map_err(nats_failed("find everything a worker needs in NATS"))?;
    let ops = ops::serve(&process, &bus).await?;
    let mut stage = Stage::new();
    let work_dir = process.settings.work_dir();
    worker(&mut stage, &process, bus, Place { name, work_dir });
    process.live(std::iter::once(stage).chain(ops).collect()).await
}

/// The settings, checked whole.
///
/// # Errors
/// Every problem at once.
pub(crate) fn load(layers: Layers) -> Result<Arc<Settings>, CliError> {
    let mut settings = layers.load()?.settings;
    // Tools work in other directories than this process: a path named from here must mean the same there.
    for path in [
        Some(&mut settings.data_dir),
        settings.worker.work_dir.as_mut(),
        settings.worker.tools.dir.as_mut(),
        settings.worker.cli_config.as_mut(),
    ]
    .into_iter()
    .flatten()
    {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    }
    settings.check().map_err(SettingsError::Refused)?;
    Ok(Arc::new(settings))
}

/// A connection to a NATS that was prepared for Navvy.
async fn connect_checked(settings: &Settings, name: &str, role: Role) -> Result<bus::Bus, CliError> {
    let bus = connect(settings, name, role).await?;
    bus.check_layout(&layout(settings)).await.map_err(nats_failed("find everything Navvy needs in NATS"))?;
    Ok(bus)
}
