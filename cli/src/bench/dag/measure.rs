//! One graph through the ring, and what it cost.

use super::Shape;
use crate::bench::{Usage, usage};
use crate::bench::{fleet::BenchFleet, jobs::ended_view};
use anyhow::Context as _;
use proto::{RunId, codec, view::JobsPage};
use std::time::{Duration, Instant};

/// How many orders are measured at least: small runs are repeated, because one of them is over before a clock has ticked.
const ORDERS_AT_LEAST: usize = 1_000;
/// Between two looks at the scheduler's memory.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After which memory that was given back is seen to be.
const REST: Duration = Duration::from_secs(3);

/// What a graph, or several of one kind, cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) orders: usize,
    /// From the answer to the request until the end is shown.
    pub(super) took: Duration,
    /// Until the request was answered.
    pub(super) accepted_after: Duration,
    pub(super) scheduler_us_per_order: f64,
    pub(super) memory: Memory,
    pub(super) largest: Largest,
    /// To read the log back, as a scheduler does that has just been started.
    pub(super) read_back: Duration,
}

/// The scheduler's resident memory, in MiB.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Memory {
    pub(super) before: f64,
    pub(super) peak: f64,
    pub(super) after: f64,
}

/// The largest messages of a run, in bytes.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Largest {
    pub(super) trigger: usize,
    pub(super) decision: usize,
    pub(super) view_or_page: usize,
}

/// Measures graphs of one size until there were enough orders.
pub(super) async fn several(fleet: &BenchFleet, shape: Shape, orders: usize) -> anyhow::Result<Measured> {
    let mut sum = measure(fleet, shape, orders).await?;
    let times = ORDERS_AT_LEAST.div_ceil(orders).max(1) as u32;
    for _ in 1..times {
        let one = measure(fleet, shape, orders).await?;
        sum.took += one.took;
        sum.accepted_after += one.accepted_after;
        sum.read_back += one.read_back;
        sum.scheduler_us_per_order += one.scheduler_us_per_order;
        sum.memory = Memory { peak: sum.memory.peak.max(one.memory.peak), after: one.memory.after, ..sum.memory };
    }
    sum.took /= times;
    sum.accepted_after /= times;
    sum.read_back /= times;
    sum.scheduler_us_per_order /= f64::from(times);
    Ok(sum)
}

/// Measures one graph.
pub(super) async fn measure(fleet: &BenchFleet, shape: Shape, orders: usize) -> anyhow::Result<Measured> {
    let job = shape.job(orders);
    let scheduler = fleet.pid("scheduler")?;
    let before = usage(scheduler)?;
    let asked = Instant::now();
    let answer = fleet.post("/v1/orders", &job).await?;
    let (accepted_after, accepted) = (asked.elapsed(), Instant::now());
    let id = answer["run_id"].as_str().context("an id")?.to_owned();
    let mut peak = before.resident_mib;
    let ended = async {
        let ended = ended_view(fleet, &id);
        tokio::pin!(ended);
        loop {
            tokio::select! {
                view = &mut ended => return view,
                () = tokio::time::sleep(LOOK_EVERY) => peak = peak.max(usage(scheduler)?.resident_mib),
            }
        }
    };
    let view = ended.await?;
    let (took, spent) = (accepted.elapsed(), usage(scheduler)?);
    let succeeded = view.orders.map_or(0, |orders| orders.succeeded);
    anyhow::ensure!(succeeded as usize == orders, "{succeeded} of {orders} orders succeeded: {:?}", view.failure);
    // A large run is remembered until the sweep forgets it; a small one is not waited for.
    if orders >= ORDERS_AT_LEAST {
        tokio::time::sleep(REST).await;
    }
    let memory = Memory { before: before.resident_mib, peak: peak.max(spent.resident_mib), after: usage(scheduler)?.resident_mib };
    let run: RunId = id.parse()?;
    let began = Instant::now();
    let log = fleet.bus.run_log().load(run).await?;
    let read_back = began.elapsed();
    let decision = log.iter().map(|(_, entry)| entry.len()).max().unwrap_or_default();
    let largest = Largest { decision, ..largest(fleet, run, orders).await? };
    Ok(Measured { orders, took, accepted_after, scheduler_us_per_order: per_order(before, spent, orders), memory, largest, read_back })
}

fn per_order(before: Usage, after: Usage, orders: usize) -> f64 {
    (after.processor_us - before.processor_us) / orders as f64
}

/// The largest messages that a run has left in the store besides its log.
async fn largest(fleet: &BenchFleet, run: RunId, orders: usize) -> anyhow::Result<Largest> {
    let trigger = fleet.bus.inbox().first_trigger(run).await?.context("the run has a trigger")?;
    let trigger = codec::encode(&proto::message::InboxMessage::Trigger(Box::new(trigger)))?.len();
    let view = fleet.bus.views().get(run).await?.context("the run has a view")?;
    let mut view_or_page = codec::encode(&view)?.len();
    for page in 0..JobsPage::count(orders as u32) {
        let page = fleet.bus.views().jobs(run, page).await?.context("the run has all its pages")?;
        view_or_page = view_or_page.max(codec::encode(&page)?.len());
    }
    Ok(Largest { trigger, decision: 0, view_or_page })
}
