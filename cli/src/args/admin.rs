//! Arguments of the verbs for operators: `admin`, `config`, `doctor`, `completions`.

use clap::{Args, Subcommand};

use super::SettingsArgs;

/// Arguments of `navvy admin`.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    pub(crate) verb: AdminVerb,
}

/// Work of an operator.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminVerb {
    /// Create or update streams, buckets and consumers. Idempotent; needs rights that the running roles lack.
    Migrate(Box<MigrateArgs>),
    /// Print the block of users for nats-server, each with the smallest permissions. Passwords come from its environment.
    Users(UsersArgs),
}

/// Arguments of `navvy admin users`.
#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    /// A pool, whose workers share one user; may repeat [default: `default`, when there is no --worker].
    #[arg(long, value_name = "POOL", value_parser = super::parse_pool)]
    pub(crate) pool: Vec<proto::PoolName>,
    /// A worker with a user of its own, which cannot speak for the others of its pool; may repeat.
    #[arg(long, value_name = "POOL/NAME", value_parser = parse_seat)]
    pub(crate) worker: Vec<proto::Seat>,
}

/// Arguments of `navvy admin migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// A pool that workers will serve; may repeat [default: `worker.pool`].
    #[arg(long, value_name = "POOL", value_parser = super::parse_pool)]
    pub(crate) pool: Vec<proto::PoolName>,
    /// Change nothing; exit 1 when something is missing or wrong.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Arguments of `navvy config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) verb: ConfigVerb,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check file, environment and flags; list every key with its value and where it came from. Secrets are masked.
    Check(SettingsArgs),
}

/// Arguments of `navvy doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Arguments of `navvy completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

fn parse_seat(text: &str) -> Result<proto::Seat, String> {
    let seat = text.split_once('/').and_then(|(pool, worker)| proto::Seat::of_tokens(pool, worker));
    seat.ok_or_else(|| format!("`{}` is not POOL/NAME, such as default/blue", text.escape_debug()))
}
