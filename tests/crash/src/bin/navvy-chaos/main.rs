//! Chaos: runs are submitted, approved, cancelled and repeated while processes are killed and paused, servers go away and
//! disks run full, all by a printed seed. Then the faults stop, and the oracle holds every promise against the store and the
//! effects. Ends with 1 when anything was lost or done twice.
//!
//! - `load` is the people, `faults` is what befalls the fleet; `fleet`, `servers` and `disk` are what it befalls;
//! - `verdict` is the end: what is asked of the oracle, and the report.

mod disk;
mod faults;
mod fleet;
mod load;
mod seed;
mod servers;
mod verdict;

use clap::Parser;
use crash_tests::{lane::Ground, store::Store};
use faults::Faults;
use fleet::Processes;
use seed::Seed;
use servers::Servers;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Runs a fleet under random faults and looks whether anything is lost or done twice.
#[derive(Debug, Parser)]
struct Options {
    /// How long faults go on, in seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Repeats the choices of an earlier run; not its timing.
    #[arg(long)]
    seed: Option<u64>,
    /// NATS servers: 1, or a cluster of 3 on loopback.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    servers: u8,
    /// Longest pause of a process, in seconds.
    #[arg(long, default_value_t = 20)]
    longest_pause: u64,
    /// Clients at work at a time.
    #[arg(long, default_value_t = 10)]
    clients: u64,
    /// Where to write the report as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos could not be made: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<bool> {
    let chosen = options.seed.unwrap_or_else(seed::of_now);
    eprintln!("chaos with seed {chosen}: {} s of faults, {} NATS server(s)", options.seconds, options.servers);
    let ground = Ground::prepare()?;
    let dir = tempfile::tempdir()?;
    let servers = Servers::start(dir.path(), options.servers).await?;
    let processes = Processes::start(&ground, &servers).await?;
    let store = Store::open(servers.connect_options()).await?;
    let mut faults = Faults::new(processes, servers, store.clone(), Seed::new(chosen), options);

    let people = Arc::new(load::People::new(ground, faults.client(), faults.troubled(), &dir.path().join("worlds"))?);
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (1..=options.clients)
        .map(|n| tokio::spawn(load::work(people.clone(), enough.clone(), Seed::new(chosen.wrapping_add(n)))))
        .collect();

    let until = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < until {
        faults.step().await?;
    }
    enough.store(true, Ordering::SeqCst);
    faults.stop().await?;
    eprintln!("the faults have stopped; every obligation has 120 s to close");

    let judged = {
        let judging = verdict::judge(&people, clients, &store);
        tokio::pin!(judging);
        loop {
            // Somebody still has to look after processes that end by themselves.
            tokio::select! {
                judged = &mut judging => break judged?,
                rested = faults.rest() => rested?,
            }
        }
    };
    let report = verdict::report(&people, &faults, chosen, options, judged);
    eprintln!("\n{}", report.text());
    if let Some(path) = &options.report {
        std::fs::write(path, serde_json::to_string_pretty(&report.json())?)?;
    }
    if !report.is_clean() {
        faults.show_logs();
    }
    Ok(report.is_clean())
}
