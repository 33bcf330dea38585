//! The figures of graphs, as a table for people and as JSON for machines.

use super::{
    Shape,
    measure::{Largest, Measured, Memory},
};
use crate::bench::report::Machine;
use serde::Serialize;
use std::fmt::Write as _;

/// An order of a large run may cost so much of one of the smallest.
const BUDGET: f64 = 1.5;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct DagReport {
    pub(super) machine: Machine,
    /// Of the workers without processes.
    pub(super) slots: usize,
    pub(super) figures: Vec<Figures>,
    pub(super) processes: Processes,
    /// In bytes, of all runs.
    pub(super) largest_message: usize,
}

/// Graphs of one shape and size.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    shape: Shape,
    orders: usize,
    accepted_after_ms: f64,
    orders_per_second: f64,
    scheduler_us_per_order: f64,
    /// Of the cost of an order in the smallest run of this shape.
    ratio: f64,
    scheduler_mib: Memory,
    messages: Largest,
    pub(super) largest_message: usize,
    log_read_back_ms: f64,
}

/// Orders that start a shell.
#[derive(Debug, Serialize)]
pub(super) struct Processes {
    orders: usize,
    orders_per_second: f64,
}

impl Figures {
    pub(super) fn of(shape: Shape, measured: Measured, base_us: f64) -> Self {
        let Largest { trigger, decision, view_or_page } = measured.largest;
        Self {
            shape,
            orders: measured.orders,
            accepted_after_ms: measured.accepted_after.as_secs_f64() * 1e3,
            orders_per_second: rate(measured),
            scheduler_us_per_order: measured.scheduler_us_per_order,
            ratio: measured.scheduler_us_per_order / base_us,
            scheduler_mib: measured.memory,
            messages: measured.largest,
            largest_message: trigger.max(decision).max(view_or_page),
            log_read_back_ms: measured.read_back.as_secs_f64() * 1e3,
        }
    }
}

impl From<Measured> for Processes {
    fn from(measured: Measured) -> Self {
        Self { orders: measured.orders, orders_per_second: rate(measured) }
    }
}

fn rate(measured: Measured) -> f64 {
    measured.orders as f64 / measured.took.as_secs_f64()
}

impl DagReport {
    /// A Markdown table.
    pub(super) fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!("{} cores, {:.0} GiB, {} build\n\n", machine.cores, machine.memory_gib, machine.build);
        text.push_str("| shape | orders | 202 after | orders/s | scheduler, an order | of the first size | met | ");
        text.push_str("scheduler MiB before, peak, after | largest: trigger, decision, view or page | log read back |\n");
        text.push_str("|---|---:|---:|---:|---:|---:|---|---:|---:|---:|\n");
        for row in &self.figures {
            let (memory, messages) = (row.scheduler_mib, row.messages);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} ms | {:.0} | {:.0} µs | {:.2} × | {} | {:.0}, {:.0}, {:.0} | {}, {}, {} KiB | {:.0} ms |",
                row.shape.word(),
                row.orders,
                row.accepted_after_ms,
                row.orders_per_second,
                row.scheduler_us_per_order,
                row.ratio,
                if row.ratio <= BUDGET { "yes" } else { "no" },
                memory.before,
                memory.peak,
                memory.after,
                messages.trigger / 1024,
                messages.decision / 1024,
                messages.view_or_page / 1024,
                row.log_read_back_ms,
            );
        }
        let processes = &self.processes;
        let _ = write!(
            text,
            "\nTaken by {} slots without processes; budget ≤ {BUDGET} × of the first size. {} orders that run `true` in a shell of \
             their own, by a real worker with {} slots: {:.0}/s.\n",
            self.slots,
            processes.orders,
            crate::bench::fleet::SLOTS,
            processes.orders_per_second
        );
        text
    }
}
