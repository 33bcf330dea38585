//! Arguments of `navvy orders`. What a job may say is decided by `domain::orders`, not here.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::PoolName;

use super::WaitArgs;

/// Arguments of `navvy orders`.
#[derive(Debug, Args)]
pub(crate) struct OrdersArgs {
    #[command(subcommand)]
    pub(crate) verb: OrdersVerb,
}

/// What can be done with a job of orders.
#[derive(Debug, Subcommand)]
pub(crate) enum OrdersVerb {
    /// Submit a job of orders and print the id of its run.
    Submit(SubmitArgs),
    /// Check a job of orders without a gateway; every problem is told, and nothing is sent.
    Validate(ValidateArgs),
}

/// Arguments of `navvy orders submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The job as JSON, or an object with the job in `job_parameters_b64`; `-` reads it from stdin.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Makes a repeat of this command get the same run. Without it the job's `run_id` does, or a random one protects against lost answers only.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Print which orders go out and how each ends, then exit by the run's result.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Arguments of `navvy orders validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The job as JSON, or an object with the job in `job_parameters_b64`; `-` reads it from stdin.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// A pool that orders may name as their execution_target, besides `default`; may repeat.
    #[arg(long, value_name = "POOL", value_parser = super::parse_pool)]
    pub(crate) pool: Vec<PoolName>,
    /// A git server that full addresses may name, besides github.com, with its port when it is not the usual one; may repeat.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_git_host: Vec<String>,
}
