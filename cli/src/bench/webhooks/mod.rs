//! `navvy bench webhooks`: signed pushes at a steady rate through a real gateway, nats-server and scheduler, and what becomes
//! of them while somebody floods the same door with bad signatures.
//!
//! Requests are sent when they are due, not when the one before was answered: a slow answer delays nobody, and its whole
//! delay counts. What was answered 2xx is then looked for in the store, one by one. No worker is started: what is measured
//! is how pushes are taken in.

mod flood;
mod load;
mod report;

use super::{
    fleet::{BenchFleet, Hands},
    usage,
};
use crate::{exit::Exit, output::Out, problem::CliError};
use clap::Args;
use flood::{Flood, Shape};
use load::Load;
use report::{Phase, WebhooksReport};
use std::time::Duration;

/// Arguments of `navvy bench webhooks`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WebhooksArgs {
    /// Pushes a second.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(crate) rate: u32,
    /// How long, in seconds; half of it again beside each of two floods, from one address and from many.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) seconds: u32,
    /// Size of a push, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 25_000)]
    pub(crate) bytes: usize,
    /// Requests with a bad signature a second, in a flood.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) flood: u32,
}

/// Addresses of a flood from many: so many that each stays below the number of failures at which it is not heard any more.
const MANY: u16 = 1_000;
/// The secret of the bench's source.
const SECRET: &str = "bench-webhook-secret-0123456789abcdef";

/// `navvy bench webhooks`.
pub(crate) async fn verb(out: &Out, args: &WebhooksArgs) -> Result<Exit, CliError> {
    let report = run(args, |doing| out.waiting(doing)).await;
    super::tell(out, report, WebhooksReport::table)
}

async fn run(args: &WebhooksArgs, mut say: impl FnMut(&str)) -> anyhow::Result<WebhooksReport> {
    say("starting a fleet without workers");
    // A repository that nobody reaches: no worker looks at it.
    let url = "https://git.bench.invalid/acme/infra.git";
    let settings = [("GIT_REPO_URL", url.to_owned()), ("WEBHOOK_SECRET", SECRET.to_owned())];
    let fleet = BenchFleet::start_with(Some(url), Hands::None, &settings).await?;
    let load = Load { url: format!("{}/webhook", fleet.url), http: fleet.http.clone(), secret: SECRET.to_owned(), bytes: args.bytes };
    // Warms the caches.
    load.run(args.rate, Duration::from_secs(2), 0).await?;
    let time = Duration::from_secs(args.seconds.into());
    let part = Part { number: 1, rate: args.rate, time, flood: None };
    let alone = phase(&fleet, &load, part, &mut say).await?;
    let beside = |number, addresses| Part { number, time: time / 2, flood: Some(Shape { rate: args.flood, addresses }), ..part };
    let flooded = phase(&fleet, &load, beside(2, 1), &mut say).await?;
    let spread = phase(&fleet, &load, beside(3, MANY), &mut say).await?;
    fleet.stop().await;
    Ok(WebhooksReport { machine: super::report::machine(), rate: args.rate, bytes: args.bytes, alone, flooded, spread })
}

/// A part of the bench.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u32,
    rate: u32,
    time: Duration,
    flood: Option<Shape>,
}

async fn phase(fleet: &BenchFleet, load: &Load, part: Part, say: &mut impl FnMut(&str)) -> anyhow::Result<Phase> {
    let Part { number, rate, time, flood } = part;
    let beside = match flood {
        Some(Shape { rate, addresses }) => format!(", beside {rate} bad signatures a second from {addresses} addresses"),
        None => String::new(),
    };
    say(&format!("{rate} pushes a second for {} s{beside}", time.as_secs()));
    let gateway = fleet.pid("gateway")?;
    let before = usage(gateway)?;
    let flooding = flood.map(|shape| Flood::start(load, shape)).transpose()?;
    let watching = load::watch_memory(gateway);
    let sent = load.run(rate, time, number).await?;
    let peak_mib = watching.stop().await;
    let refused = flooding.map(Flood::stop).transpose()?;
    let after = usage(gateway)?;
    say("looking for each of them in the store");
    let lost = load::lost(&fleet.bus, &sent.runs).await?;
    Ok(Phase::of(sent, lost, refused, (before, after, peak_mib)))
}
