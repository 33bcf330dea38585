//! A job's output: how many bytes a second reach a reader, how late a line comes.

use super::{
    fleet::BenchFleet,
    report::{Logs, quantiles},
};
use anyhow::Context as _;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TICKS: u32 = 200;

pub(super) async fn measure(fleet: &BenchFleet, noise: u64) -> anyhow::Result<Logs> {
    // Once with nobody looking, once with a reader: on a small machine the reader takes its share.
    let probe = json!({"echo": "noise", "noise_bytes": noise});
    let answer = fleet.post("/v1/probes", &probe).await?;
    let view = super::jobs::ended_view(fleet, answer["run_id"].as_str().context("an id")?).await?;
    let attempt = &view.jobs[0].attempts[0];
    let (began, ended) = attempt.started_at.zip(attempt.ended_at).context("the job began and ended")?;
    let busy = Duration::try_from(ended.duration_since(began))?;
    let (bytes, took, _) = read(fleet, &probe).await?;
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
    let (.., late) = read(fleet, &json!({"echo": "ticks", "ticks": TICKS})).await?;
    anyhow::ensure!(late.len() == TICKS as usize, "{} of {TICKS} lines arrived", late.len());
    Ok(Logs { worker_megabytes_per_second: rate(busy), reader_megabytes_per_second: rate(took), line_latency: quantiles(late) })
}

/// Follows a probe's log from its first line to its end: its bytes, the time, and how late lines with a time arrived.
async fn read(fleet: &BenchFleet, probe: &Value) -> anyhow::Result<(u64, Duration, Vec<Duration>)> {
    let answer = fleet.post("/v1/probes", probe).await?;
    let id = answer["run_id"].as_str().context("an id")?.to_owned();
    let mut stream = fleet.get(&format!("/v1/runs/{id}/logs")).await?.bytes_stream();
    let (mut bytes, mut late, mut began, mut rest) = (0, Vec::new(), None, Vec::new());
    while let Some(chunk) = stream.next().await {
        let arrived = SystemTime::now().duration_since(UNIX_EPOCH)?;
        rest.extend_from_slice(&chunk?);
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in rest[..end].split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            began.get_or_insert_with(Instant::now);
            bytes += data.len() as u64 + 1;
            // Only lines that are a time of this century, in nanoseconds.
            let time = std::str::from_utf8(data).ok().filter(|text| text.len() == 19).and_then(|text| text.parse().ok());
            late.extend(time.map(|time| arrived.saturating_sub(Duration::from_nanos(time))));
        }
        rest.drain(..end);
    }
    Ok((bytes, began.context("nothing was printed")?.elapsed(), late))
}
