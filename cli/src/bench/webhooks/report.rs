//! The figures of webhooks, for people and for machines.

use super::load::Sent;
use crate::bench::{
    Usage,
    report::{Machine, Quantiles, quantiles},
};
use serde::Serialize;
use std::fmt::Write as _;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct WebhooksReport {
    pub(super) machine: Machine,
    /// Pushes a second that were sent.
    pub(super) rate: u32,
    pub(super) bytes: usize,
    pub(super) alone: Phase,
    /// Beside a flood from one address, and from many.
    pub(super) flooded: Phase,
    pub(super) spread: Phase,
}

/// A part of it.
#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub(super) accepted: usize,
    /// Not answered with 2xx.
    pub(super) refused: u64,
    /// Answered with 2xx, and not in the store.
    pub(super) lost: u64,
    pub(super) per_second: f64,
    pub(super) answered: Quantiles,
    /// The gateway's resident memory before, at most, and after, in MiB.
    pub(super) memory_mib: [f64; 3],
    /// Of the gateway, for one push, in microseconds.
    pub(super) processor_us: f64,
    /// Bad signatures that were refused, a second.
    pub(super) flood_per_second: Option<f64>,
}

impl Phase {
    pub(super) fn of(sent: Sent, lost: u64, flood_per_second: Option<f64>, (before, after, peak): (Usage, Usage, f64)) -> Self {
        let accepted = sent.runs.len();
        Self {
            accepted,
            refused: sent.refused,
            lost,
            per_second: accepted as f64 / sent.took.as_secs_f64(),
            answered: quantiles(sent.times),
            memory_mib: [before.resident_mib, peak, after.resident_mib],
            processor_us: (after.processor_us - before.processor_us) / accepted.max(1) as f64,
            flood_per_second,
        }
    }
}

impl WebhooksReport {
    /// A Markdown table.
    pub(crate) fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!("{} cores, {:.0} GiB, {} build\n\n", machine.cores, machine.memory_gib, machine.build);
        text.push_str("| what | measured | budget | met |\n|---|---|---|---|\n");
        for (what, measured, budget, met) in self.rows() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {what} | {measured} | {budget} | {} |", if met { "yes" } else { "no" });
        }
        text
    }

    fn rows(&self) -> Vec<(String, String, String, bool)> {
        let (alone, flooded, spread) = (&self.alone, &self.flooded, &self.spread);
        let all = |phase: &Phase| phase.lost == 0 && phase.refused == 0;
        let beside = |phase: &Phase, whence: &str| {
            let ratio = phase.answered.p99_ms / alone.answered.p99_ms;
            (
                format!("the same beside {:.0} bad signatures a second {whence}", phase.flood_per_second.unwrap_or_default()),
                format!("p50 {:.1} ms, p99 {:.1} ms: {ratio:.2} ×", phase.answered.p50_ms, phase.answered.p99_ms),
                "p99 ≤ 2 × of that without".to_owned(),
                ratio <= 2.0 && all(phase),
            )
        };
        let memory = |phase: &Phase| {
            let [before, peak, after] = phase.memory_mib;
            format!("{before:.0}, {peak:.0}, {after:.0} MiB")
        };
        vec![
            (
                format!("pushes of {} bytes, {} a second: sent → stored and answered", self.bytes, self.rate),
                format!("p50 {:.1} ms, p99 {:.1} ms; {:.0}/s", alone.answered.p50_ms, alone.answered.p99_ms, alone.per_second),
                "p99 ≤ 50 ms at 300/s".to_owned(),
                alone.answered.p99_ms <= 50.0,
            ),
            (
                "of them in the store".to_owned(),
                format!("{} accepted, {} refused, {} lost", alone.accepted, alone.refused, alone.lost),
                "none refused, none lost".to_owned(),
                all(alone),
            ),
            beside(flooded, "from one address"),
            beside(spread, "from many addresses"),
            (
                "the gateway's memory before, at most, after".to_owned(),
                format!("{}; with a flood {}, {}", memory(alone), memory(flooded), memory(spread)),
                "flat: at most 32 MiB more".to_owned(),
                // Many addresses are as many connections, which take what they take; they are shown.
                [alone, flooded].iter().all(|phase| phase.memory_mib[1] - phase.memory_mib[0] <= 32.0),
            ),
            ("the gateway's processor time for a push".to_owned(), format!("{:.0} µs", alone.processor_us), "-".to_owned(), true),
        ]
    }
}
