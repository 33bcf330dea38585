//! `navvy bench`: what this machine does, in one run, against floors taken in the same run. It starts a fleet of its own
//! (nats-server, gateway, scheduler, one worker, each a process) on loopback in a folder that it removes.
//!
//! Figures are ratios wherever a floor exists: the bare pipeline of the message layer, terraform called by hand.

mod dag;
mod fleet;
mod jobs;
mod logs;
mod report;
mod terraform;
mod usage;
mod webhooks;

use crate::{exit::Exit, output::Out, problem::CliError, roles};
use clap::{Args, Subcommand};
use fleet::{BenchFleet, Hands};
use report::Report;
use usage::{Usage, usage};

/// Arguments of `navvy bench`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) what: Option<BenchVerb>,
    /// How many requests are timed one after another.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) samples: usize,
    /// How many no-op jobs go through the ring at once.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) jobs: usize,
    /// How many bytes of output one job prints.
    #[arg(long, value_name = "BYTES", default_value_t = 100_000_000)]
    pub(crate) noise: u64,
    /// A repository with a configuration that needs no provider, to compare terraform through Navvy with terraform by
    /// hand. Its server is allowed for this bench.
    #[arg(long, value_name = "URL")]
    pub(crate) git_url: Option<String>,
    /// Path in that repository; may repeat, to compare small and large configurations.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) path: Vec<String>,
    /// How many times terraform is compared.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) terraform_runs: usize,
}

/// What else is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchVerb {
    /// Measure graphs of no-op orders: what an order costs when its run is large.
    Dag(dag::DagArgs),
    /// Measure webhooks: signed pushes at a steady rate, alone and beside a flood of bad signatures.
    Webhooks(webhooks::WebhooksArgs),
}

/// `navvy bench`.
pub(crate) async fn verb(out: &Out, args: &BenchArgs) -> Result<Exit, CliError> {
    match &args.what {
        Some(BenchVerb::Dag(args)) => return dag::verb(out, args).await,
        Some(BenchVerb::Webhooks(args)) => return webhooks::verb(out, args).await,
        None => {}
    }
    let report = run(args, |doing| out.waiting(doing)).await;
    tell(out, report, Report::table)
}

/// Prints what was measured: as JSON, or as a table.
fn tell<R: serde::Serialize>(out: &Out, report: anyhow::Result<R>, table: fn(&R) -> String) -> Result<Exit, CliError> {
    out.done_waiting();
    let failed = roles::role_failed("cannot measure", "`navvy doctor` says what is missing on this machine");
    let report = report.map_err(|error| failed(std::io::Error::other(error)))?;
    if out.is_json() {
        out.json(&report)?;
    } else {
        out.line(table(&report).trim_end())?;
    }
    Ok(Exit::Ok)
}

/// Measures everything.
async fn run(args: &BenchArgs, mut say: impl FnMut(&str)) -> anyhow::Result<Report> {
    say("starting a fleet on loopback");
    let fleet = BenchFleet::start(args.git_url.as_deref(), Hands::Worker).await?;
    say("idle memory");
    let memory = fleet.idle_memory().await?;
    say("the bare pipeline of the message layer");
    let floor = fleet.bus.floor(args.samples, args.jobs, fleet::SLOTS).await?;
    say("one job after another");
    let latency = jobs::one_by_one(&fleet, args.samples).await?;
    say("many jobs at once");
    let throughput = jobs::at_once(&fleet, args.jobs).await?;
    say("output of one job");
    let logs = logs::measure(&fleet, args.noise).await?;
    let mut terraform = Vec::new();
    for (url, path) in args.git_url.iter().flat_map(|url| args.path.iter().map(move |path| (url, path))) {
        say(&format!("terraform through Navvy and by hand: {path}"));
        terraform.push(terraform::compare(&fleet, url, path, args.terraform_runs).await?);
    }
    fleet.stop().await;
    Ok(Report { machine: report::machine(), floor: floor.into(), latency, throughput, logs, terraform, memory })
}
