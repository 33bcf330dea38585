//! One worker process: its slots, what they run, and what the attempts share.

use crate::{
    WorkerError,
    attempt::folder::Folders,
    git,
    runner::RunnerExe,
    stop::Stop,
    supplies::Supplies,
    sync::{
        dokploy::Breakers,
        floor::{Clock, RealClock},
    },
    terraform::{self, PluginCache, Registry},
    tools::{self, Tools},
};
use bus::Bus;
use proto::{
    Seat, Timestamp,
    git::AllowedHosts,
    ids::AttemptId,
    message::{Heartbeat, Report, ReportWhat, StopSignal},
    terraform::Tool,
};
use service::{
    metrics::{Metrics, WorkerMetrics},
    settings::Settings,
    shutdown::Tasks,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long an init waits for the provider cache before it goes on without it.
const CACHE_PATIENCE: Duration = Duration::from_mins(2);

/// What all attempts of a worker share.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) bus: Bus,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) all_metrics: Metrics,
    pub(crate) seat: Seat,
    pub(crate) slots: u32,
    pub(crate) folders: Folders,
    pub(crate) runner: RunnerExe,
    pub(crate) git: git::Cache,
    pub(crate) tools: Arc<Tools>,
    pub(crate) terraform: terraform::Setup,
    pub(crate) supplies: Supplies,
    /// Which Dokploys are left alone for now, by the clock beside it.
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) clock: Arc<dyn Clock>,
    started_at: Timestamp,
    running: Mutex<BTreeMap<AttemptId, Stop>>,
    tool_names: Mutex<Vec<String>>,
}

impl Crew {
    /// Prepares the folders and the caches.
    pub(crate) fn new(deps: &crate::Deps) -> Result<Self, WorkerError> {
        let settings = &deps.settings;
        let pool = settings.worker.pool.parse().map_err(WorkerError::Name)?;
        let allowed = AllowedHosts::parse(&settings.git.allowed_hosts).map_err(WorkerError::AllowedHosts)?;
        // git starts it, so `/proc/self` would be git; and the file on disk may be another version by then.
        let program = format!("/proc/{}/exe", std::process::id());
        let mut cache = git::Settings::new(deps.work_dir.join("git"), allowed, &program);
        cache.limits.timeout = settings.git.timeout.into();
        Ok(Self {
            bus: deps.bus.clone(),
            tasks: deps.tasks.clone(),
            metrics: deps.metrics.worker(),
            all_metrics: deps.metrics.clone(),
            seat: Seat { pool, worker: deps.name.clone() },
            slots: settings.worker.slots.max(1),
            folders: Folders::open(&deps.work_dir)?,
            runner: deps.runner.clone(),
            git: git::Cache::open(cache).map_err(WorkerError::GitCache)?,
            tools: Arc::new(Tools::new(tool_settings(settings))),
            terraform: terraform_setup(settings, &deps.work_dir, &program)?,
            supplies: Supplies::new(settings)?,
            breakers: Arc::default(),
            clock: Arc::new(RealClock::default()),
            started_at: Timestamp::now(),
            running: Mutex::default(),
            tool_names: Mutex::default(),
            settings: settings.clone(),
        })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Stop>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an attempt on the list that heartbeats show, until the returned entry is dropped. It stands there before the
    /// scheduler is asked, so that it is never taken for lost.
    /// `None`: this worker has that attempt already, so whatever says so again is a repeat.
    pub(crate) fn enlist(self: &Arc<Self>, id: AttemptId) -> Option<Enlisted> {
        let mut running = self.running();
        if running.contains_key(&id) {
            return None;
        }
        let stop = Stop::default();
        running.insert(id, stop.clone());
        drop(running);
        Some(Enlisted { crew: self.clone(), id, stop })
    }

    /// The plans and logs of this worker's pool.
    pub(crate) fn artifacts(&self) -> bus::Artifacts {
        self.bus.artifacts(&self.seat.pool)
    }

    /// A report in this worker's name.
    pub(crate) fn report(&self, id: AttemptId, what: ReportWhat) -> Report {
        let Seat { pool, worker } = self.seat.clone();
        Report { id, pool, worker, at: Timestamp::now(), what }
    }

    /// Passes a stop signal on; one for an attempt that is not here is for nobody.
    pub(crate) fn stop(&self, signal: &StopSignal) {
        if let Some(stop) = self.running().get(&signal.id) {
            stop.raise(signal.mode);
        }
    }

    /// Asks everything that runs to stop: the process is told to hurry.
    pub(crate) fn stop_all(&self) {
        for stop in self.running().values() {
            stop.raise_drain();
        }
    }

    /// Looks which tools are there, for the heartbeat.
    pub(crate) async fn note_tools(&self) {
        let mut names = Vec::new();
        for tool in [Tool::Terraform, Tool::Tofu] {
            names.extend(self.tools.installed(tool).await.into_iter().map(|used| format!("{} {}", used.tool, used.version)));
        }
        *self.tool_names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The sign of life of this moment.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            worker: self.seat.worker.clone(),
            pool: self.seat.pool.clone(),
            at: Timestamp::now(),
            started_at: self.started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.slots,
            running: self.running().keys().copied().collect(),
            draining: self.tasks.shutdown().is_draining(),
            tools: self.tool_names.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// An attempt on the list of what runs.
#[derive(Debug)]
pub(crate) struct Enlisted {
    crew: Arc<Crew>,
    id: AttemptId,
    pub(crate) stop: Stop,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.crew.running().remove(&self.id);
    }
}

fn tool_settings(settings: &Settings) -> tools::Settings {
    let tools = &settings.worker.tools;
    tools::Settings {
        default_terraform: tools.default_terraform.clone(),
        default_tofu: tools.default_tofu.clone(),
        mirror_terraform: tools.mirror_terraform.clone(),
        mirror_tofu: tools.mirror_tofu.clone(),
        keyring_terraform: tools.keyring_terraform.clone(),
        keyring_tofu: tools.keyring_tofu.clone(),
        may_download: tools.may_download,
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        dir: settings.tools_dir(),
    }
}

fn terraform_setup(settings: &Settings, work_dir: &Path, own_program: &str) -> Result<terraform::Setup, WorkerError> {
    let worker = &settings.worker;
    let plugins = work_dir.join("plugins");
    let cache = PluginCache::open(&plugins, CACHE_PATIENCE).map_err(|source| WorkerError::Folder { path: plugins, source })?;
    let registry = worker.registry_host.as_ref().map(|host| Registry::new(host, worker.registry_token_required, &[]));
    let passed = worker.pass_env.iter().filter_map(|name| std::env::var_os(name)?.into_string().ok().map(|value| (name.clone(), value)));
    Ok(terraform::Setup {
        search_path: std::env::var_os("PATH").and_then(|path| path.into_string().ok()).unwrap_or_default(),
        pass_env: passed.collect(),
        plugin_cache: Some(cache),
        cli_config: worker.cli_config.clone(),
        registry: registry.transpose().map_err(WorkerError::Registry)?,
        askpass: own_program.into(),
        local_state_dirs: worker.local_state_dirs.iter().map(Into::into).collect(),
        lock_timeout: worker.state_lock_timeout.duration(),
    })
}
