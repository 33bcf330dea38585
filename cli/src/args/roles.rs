//! Arguments of the roles. Each flag is a key of the configuration; a flag is stronger than the environment, which is
//! stronger than the file. [`SettingsArgs::layers`] hands them to `service::settings`.

use std::path::PathBuf;

use clap::Args;
use service::settings::Layers;

use crate::environment;

/// Options of every role.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingsArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "NAVVY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for what must outlive the process (`data_dir`) [default: ./navvy-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Existing NATS servers, comma separated (`nats.url`).
    #[arg(long, value_name = "URL")]
    pub(crate) nats_url: Option<String>,
    /// How much is logged to stderr (`log.level`): error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// Flags of the HTTP API.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DoorArgs {
    /// Where the HTTP API listens (`gateway.listen`); port 0 lets the system choose [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// A git server that runs may use, with its port when it is not the usual one (`git.allowed_hosts`); may repeat.
    /// Together they replace the list of file and environment.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_git_host: Vec<String>,
    /// Ask nobody for a token (`gateway.anonymous`). Only on a loopback address.
    #[arg(long)]
    pub(crate) anonymous: bool,
}

/// Arguments of `navvy up`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    /// How many workers.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub(crate) workers: u16,
    /// How many jobs each worker runs at a time (`worker.slots`) [default: 2].
    #[arg(long, value_name = "M")]
    pub(crate) slots: Option<u32>,
    /// Create or update streams and buckets on the servers of --nats-url first. Always done on the own server.
    #[arg(long)]
    pub(crate) migrate: bool,
}

/// Arguments of `navvy gateway`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(flatten)]
    pub(crate) door: DoorArgs,
}

/// Arguments of `navvy scheduler`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SchedulerArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Where metrics and health are served (`ops.listen`) [default: nowhere].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) ops_listen: Option<String>,
}

/// Arguments of `navvy worker`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Where metrics and health are served (`ops.listen`) [default: nowhere].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) ops_listen: Option<String>,
    /// Its name in the fleet (`worker.name`). Keep it over a restart, so that spooled reports are delivered.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The pool it serves (`worker.pool`) [default: default].
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// How many jobs run at a time (`worker.slots`) [default: 2].
    #[arg(long, value_name = "M")]
    pub(crate) slots: Option<u32>,
    /// A git server that runs may use (`git.allowed_hosts`); may repeat. The gateway's list counts first.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_git_host: Vec<String>,
}

/// Dotted keys with values, as `service::settings` wants flags.
#[derive(Default)]
struct Flags(Vec<(String, String)>);

impl Flags {
    fn put(&mut self, key: &str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (key.to_owned(), value.to_string())));
    }

    fn put_list(&mut self, key: &str, values: &[String]) {
        self.0.extend(values.iter().map(|value| (key.to_owned(), value.clone())));
    }

    fn put_door(&mut self, door: &DoorArgs) {
        self.put("gateway.listen", door.listen.as_ref());
        self.put_list("git.allowed_hosts", &door.allow_git_host);
        self.put("gateway.anonymous", door.anonymous.then_some(true));
    }
}

impl SettingsArgs {
    /// The layers of a verb that has no other flags.
    pub(crate) fn layers(&self) -> Layers {
        self.with(Flags::default())
    }

    fn with(&self, mut flags: Flags) -> Layers {
        flags.put("data_dir", self.data_dir.as_ref().map(|dir| dir.display()));
        flags.put("nats.url", self.nats_url.as_ref());
        flags.put("log.level", self.log_level.as_ref());
        Layers { file: self.config.clone(), env: environment::all(), flags: flags.0 }
    }
}

impl UpArgs {
    /// File, environment and these flags.
    pub(crate) fn layers(&self) -> Layers {
        let mut flags = Flags::default();
        flags.put_door(&self.door);
        flags.put("worker.slots", self.slots);
        self.settings.with(flags)
    }
}

impl GatewayArgs {
    /// File, environment and these flags.
    pub(crate) fn layers(&self) -> Layers {
        let mut flags = Flags::default();
        flags.put_door(&self.door);
        self.settings.with(flags)
    }
}

impl SchedulerArgs {
    /// File, environment and these flags.
    pub(crate) fn layers(&self) -> Layers {
        let mut flags = Flags::default();
        flags.put("ops.listen", self.ops_listen.as_ref());
        self.settings.with(flags)
    }
}

impl WorkerArgs {
    /// File, environment and these flags.
    pub(crate) fn layers(&self) -> Layers {
        let mut flags = Flags::default();
        flags.put("ops.listen", self.ops_listen.as_ref());
        flags.put("worker.name", self.name.as_ref());
        flags.put("worker.pool", self.pool.as_ref());
        flags.put("worker.slots", self.slots);
        flags.put_list("git.allowed_hosts", &self.allow_git_host);
        self.settings.with(flags)
    }
}
