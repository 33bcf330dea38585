//! `navvy bench dag`: graphs of no-op orders through gateway, NATS and scheduler, and what an order costs there when its run
//! is a hundred times as large.
//!
//! The large ones are taken by workers inside of this process, which ask, tell their phases and report as a real worker
//! does, and start nothing: the start of a shell would hide what the scheduler costs. A smaller one goes through a real
//! worker, whose orders run `true`.

mod measure;
mod report;
mod shapes;
mod workers;

use super::fleet::{BenchFleet, Hands};
use crate::{exit::Exit, output::Out, problem::CliError};
use clap::Args;
use report::{DagReport, Figures};
use shapes::Shape;

/// Arguments of `navvy bench dag`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DagArgs {
    /// How many orders; each size is compared with the first.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    pub(crate) sizes: Vec<usize>,
    /// How the orders depend on one another.
    #[arg(long, value_name = "SHAPE", value_enum, value_delimiter = ',', default_values_t = Shape::ALL)]
    pub(crate) shapes: Vec<Shape>,
    /// How many orders the workers without processes take at a time.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) slots: usize,
    /// How many orders go through a real worker.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) processes: usize,
}

/// `navvy bench dag`.
pub(crate) async fn verb(out: &Out, args: &DagArgs) -> Result<Exit, CliError> {
    let report = run(args, |doing| out.waiting(doing)).await;
    super::tell(out, report, DagReport::table)
}

async fn run(args: &DagArgs, mut say: impl FnMut(&str)) -> anyhow::Result<DagReport> {
    let mut figures = Vec::new();
    for shape in &args.shapes {
        // A scheduler of its own for each shape: what one left in memory is not the next one's.
        say("starting a fleet without workers");
        let fleet = BenchFleet::start(None, Hands::None).await?;
        let workers = workers::hire(&fleet, args.slots).await?;
        let mut first = None;
        // The first ones warm the caches.
        measure::measure(&fleet, *shape, 10).await?;
        for size in &args.sizes {
            say(&format!("{} orders, {}", size, shape.word()));
            let measured = measure::several(&fleet, *shape, *size).await?;
            let base = *first.get_or_insert(measured.scheduler_us_per_order);
            figures.push(Figures::of(*shape, measured, base));
        }
        drop(workers);
        fleet.stop().await;
    }
    say("orders that run `true`");
    let fleet = BenchFleet::start(None, Hands::Worker).await?;
    measure::measure(&fleet, Shape::Wide, 10).await?;
    let processes = measure::measure(&fleet, Shape::Wide, args.processes).await?;
    fleet.stop().await;
    let largest = figures.iter().map(|figures| figures.largest_message).max().unwrap_or_default();
    Ok(DagReport { machine: super::report::machine(), slots: args.slots, figures, processes: processes.into(), largest_message: largest })
}
