//! `navvy up`: gateway, scheduler, workers and, unless told otherwise, a nats-server of their own, in one process.
//!
//! Order of the start: settings, socket, secrets, NATS, layout, scheduler, workers, gateway. Order of the end: gateway and
//! workers together (the gateway takes nothing new, the workers finish what they run), then the scheduler, which had to
//! hear their last reports, then the nats-server. If this process is killed, the nats-server stays and the next start
//! takes it over; nothing that was accepted is lost.

mod nats;

pub(crate) use nats::folder as nats_folder;

use std::path::{Path, PathBuf};

use bus::{Bus, ConnectOptions, Layout, Role};
use proto::WorkerId;
use service::secret_file;
use service::settings::Settings;

use crate::args::UpArgs;
use crate::exit::Exit;
use crate::output::Out;
use crate::problem::CliError;
use crate::roles::{self, Place, Process, Stage, Vault, role_failed};

/// The most digits of a generated admin token, in bytes.
const TOKEN_BYTES: usize = 32;

/// Runs everything until a signal comes or a part of it fails.
pub(crate) async fn run(out: &Out, args: &UpArgs) -> Result<Exit, CliError> {
    let mut process = Process::start(out, roles::load(args.layers())?)?;
    process.readiness = process.readiness.among_others();
    let door = roles::listen(&process.settings).await?;
    let url = door.url();
    let sealing = roles::sealing_key(&process.settings)?;
    let token_file = admin_token(&process.settings)?;
    let places = places(&process.settings, args.workers)?;
    let vault = Vault::of_sources(&process.settings)?;

    out.hint("starting nats-server, gateway, scheduler and workers");
    let (nats, stage) = nats(&process.settings, args.migrate).await?;
    let buses = match Buses::connect(&nats, &process.settings, &places).await {
        Ok(buses) => buses,
        Err(error) => {
            stop(stage).await;
            return Err(error);
        }
    };
    let (mut edge, mut core) = (Stage::new(), Stage::new());
    roles::scheduler(&mut core, &process, buses.scheduler, sealing);
    for (place, bus) in places.into_iter().zip(buses.workers) {
        roles::worker(&mut edge, &process, bus, place);
    }
    roles::gateway(&mut edge, &process, buses.gateway, door, vault);

    let stages: Vec<Stage> = [edge, core].into_iter().chain(stage).collect();
    let hints = hints(&url, token_file.as_deref());
    tokio::select! {
        () = roles::announce(out, &url, &hints) => process.until_draining(&stages).await,
        () = process.until_draining(&stages) => {}
    }
    out.hint("stopping: what runs is finished first; press Ctrl-C again to interrupt it");
    let left = process.stop_in_order(stages).await;
    process.end(&left).await
}

/// The NATS that the roles connect to, each as its own user.
enum Nats {
    /// Our own: the ways to connect to it.
    Own(Box<dyn Fn(Role) -> ConnectOptions + Send + Sync>),
    /// An existing one, of `nats.url`: one user of the settings for all.
    Existing,
}

impl Nats {
    async fn connect(&self, settings: &Settings, role: Role) -> Result<Bus, CliError> {
        match self {
            Self::Own(options) => Bus::connect(options(role)).await.map_err(roles::nats_failed("connect to the own nats-server")),
            Self::Existing => roles::connect(settings, &format!("navvy-up {role}"), role).await,
        }
    }
}

/// A connection for each role.
struct Buses {
    scheduler: Bus,
    gateway: Bus,
    workers: Vec<Bus>,
}

impl Buses {
    async fn connect(nats: &Nats, settings: &Settings, places: &[Place]) -> Result<Self, CliError> {
        let mut workers = Vec::with_capacity(places.len());
        for place in places {
            let seat = roles::seat(settings, place.name.clone())?;
            workers.push(nats.connect(settings, Role::Worker(seat)).await?);
        }
        let scheduler = nats.connect(settings, Role::Scheduler).await?;
        let gateway = nats.connect(settings, Role::Gateway).await?;
        Ok(Self { scheduler, gateway, workers })
    }
}

/// A NATS that has everything Navvy needs; and, when it is our own, the stage that keeps it running.
async fn nats(settings: &Settings, migrate: bool) -> Result<(Nats, Option<Stage>), CliError> {
    let layout = roles::layout(settings);
    if settings.nats.url.is_some() {
        prepare(&Nats::Existing, settings, &layout, migrate).await?;
        return Ok((Nats::Existing, None));
    }
    let server = nats::OwnServer::start(settings).await?;
    let nats = Nats::Own(Box::new(server.ways_to_connect()));
    let mut stage = Stage::new();
    let stopped = stage.tasks.shutdown().drain_token();
    stage.run("nats-server", server.keep(stopped));
    match prepare(&nats, settings, &layout, true).await {
        Ok(()) => Ok((nats, Some(stage))),
        Err(error) => {
            stop(Some(stage)).await;
            Err(error)
        }
    }
}

/// Brings the layout about, with the rights that no role has while it runs, and checks it.
async fn prepare(nats: &Nats, settings: &Settings, layout: &Layout, migrate: bool) -> Result<(), CliError> {
    let bus = nats.connect(settings, Role::Admin).await?;
    if migrate {
        bus.migrate(layout).await.map_err(roles::nats_failed("create or update streams and buckets"))?;
    }
    bus.check_layout(layout).await.map_err(roles::nats_failed("find everything Navvy needs in NATS"))
}

async fn stop(stage: Option<Stage>) {
    if let Some(stage) = stage {
        stage.stop().await;
    }
}

/// The file of the generated admin token; `None` when the settings give the token, or nobody needs one.
fn admin_token(settings: &Settings) -> Result<Option<PathBuf>, CliError> {
    if settings.gateway.admin_token.is_some() || settings.gateway.anonymous {
        return Ok(None);
    }
    let path = settings.admin_token_path();
    secret_file::read_or_create(&path, TOKEN_BYTES).map_err(role_failed("cannot use the admin token", "see the cause"))?;
    Ok(Some(path))
}

/// Names and folders of the workers, the same at every start.
fn places(settings: &Settings, workers: u16) -> Result<Vec<Place>, CliError> {
    let place = |number: u16| {
        let text = format!("up-{number}");
        let name: WorkerId = text.parse().map_err(role_failed("a worker's name was refused", ""))?;
        Ok(Place { name, work_dir: settings.work_dir().join(text) })
    };
    (1..=workers).map(place).collect()
}

/// What a person does next.
fn hints(url: &str, token_file: Option<&Path>) -> String {
    let token = token_file.map_or_else(String::new, |path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!("  export NAVVY_TOKEN_FILE={}\n", path.display())
    });
    let deploy = "navvy deploy --git-url URL --git-ref main --tool terraform --follow";
    format!("in another terminal:\n  export NAVVY_URL={url}\n{token}  {deploy}\nCtrl-C stops everything")
}
