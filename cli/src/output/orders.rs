//! Words about orders: how many stand how, what moved, how a run of them ended, and what a job would be.

use std::collections::BTreeMap;

use domain::orders::ValidJob;
use proto::orders::{DoneMarker, OrderCounts, order_num};
use proto::view::JobView;
use serde::Serialize;

use super::levels::Levels;
use super::style::{Ink, Style};
use super::{ansi, time, words};

/// Whether a job of this status changes no more.
pub(crate) fn is_over(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "timed_out" | "cancelled" | "skipped")
}

/// `1 order`, `3 orders`.
pub(crate) fn number(count: usize) -> String {
    if count == 1 { "1 order".into() } else { format!("{count} orders") }
}

/// How many stand how, what needs a look first: `1 failed, 2 running, 30 succeeded`.
pub(crate) fn counts(counts: &OrderCounts, style: Style) -> String {
    let all = [
        ("failed", counts.failed),
        ("timed_out", counts.timed_out),
        ("unknown", counts.unknown),
        ("running", counts.running),
        ("queued", counts.queued),
        ("ready", counts.ready),
        ("blocked", counts.blocked),
        ("cancelled", counts.cancelled),
        ("succeeded", counts.succeeded),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    let told: Vec<String> = some.map(|(status, count)| style.paint(words::job_ink(status), &format!("{count} {}", word(status)))).collect();
    if told.is_empty() { "none yet".into() } else { told.join(", ") }
}

/// A job's status as people read it.
pub(crate) fn word(status: &str) -> String {
    ansi::plain(status).replace('_', " ")
}

/// A line about an order that went out, or ended, or is unknown; what only waits is no news.
pub(crate) fn moved(job: &JobView, style: Style) -> Option<String> {
    let status = job.status.as_str();
    let last = job.attempts.last();
    let how = match status {
        "running" => last.and_then(|attempt| attempt.worker.as_ref()).map_or_else(String::new, |worker| format!(" on {worker}")),
        _ if is_over(status) || status == "unknown" => {
            let times = last.and_then(|attempt| attempt.started_at.zip(attempt.ended_at));
            let span = times.map_or_else(String::new, |(start, end)| format!(" after {}", time::span(start, end)));
            format!("{span}{}", why(job).map_or_else(String::new, |why| format!(": {why}")))
        }
        _ => return None,
    };
    let status = style.paint(words::job_ink(status), &word(status));
    Some(format!("{}  {}  {status}{how}", order_num(job.n), ansi::plain(&job.name)))
}

/// Why a job failed, in one line.
pub(super) fn why(job: &JobView) -> Option<String> {
    job.failure.as_ref().map(|failure| ansi::plain(failure.message.lines().next().unwrap_or_default())).filter(|why| !why.is_empty())
}

/// How a run of orders ended.
pub(crate) fn ending(marker: &DoneMarker, style: Style) -> String {
    let summary = &marker.summary;
    let mut told = format!("{} succeeded, {} failed, {} timed out", summary.succeeded, summary.failed, summary.timed_out);
    if summary.cancelled > 0 {
        told = format!("{told}, {} cancelled", summary.cancelled);
    }
    format!("{}: {told}", style.paint(words::job_ink(&marker.status), &word(&marker.status)))
}

/// What a valid job would be.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    orders: usize,
    /// Of those.
    optional: usize,
    /// Who needs whom, counted.
    dependencies: usize,
    levels: usize,
    widest_level: usize,
    /// Names of orders, each needing the one before it.
    longest_chain: Vec<String>,
    /// How many orders go to each pool.
    pools: BTreeMap<String, usize>,
    max_parallel: u32,
    job_timeout_seconds: u32,
}

impl Summary {
    /// Of a job that was checked.
    pub(crate) fn of(job: &ValidJob) -> Self {
        let nodes = &job.spec.graph.0;
        let needs: Vec<Vec<usize>> = nodes.iter().map(|node| node.needs.iter().map(|need| need.0 as usize).collect()).collect();
        let levels = Levels::of(&needs);
        let mut pools = BTreeMap::new();
        for node in nodes {
            *pools.entry(node.pool.to_string()).or_default() += 1;
        }
        Self {
            orders: nodes.len(),
            optional: nodes.iter().filter(|node| node.optional).count(),
            dependencies: needs.iter().map(Vec::len).sum(),
            levels: levels.levels.len(),
            widest_level: levels.widest(),
            longest_chain: levels.longest_chain().into_iter().map(|node| nodes[node].name.clone()).collect(),
            pools,
            max_parallel: job.spec.max_parallel,
            job_timeout_seconds: job.spec.job_timeout_s,
        }
    }

    /// For people.
    pub(crate) fn text(&self, style: Style) -> String {
        let pools: Vec<String> = self.pools.iter().map(|(pool, count)| format!("{} in pool {pool}", number(*count))).collect();
        let optional = if self.optional > 0 { format!(", {} of them optional", self.optional) } else { String::new() };
        let fields = [
            ("orders", format!("{}{optional}", self.orders)),
            ("dependencies", self.dependencies.to_string()),
            ("levels", format!("{}, the widest with {}", self.levels, number(self.widest_level))),
            ("longest chain", chain(&self.longest_chain)),
            ("pools", pools.join(", ")),
            ("at a time", self.max_parallel.to_string()),
            ("time limit", format!("{} s", self.job_timeout_seconds)),
        ];
        let lines = fields.into_iter().map(|(name, value)| format!("  {}  {value}", style.paint(Ink::Dim, &format!("{name:<13}"))));
        std::iter::once(style.paint(Ink::Good, "the job is valid")).chain(lines).collect::<Vec<_>>().join("\n")
    }
}

/// `a -> b -> c`; of a long one its ends.
fn chain(names: &[String]) -> String {
    const ENDS: usize = 4;
    let shown = |names: &[String]| names.iter().map(|name| ansi::plain(name)).collect::<Vec<_>>().join(" -> ");
    if names.len() <= 2 * ENDS + 1 {
        return shown(names);
    }
    let (first, last) = (&names[..ENDS], &names[names.len() - ENDS..]);
    format!("{} -> … {} more … -> {}", shown(first), names.len() - 2 * ENDS, shown(last))
}
