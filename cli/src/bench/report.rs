//! The figures, as a table for people and as JSON for machines, each beside its budget.

use bus::Floor;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(super) machine: Machine,
    pub(super) floor: FloorFigures,
    pub(super) latency: Latency,
    pub(super) throughput: Throughput,
    pub(super) logs: Logs,
    pub(super) terraform: Vec<TerraformCost>,
    /// Resident memory at idle, MiB, by role.
    pub(super) memory: BTreeMap<String, f64>,
}

/// The machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) build: &'static str,
}

/// Median and 99th percentile, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct FloorFigures {
    pub(super) start: Quantiles,
    pub(super) jobs_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) accepted_to_permit: Quantiles,
    pub(super) accepted_to_first_byte: Quantiles,
}

#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    pub(super) jobs: usize,
    pub(super) requests_per_second: f64,
    pub(super) jobs_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Logs {
    /// Printed → stored: the worker's own rate.
    pub(super) worker_megabytes_per_second: f64,
    /// Printed → in a reader's hand, line by line as events.
    pub(super) reader_megabytes_per_second: f64,
    pub(super) line_latency: Quantiles,
}

#[derive(Debug, Serialize)]
pub(super) struct TerraformCost {
    pub(super) tool: String,
    pub(super) path: String,
    pub(super) runs: usize,
    pub(super) through_navvy_ms: f64,
    pub(super) by_hand_ms: f64,
    pub(super) ratio: f64,
}

impl From<Floor> for FloorFigures {
    fn from(floor: Floor) -> Self {
        Self { start: Quantiles { p50_ms: ms(floor.start_p50), p99_ms: ms(floor.start_p99) }, jobs_per_second: floor.jobs_per_second }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Median and 99th percentile.
pub(super) fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort_unstable();
    let at =
        |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).copied().unwrap_or_default();
    Quantiles { p50_ms: ms(at(0.5)), p99_ms: ms(at(0.99)) }
}

/// This machine.
pub(super) fn machine() -> Machine {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: f64 =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default();
    Machine {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: kib / 1024.0 / 1024.0,
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
    }
}

/// One line of the table.
struct Row {
    what: String,
    measured: String,
    budget: String,
    met: bool,
}

impl Report {
    /// A Markdown table.
    pub(crate) fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!("{} cores, {:.0} GiB, {} build\n\n", machine.cores, machine.memory_gib, machine.build);
        text.push_str("| what | measured | budget | met |\n|---|---|---|---|\n");
        for row in self.rows() {
            let met = if row.met { "yes" } else { "no" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} | {} | {} | {met} |", row.what, row.measured, row.budget);
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![self.permit_row(), self.first_byte_row(), self.rate_row()];
        rows.extend(self.log_rows());
        rows.extend(self.terraform.iter().map(TerraformCost::row));
        rows.extend(self.memory.iter().map(|(role, used)| memory_row(role, *used)));
        rows
    }

    fn permit_row(&self) -> Row {
        let (ours, floor) = (self.latency.accepted_to_permit, self.floor.start);
        let ratio = ours.p50_ms / floor.p50_ms;
        Row {
            what: "request accepted → permit".to_owned(),
            measured: format!(
                "p50 {:.2} ms, p99 {:.2} ms; bare pipeline p50 {:.2} ms, p99 {:.2} ms: {ratio:.2} ×",
                ours.p50_ms, ours.p99_ms, floor.p50_ms, floor.p99_ms
            ),
            budget: "≤ 3 × the bare pipeline".to_owned(),
            met: ratio <= 3.0,
        }
    }

    fn first_byte_row(&self) -> Row {
        let ours = self.latency.accepted_to_first_byte;
        Row {
            what: "request accepted → first byte of output at a reader".to_owned(),
            measured: format!("p50 {:.1} ms, p99 {:.1} ms", ours.p50_ms, ours.p99_ms),
            budget: "p50 ≤ 10 ms, p99 ≤ 40 ms".to_owned(),
            met: ours.p50_ms <= 10.0 && ours.p99_ms <= 40.0,
        }
    }

    fn rate_row(&self) -> Row {
        let (ours, floor) = (self.throughput.jobs_per_second, self.floor.jobs_per_second);
        let share = ours / floor * 100.0;
        let requests = self.throughput.requests_per_second;
        Row {
            what: format!("{} no-op jobs through the whole ring", self.throughput.jobs),
            measured: format!("{ours:.0}/s; bare pipeline {floor:.0}/s: {share:.0} %; requests answered at {requests:.0}/s"),
            budget: "≥ 50 % of the bare pipeline".to_owned(),
            met: share >= 50.0,
        }
    }

    fn log_rows(&self) -> [Row; 2] {
        let late = self.logs.line_latency;
        let rate = self.logs.worker_megabytes_per_second;
        let read = self.logs.reader_megabytes_per_second;
        [
            Row {
                what: "output of one job, masked and stored".to_owned(),
                measured: format!("{rate:.0} MB/s; in a reader's hand, as events: {read:.0} MB/s"),
                budget: "≥ 50 MB/s through one worker".to_owned(),
                met: rate >= 50.0,
            },
            Row {
                what: "line printed → reader".to_owned(),
                measured: format!("p50 {:.1} ms, p99 {:.1} ms", late.p50_ms, late.p99_ms),
                budget: "p99 ≤ 250 ms".to_owned(),
                met: late.p99_ms <= 250.0,
            },
        ]
    }
}

impl TerraformCost {
    fn row(&self) -> Row {
        Row {
            what: format!("{} in `{}`: clone, init, plan, apply, output (median of {})", self.tool, self.path, self.runs),
            measured: format!("{:.0} ms; by hand {:.0} ms: {:.2} ×", self.through_navvy_ms, self.by_hand_ms, self.ratio),
            budget: "≤ 1.10 ×".to_owned(),
            met: self.ratio <= 1.10,
        }
    }
}

fn memory_row(role: &str, used: f64) -> Row {
    let budget = if role == "worker" { 30.0 } else { 40.0 };
    Row {
        what: format!("{role}, memory at idle"),
        measured: format!("{used:.1} MiB"),
        budget: format!("≤ {budget:.0} MiB"),
        met: used <= budget,
    }
}
