//! What is counted of a run of orders while it goes on, and what its end follows from: counted afresh after each decision.

use crate::{
    oracle::Oracle,
    order_rules::{all_in, is_out, node},
};
use domain::run::{Ending, JobState, Missed, Run};
use proto::{JobNo, PoolName, orders::OrderCounts};
use std::collections::BTreeMap;

/// What is counted on the way is what counting afresh gives.
pub(crate) fn counted(oracle: &mut Oracle, run: &Run) {
    let Some(orders) = &run.orders else { return };
    let id = run.id;
    let count = |wanted: &[JobState]| run.jobs.iter().filter(|job| wanted.contains(&job.state)).count() as u32;
    let counts = OrderCounts {
        total: run.jobs.len() as u32,
        blocked: count(&[JobState::Blocked]),
        ready: 0,
        queued: count(&[JobState::Queued]),
        running: count(&[JobState::Running]),
        unknown: count(&[JobState::Unknown]),
        succeeded: count(&[JobState::Succeeded]),
        failed: count(&[JobState::Failed, JobState::Skipped]),
        timed_out: count(&[JobState::TimedOut]),
        cancelled: count(&[JobState::Cancelled]),
    };
    oracle.must(orders.counts == counts, || format!("O9: {id} counts {:?}, and it is {counts:?}", orders.counts));
    let mut out: BTreeMap<PoolName, u32> = BTreeMap::new();
    for no in all_in(run, is_out) {
        if let Some(node) = node(run, no) {
            *out.entry(node.pool.clone()).or_default() += 1;
        }
    }
    let told: BTreeMap<PoolName, u32> = orders.out.iter().filter(|(_, out)| **out > 0).map(|(pool, out)| (pool.clone(), *out)).collect();
    oracle.must(told == out, || format!("O4: {id} says that {told:?} are out, and {out:?} are"));
    let open = run.jobs.iter().filter(|job| !job.state.is_over()).count() as u32;
    oracle.must(run.open_jobs == open, || format!("O9: {id} says that {} orders are open, and {open} are", run.open_jobs));
    oracle.must(run.unknown_jobs == counts.unknown, || format!("O9: {id} says that {} orders are unknown", run.unknown_jobs));
    let missed = missed(run);
    oracle.must(orders.missed == missed, || {
        format!("O8: {id} says that {:?} of what must succeed did not, and {missed:?} is so", orders.missed)
    });
}

fn missed(run: &Run) -> Missed {
    let must = |wanted: &[JobState]| {
        let is = |no: &JobNo| node(run, *no).is_some_and(|node| !node.optional);
        all_in(run, |state| wanted.contains(&state)).filter(is).count() as u32
    };
    Missed { failed: must(&[JobState::Failed, JobState::Skipped]), timed_out: must(&[JobState::TimedOut]) }
}

/// Whether the run ended when its orders did, and as they say.
pub(crate) fn ended(oracle: &mut Oracle, run: &Run) {
    let id = run.id;
    let all_over = run.jobs.iter().all(|job| job.state.is_over());
    let Some((_, ending)) = run.ended else {
        return oracle.must(!all_over, || format!("O8: every order of {id} is over, and the run is not"));
    };
    oracle.must(all_over, || format!("O8: {id} is over, and an order of it is not"));
    let missed = missed(run);
    let expected = if missed.timed_out > 0 || run.orders.as_ref().is_some_and(|orders| orders.timed_out) {
        Ending::TimedOut
    } else if missed.failed > 0 {
        Ending::Failed
    } else if run.jobs.iter().any(|job| job.state == JobState::Cancelled) {
        Ending::Cancelled
    } else {
        Ending::Success
    };
    oracle.must(ending == expected, || format!("O8: {id} ended as {ending:?}, and its orders say {expected:?}"));
}
