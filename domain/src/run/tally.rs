//! What is counted and kept of the orders of a run while they move, so that each decision costs what it touches.

use super::orders::{Missed, Orders};
use super::state::{Job, JobState};
use crate::planted::planted;
use proto::{JobNo, message::RunSpec, orders::OrderCounts};

/// The tally of a run that has just been made; `None`: it is no run of orders.
pub(super) fn of(spec: &RunSpec, jobs: &[Job]) -> Option<Orders> {
    match spec {
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => return None,
        RunSpec::Orders(_) => {}
    }
    let total = jobs.len() as u32;
    let mut orders = Orders { counts: OrderCounts { total, blocked: total, ..OrderCounts::default() }, ..Orders::default() };
    for (no, job) in (0_u32..).zip(jobs) {
        maybe_ready(&mut orders, JobNo(no), job);
    }
    Some(orders)
}

/// An order that needs nothing any more waits for a place from now on.
pub(super) fn maybe_ready(orders: &mut Orders, no: JobNo, job: &Job) {
    let Some(order) = &job.order else { return };
    let met = job.unmet == 0 || (planted!(OneNeedIsEnough) && (job.unmet as usize) < job.needs.len());
    if job.state == JobState::Blocked && met {
        orders.ready.entry(order.pool.clone()).or_default().insert(no);
    }
}

/// An order moved from `from` to where it is now.
pub(super) fn moved(orders: &mut Orders, no: JobNo, job: &Job, from: JobState) {
    let Some(order) = &job.order else { return };
    let to = job.state;
    if let Some(count) = place(&mut orders.counts, from) {
        *count = count.saturating_sub(1);
    }
    if let Some(count) = place(&mut orders.counts, to) {
        *count += 1;
    }
    if from == JobState::Blocked && to != JobState::Blocked {
        take_out(orders, no, job);
    }
    match (takes_place(from), takes_place(to)) {
        (false, true) => *orders.out.entry(order.pool.clone()).or_default() += 1,
        (true, false) => {
            if let Some(out) = orders.out.get_mut(&order.pool) {
                *out = out.saturating_sub(1);
            }
        }
        (true, true) | (false, false) => {}
    }
    if !order.optional || planted!(OptionalDecides) {
        count_missed(&mut orders.missed, to);
    }
}

fn take_out(orders: &mut Orders, no: JobNo, job: &Job) {
    let Some(order) = &job.order else { return };
    if let Some(ready) = orders.ready.get_mut(&order.pool) {
        ready.remove(&no);
        if ready.is_empty() {
            orders.ready.remove(&order.pool);
        }
    }
}

fn count_missed(missed: &mut Missed, to: JobState) {
    match to {
        JobState::Failed | JobState::Skipped => missed.failed += 1,
        JobState::TimedOut => missed.timed_out += 1,
        JobState::Blocked
        | JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Unknown
        | JobState::Succeeded
        | JobState::Superseded
        | JobState::Cancelled => {}
    }
}

/// Whether an order in this state takes one of the places there are. One that was lost may still run.
fn takes_place(state: JobState) -> bool {
    match state {
        JobState::Unknown if planted!(LostGivesItsPlace) => false,
        JobState::Queued | JobState::Running | JobState::Unknown => true,
        JobState::Blocked
        | JobState::Waiting
        | JobState::Succeeded
        | JobState::Failed
        | JobState::TimedOut
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Superseded => false,
    }
}

fn place(counts: &mut OrderCounts, state: JobState) -> Option<&mut u32> {
    match state {
        JobState::Blocked => Some(&mut counts.blocked),
        JobState::Queued => Some(&mut counts.queued),
        JobState::Running => Some(&mut counts.running),
        JobState::Unknown => Some(&mut counts.unknown),
        JobState::Succeeded => Some(&mut counts.succeeded),
        // The replaced engine's word for an order one of whose needs did not succeed is `failed`.
        JobState::Failed | JobState::Skipped => Some(&mut counts.failed),
        JobState::TimedOut => Some(&mut counts.timed_out),
        JobState::Cancelled => Some(&mut counts.cancelled),
        // No order is a gate, or superseded.
        JobState::Waiting | JobState::Superseded => None,
    }
}
