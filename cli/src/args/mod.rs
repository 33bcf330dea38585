//! The command line, as clap types. One file per group of verbs; what a verb does is in `verbs`, `roles`, `up`, `doctor`.
//!
//! The doc comments are the help texts and the reference page `docs/reference/cli.md`: write them for a user.
//! Nothing here reads files or the network; values are only parsed.

mod admin;
mod client;
mod deploy;
mod mapping;
mod orders;
mod pairs;
mod release;
mod roles;
mod source;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::Secret;

pub(crate) use crate::bench::BenchArgs;
pub(crate) use admin::{AdminArgs, AdminVerb, CompletionsArgs, ConfigArgs, ConfigVerb, DoctorArgs, MigrateArgs, UsersArgs};
pub(crate) use client::{
    ApproveArgs, CancelArgs, IdArgs, KeyScope, KeysArgs, KeysVerb, LogsArgs, Outcome, ResolveArgs, RunArgs, RunVerb, RunsArgs, WaitArgs,
};
pub(crate) use deploy::{DeployArgs, GitLogin};
pub(crate) use mapping::{CheckArgs, MappingArgs, MappingVerb};
pub(crate) use orders::{OrdersArgs, OrdersVerb, SubmitArgs, ValidateArgs};
pub(crate) use pairs::Pair;
pub(crate) use release::{EveryRelease, ReleaseArgs, ReleaseListArgs, ReleaseVerb};
pub(crate) use roles::{GatewayArgs, SchedulerArgs, SettingsArgs, UpArgs, WorkerArgs};
pub(crate) use source::{Forge, SecretsArgs, SecretsVerb, SourceAddArgs, SourceArgs, SourceVerb};

/// Runs terraform and OpenTofu on a fleet of workers: plan, approve, apply, and watch it live.
#[derive(Debug, Parser)]
#[command(name = "navvy", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Output for machines: JSON on stdout, and errors as a JSON object on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Address of the gateway.
    #[arg(long, global = true, value_name = "URL", env = "NAVVY_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub(crate) url: reqwest::Url,
    /// The API key. Better: NAVVY_TOKEN in the environment, or --token-file, because other users can see arguments.
    #[arg(long, global = true, value_name = "TOKEN", conflicts_with = "token_file", value_parser = parse_secret)]
    pub(crate) token: Option<Secret>,
    /// File with the API key [env: NAVVY_TOKEN_FILE]. NAVVY_TOKEN holds the key itself.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// When to use colour. `auto`: on a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub(crate) color: ColorWhen,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run everything in one process: gateway, scheduler, workers and an own nats-server.
    Up(Box<UpArgs>),
    /// Run a gateway: the HTTP API.
    Gateway(Box<GatewayArgs>),
    /// Run a scheduler: it decides what may happen next.
    Scheduler(Box<SchedulerArgs>),
    /// Run a worker: it pulls jobs and runs terraform or tofu.
    Worker(Box<WorkerArgs>),
    /// Submit a job of orders (shell commands that wait for one another), or check one.
    Orders(OrdersArgs),
    /// Look at what a repository says about its services.
    Mapping(MappingArgs),
    #[command(flatten)]
    Client(ClientVerb),
    /// Set up repositories whose pushes are followed.
    Source(SourceArgs),
    /// Look after the secrets that the configuration names.
    Secrets(SecretsArgs),
    /// Check what Navvy needs on this machine, and say what to do.
    Doctor(Box<DoctorArgs>),
    /// Measure this machine: a fleet of its own on loopback, against floors taken in the same run.
    Bench(BenchArgs),
    /// Look at the configuration of the roles.
    Config(ConfigArgs),
    /// Prepare an existing NATS for Navvy.
    Admin(AdminArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// The verbs that talk to a gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientVerb {
    /// Submit a run: plan, wait for approval, apply.
    Deploy(Box<DeployArgs>),
    /// List runs, newest first.
    Runs(RunsArgs),
    /// Show one run, its graph (`run graph`) or its end (`run done`), or settle its unknown outcome (`run resolve`).
    Run(RunArgs),
    /// Print the output of a run; with -f, live until the run ends.
    Logs(LogsArgs),
    /// Approve the plan a run waits with; it is then applied.
    Approve(ApproveArgs),
    /// Reject the plan a run waits with; nothing is applied.
    Reject(IdArgs),
    /// Stop a run. A running tool is interrupted, saves its state and frees its lock.
    Cancel(CancelArgs),
    /// Make releases of a source's services and deploy them, or list them.
    Release(ReleaseArgs),
    /// List locks, their holders and who waits.
    Locks,
    /// List the workers of the fleet.
    Workers,
    /// Create, list and revoke API keys.
    Keys(KeysArgs),
}

fn parse_pool(text: &str) -> Result<proto::PoolName, String> {
    text.parse().map_err(|error: proto::ids::BadId| error.to_string())
}

fn parse_secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("the token is empty".into()) } else { Ok(Secret::new(text)) }
}

/// An http or https address without credentials, query or fragment; a path is a prefix.
fn parse_url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("{error}; write it like http://127.0.0.1:8080"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// addresses are possible".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave user and password out; the key goes into NAVVY_TOKEN or --token-file".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("leave out what follows ? or #".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_with_credentials_or_another_scheme_is_refused() {
        for (text, good) in [
            ("http://127.0.0.1:8080", true),
            ("https://navvy.example/prefix/", true),
            ("ftp://x", false),
            ("127.0.0.1:8080", false),
            ("http://user:pw@x", false),
            ("http://x/?a=b", false),
        ] {
            assert_eq!(parse_url(text).is_ok(), good, "{text}");
        }
    }
}
