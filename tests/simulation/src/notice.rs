//! Which hard cases a stored decision shows.

use crate::{core::Core, sometimes::Case};
use domain::run::{Event, Input, JobState, Run};
use proto::message::{AttemptOutcome, ReportWhat};

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
}
