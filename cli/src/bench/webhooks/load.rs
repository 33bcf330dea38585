//! The load: pushes that are signed as GitHub signs them, and what becomes of them.

use crate::bench::usage;
use anyhow::Context as _;
use bus::Bus;
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::RunId;
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};

/// Looks into the store at a time.
const LOOKS: usize = 64;
/// How often memory is looked at.
const LOOK_AT_MEMORY: Duration = Duration::from_millis(250);

/// Who sends, and where to.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) url: String,
    pub(super) http: reqwest::Client,
    pub(super) secret: String,
    pub(super) bytes: usize,
}

/// What came of pushes.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// From when each was due to its answer.
    pub(super) times: Vec<Duration>,
    pub(super) runs: Vec<RunId>,
    /// Answers that were no 2xx, and requests without an answer.
    pub(super) refused: u64,
    pub(super) took: Duration,
}

impl Load {
    /// Sends pushes for a while. `part` tells those of one part from those of another.
    pub(super) async fn run(&self, rate: u32, time: Duration, part: u32) -> anyhow::Result<Sent> {
        let count = u64::from(rate) * time.as_secs();
        let began = Instant::now();
        let mut under_way: JoinSet<(Duration, Option<RunId>)> = JoinSet::new();
        let mut sent = Sent::default();
        for n in 0..count {
            let due = began + Duration::from_secs_f64(n as f64 / f64::from(rate));
            tokio::time::sleep_until(due.into()).await;
            let (load, number) = (self.clone(), u64::from(part) * 10_000_000 + n);
            under_way.spawn(async move {
                let run = load.push(number).await.ok().flatten();
                (due.elapsed(), run)
            });
            while let Some(done) = under_way.try_join_next() {
                sent.note(done?);
            }
        }
        while let Some(done) = under_way.join_next().await {
            sent.note(done?);
        }
        sent.took = began.elapsed();
        Ok(sent)
    }

    /// One push; the run that it became.
    async fn push(&self, number: u64) -> anyhow::Result<Option<RunId>> {
        let body = self.body(number)?;
        let signature = sign(&self.secret, &body);
        let answer = self.request(body, &signature, number).send().await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let told: Value = answer.json().await?;
        Ok(Some(told["run_id"].as_str().context("a run")?.parse()?))
    }

    fn request(&self, body: Vec<u8>, signature: &str, number: u64) -> reqwest::RequestBuilder {
        let request = self.http.post(&self.url).header("content-type", "application/json").header("x-github-event", "push");
        request.header("x-github-delivery", format!("bench-{number}")).header("x-hub-signature-256", signature).body(body)
    }

    /// A push of its own, as long as asked for.
    pub(super) fn body(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let (before, after) = (format!("{number:040x}"), format!("{:040x}", number + 1));
        let mut push = json!({
            "ref": "refs/heads/main", "before": before, "after": after, "created": false, "deleted": false, "forced": false,
            "repository": {"id": 1, "full_name": "acme/infra"}, "pusher": {"name": "bench"}, "sender": {"login": "bench"},
            "head_commit": {"id": after}, "commits": [],
        });
        let commit = |n: usize| json!({"id": after, "message": "change", "added": [], "removed": [], "modified": [format!("platform/01.postgres/file-{n}.yaml")]});
        let (one, empty) = (serde_json::to_vec(&commit(1_000))?.len() + 1, serde_json::to_vec(&push)?.len());
        push["commits"] = (0..self.bytes.saturating_sub(empty) / one).map(commit).collect();
        Ok(serde_json::to_vec(&push)?)
    }
}

impl Sent {
    fn note(&mut self, (time, run): (Duration, Option<RunId>)) {
        match run {
            Some(run) => {
                self.times.push(time);
                self.runs.push(run);
            }
            None => self.refused += 1,
        }
    }
}

pub(super) fn sign(secret: &str, body: &[u8]) -> String {
    // Any length of key will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Runs that were answered 2xx and are not in the store.
pub(super) async fn lost(bus: &Bus, runs: &[RunId]) -> anyhow::Result<u64> {
    let looks = futures_util::stream::iter(runs.iter().map(|run| async { bus.inbox().first_trigger(*run).await }));
    let mut looks = looks.buffer_unordered(LOOKS);
    let mut lost = 0;
    while let Some(found) = looks.next().await {
        lost += u64::from(found?.is_none());
    }
    Ok(lost)
}

/// Looks at a process's memory until told to stop.
pub(super) struct Watch {
    task: JoinHandle<()>,
    peak_kib: Arc<AtomicU64>,
}

pub(super) fn watch_memory(pid: u32) -> Watch {
    let peak_kib = Arc::new(AtomicU64::new(0));
    let seen = peak_kib.clone();
    let task = tokio::spawn(async move {
        loop {
            if let Ok(now) = usage(pid) {
                seen.fetch_max((now.resident_mib * 1024.0) as u64, Ordering::Relaxed);
            }
            tokio::time::sleep(LOOK_AT_MEMORY).await;
        }
    });
    Watch { task, peak_kib }
}

impl Watch {
    /// The most that was seen, in MiB.
    pub(super) async fn stop(self) -> f64 {
        self.task.abort();
        let _ = self.task.await;
        self.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}
