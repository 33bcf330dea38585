//! Jobs through the whole ring: how soon one starts, how many a second.

use super::{
    fleet::BenchFleet,
    report::{Latency, Throughput, quantiles},
};
use anyhow::Context as _;
use bus::ViewEvent;
use futures_util::StreamExt as _;
use proto::{RunId, view::RunView};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Requests under way at a time.
const AT_ONCE: usize = 64;

/// Times `samples` jobs that start a real shell in a real runner.
pub(super) async fn one_by_one(fleet: &BenchFleet, samples: usize) -> anyhow::Result<Latency> {
    let (mut permit, mut first_byte) = (Vec::new(), Vec::new());
    for n in 0..samples + 5 {
        let answer = fleet.post("/v1/probes", &json!({"echo": "first byte"})).await?;
        let accepted = Instant::now();
        let id = answer["run_id"].as_str().context("an id")?.to_owned();
        let mut stream = fleet.get(&format!("/v1/runs/{id}/logs")).await?.bytes_stream();
        let mut text = Vec::new();
        let mut seen = None;
        while let Some(chunk) = stream.next().await {
            text.extend_from_slice(&chunk?);
            if seen.is_none() && text.windows(10).any(|window| window == b"first byte") {
                seen = Some(accepted.elapsed());
            }
        }
        let view: RunView = ended_view(fleet, &id).await?;
        // The first ones warm the caches.
        if n >= 5 {
            first_byte.push(seen.context("the job printed nothing")?);
            let started = view.jobs[0].attempts[0].started_at.context("the job began")?;
            permit.push(Duration::try_from(started.duration_since(view.accepted_at))?);
        }
    }
    Ok(Latency { accepted_to_permit: quantiles(permit), accepted_to_first_byte: quantiles(first_byte) })
}

/// The view of a run that is over, as soon as it is.
pub(super) async fn ended_view(fleet: &BenchFleet, id: &str) -> anyhow::Result<RunView> {
    let run: RunId = id.parse()?;
    loop {
        match fleet.bus.views().get(run).await? {
            Some(view) if view.status.is_terminal() => return Ok(view),
            Some(_) | None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Pushes `jobs` no-op jobs through the ring and waits until the last one is over.
pub(super) async fn at_once(fleet: &BenchFleet, jobs: usize) -> anyhow::Result<Throughput> {
    let mut views = fleet.bus.views().watch().await?;
    while !matches!(views.next().await, Some(ViewEvent::CaughtUp) | None) {}
    let began = Instant::now();
    let submit = async {
        let mut ids = BTreeSet::new();
        let nothing = json!({});
        let mut posts = futures_util::stream::iter((0..jobs).map(|_| fleet.post("/v1/probes", &nothing))).buffer_unordered(AT_ONCE);
        while let Some(answer) = posts.next().await {
            ids.insert(answer?["run_id"].as_str().context("an id")?.parse::<RunId>()?);
        }
        anyhow::Ok((ids, began.elapsed()))
    };
    let watch = async {
        let mut over = BTreeSet::new();
        while over.len() < jobs {
            if let ViewEvent::Put(view) = views.next().await.context("the watch ended")?
                && view.status.is_terminal()
            {
                over.insert(view.id);
            }
        }
        anyhow::Ok((over, began.elapsed()))
    };
    let ((ids, accepted), (over, finished)) = tokio::try_join!(submit, watch)?;
    anyhow::ensure!(ids == over, "other runs than the bench's own were seen");
    let rate = |time: Duration| jobs as f64 / time.as_secs_f64();
    Ok(Throughput { jobs, requests_per_second: rate(accepted), jobs_per_second: rate(finished) })
}
