//! Which hard cases a stored decision shows.

use crate::{core::Core, order_rules, sometimes::Case};
use domain::run::{AttemptEnd, Event, Input, JobState, Run};
use proto::{
    JobNo,
    message::{AttemptOutcome, ReportWhat},
    sync::PAUSED,
};
use std::collections::BTreeMap;

/// Counts what a decision shows. `run` is as it was before.
pub(crate) fn decision(core: &Core, run: &Run, events: &[Event], input: Option<&Input>) {
    let ended = match input {
        Some(Input::Report { what: ReportWhat::Ended(outcome), .. }) => Some(outcome),
        _ => None,
    };
    let lost = matches!(input, Some(Input::WorkerLost { .. }));
    for event in events {
        let case = match event {
            Event::JobUnknown { .. } if lost => Case::UnknownReached,
            Event::JobUnknown { .. } if matches!(ended, Some(AttemptOutcome::Stopped { clean: false, .. })) => Case::KilledUnknown,
            Event::AttemptEnded { job, .. } if run.job(*job).is_some_and(|job| job.state == JobState::Unknown) => Case::LateResult,
            Event::Resolved { .. } => Case::SettledByPerson,
            Event::ApprovalExpired { .. } => Case::ApprovalExpired,
            Event::JobCancelled { .. } if ended.is_some() => Case::CancelWon,
            Event::JobFailed { failure, .. } if failure.kind == "worker_lost" => Case::RetriesExhausted,
            _ => continue,
        };
        core.met(case);
    }
    if run.orders.is_some() {
        of_orders(core, run, events, lost);
    }
    if run.syncs.is_some() {
        of_syncs(core, run, events);
    }
}

/// The same of a run of syncs.
fn of_syncs(core: &Core, run: &Run, events: &[Event]) {
    for event in events {
        let case = match event {
            Event::JobSuperseded { job, .. } if is(run, *job, JobState::Queued) => Case::SupersededQueued,
            Event::JobSuperseded { job, .. } if waits_for_lock(run, *job) => Case::SupersededInLine,
            Event::JobSuperseded { job, .. } if is_put_off(run, *job) => Case::PutOffSuperseded,
            Event::JobPostponed { .. } => Case::PutOff,
            Event::JobFailed { failure, .. } if failure.kind == PAUSED => Case::PutOffTooOften,
            Event::JobFailed { failure, .. } if failure.kind == "mapping" => Case::SyncsInCircle,
            Event::JobFailed { failure, .. } if failure.message.contains("names a service twice") => Case::ServiceTwice,
            Event::ReleaseMade { .. } => Case::ReleaseFirst,
            _ => continue,
        };
        core.met(case);
    }
}

fn is_put_off(run: &Run, no: JobNo) -> bool {
    run.job(no).and_then(|job| job.service.as_ref()).is_some_and(|service| service.not_before.is_some())
}

fn waits_for_lock(run: &Run, no: JobNo) -> bool {
    run.job(no).and_then(|job| job.service.as_ref()).is_some_and(|service| run.wants_lock(&service.lock))
}

/// The same of a run of orders.
fn of_orders(core: &Core, run: &Run, events: &[Event], lost: bool) {
    for event in events {
        let case = match event {
            Event::JobQueued { job, .. } if lost && run.job(*job).is_some_and(|job| job.state == JobState::Running) => {
                Case::OrderLostBefore
            }
            Event::JobUnknown { .. } if lost => Case::OrderLostAfter,
            Event::AttemptEnded { job, end: AttemptEnd::Succeeded, .. } if is(run, *job, JobState::Unknown) => Case::LateOrderResult,
            Event::JobTimedOut { failure, .. } if failure.kind == "timeout" => Case::OrderTimedOut,
            Event::JobTimedOut { failure, .. } if failure.kind == "watchdog" => Case::WatchdogFired,
            Event::TimeLimitReached => Case::TimeLimitReached,
            Event::JobFailed { job, .. } if run.job(*job).is_some_and(|job| job.is_optional() && !job.feeds.is_empty()) => {
                Case::OptionalFailed
            }
            Event::OrdersSkipped { orders } if depth(run, orders) >= 3 => Case::DeepCascade,
            Event::JobQueued { job, .. } if order_rules::has_failed_need(run, *job) => Case::OptionalAfterFailure,
            _ => continue,
        };
        core.met(case);
    }
}

fn is(run: &Run, no: JobNo, state: JobState) -> bool {
    run.job(no).is_some_and(|job| job.state == state)
}

/// How many levels of orders a cascade closed.
fn depth(run: &Run, orders: &[JobNo]) -> usize {
    let mut levels: BTreeMap<JobNo, usize> = BTreeMap::new();
    // An order may stand before one that it needs: as often as there are orders, each is right at the end.
    for _ in orders {
        for no in orders {
            let needs = run.job(*no).map(|job| job.needs.as_slice()).unwrap_or_default();
            let above = needs.iter().filter_map(|need| levels.get(need)).max().copied().unwrap_or(0);
            levels.insert(*no, above + 1);
        }
    }
    levels.into_values().max().unwrap_or(0)
}
