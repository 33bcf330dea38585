//! Which events a run shows.

use proto::{
    message::RunSpec,
    sync::ReleaseKind,
    view::{RunStatus, RunView},
};

/// Those that are so now, in the order in which they are told.
pub(super) fn shown(view: &RunView) -> Vec<&'static str> {
    let made = view.syncs.as_ref().and_then(|syncs| syncs.release.as_ref()).is_some_and(|release| match release.kind {
        ReleaseKind::Staging | ReleaseKind::Production | ReleaseKind::Hotfix => !release.existed,
        ReleaseKind::Rollback => false,
    });
    made.then_some("release.made").into_iter().chain(of_status(view)).collect()
}

fn of_status(view: &RunView) -> Option<&'static str> {
    use RunStatus::{AwaitingApproval, Cancelled, Failed, Running, Success, TimedOut, Unknown};
    Some(match (&view.spec, view.status) {
        (RunSpec::Probe(_), _) | (_, Running) => return None,
        (_, Unknown) => "run.unknown",
        (_, AwaitingApproval) => "run.awaiting_approval",
        (RunSpec::Sync(_), Success) => "sync.succeeded",
        (RunSpec::Sync(_), Failed) => "sync.failed",
        (RunSpec::Sync(_), TimedOut) => "sync.timed_out",
        (RunSpec::Sync(_), Cancelled) => "sync.cancelled",
        (RunSpec::Terraform(_), Success) => "terraform.succeeded",
        (RunSpec::Terraform(_), Failed) => "terraform.failed",
        (RunSpec::Terraform(_), TimedOut) => "terraform.timed_out",
        (RunSpec::Terraform(_), Cancelled) => "terraform.cancelled",
        (RunSpec::Orders(_), Success) => "orders.succeeded",
        (RunSpec::Orders(_), Failed) => "orders.failed",
        (RunSpec::Orders(_), TimedOut) => "orders.timed_out",
        (RunSpec::Orders(_), Cancelled) => "orders.cancelled",
    })
}
