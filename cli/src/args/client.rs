//! Arguments of the verbs about runs, locks, workers and keys.

use clap::{Args, Subcommand, ValueEnum};
use proto::RunId;
use service::settings::Period;

/// A run.
#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub(crate) id: RunId,
}

/// Waiting for a run.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Wait until the run has ended; exit 0 when it succeeded, 1 when it failed, was cancelled or is unknown.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this, such as 90s, 10m or 2h; then exit 75. The run goes on.
    #[arg(long, value_name = "TIME")]
    pub(crate) wait_timeout: Option<Period>,
}

/// A status word, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Status {
    Running,
    AwaitingApproval,
    Success,
    Failed,
    TimedOut,
    Cancelled,
    Unknown,
}

/// Arguments of `navvy runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Only runs of this status.
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// Only runs of this repository.
    #[arg(long, value_name = "URL")]
    pub(crate) repo: Option<String>,
    /// Only runs of this person or key.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// How many, 1 to 200 [default: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: Option<u32>,
    /// Go on after an earlier page.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

/// Arguments of `navvy run`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RunArgs {
    /// The run.
    #[arg(value_name = "ID", required = true)]
    pub(crate) id: Option<RunId>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(subcommand)]
    pub(crate) verb: Option<RunVerb>,
}

/// What can be done to a run beside looking at it.
#[derive(Debug, Subcommand)]
pub(crate) enum RunVerb {
    /// Say how an unknown outcome really ended, after looking. Needs the scope admin; frees the run's locks.
    Resolve(ResolveArgs),
    /// Draw the run as its jobs stand, level by level: what needs nobody first.
    Graph(IdArgs),
    /// Say how a run of orders ended: exit 0 when it succeeded, 1 when it did not, 75 when it is not over.
    Done(IdArgs),
}

/// Arguments of `navvy run resolve`.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub(crate) id: RunId,
    /// How it ended.
    #[arg(long = "as", value_enum)]
    pub(crate) outcome: Outcome,
    /// What you looked at and saw. It is recorded.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The number of the job that you looked at, where a run may have several whose outcome is unknown; without it the first.
    #[arg(long, value_name = "N")]
    pub(crate) job: Option<u32>,
}

/// How an unknown run really ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
}

/// Arguments of `navvy logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub(crate) id: RunId,
    /// Go on until the run ends. Survives a restart of the gateway.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only this job, by the number `n` that --json shows; it counts from 0.
    #[arg(long, value_name = "N", conflicts_with = "order")]
    pub(crate) job: Option<u32>,
    /// Only this order, by the number that `run graph` shows, such as 0002; it counts from 1.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) order: Option<u32>,
    /// Begin after this position, the `id` of a line printed with --json.
    #[arg(long, value_name = "JOB.ATTEMPT.OFFSET", value_parser = parse_position)]
    pub(crate) after: Option<proto::log::LogPosition>,
}

/// Arguments of `navvy approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub(crate) id: RunId,
    /// Approve only if the plan still has this digest (`navvy run ID --json` shows it as plan_sha256).
    #[arg(long, value_name = "HEX")]
    pub(crate) plan_sha256: Option<String>,
}

/// Arguments of `navvy cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub(crate) id: RunId,
    /// Kill what an earlier cancel could not stop. The tool may lose its state; the outcome becomes unknown.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `navvy keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) verb: KeysVerb,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Create a key. It is shown once, on stdout.
    Create {
        /// A name to recognise it by; it is recorded with everything the key does.
        name: String,
        /// What it may do; may repeat.
        #[arg(long, value_enum, required = true)]
        scope: Vec<KeyScope>,
        /// Days until it stops working [default: never].
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// List keys, without the keys themselves.
    List,
    /// Revoke a key at once.
    Revoke {
        /// The id that `keys list` shows.
        id: String,
    },
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyScope {
    Done,
    Read,
    Deploy,
    Approve,
    Admin,
}

fn parse_position(text: &str) -> Result<proto::log::LogPosition, String> {
    text.parse().map_err(|()| "write JOB.ATTEMPT.OFFSET, such as 0.1.512".into())
}
