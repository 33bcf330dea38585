//! What went wrong with Dokploy, as a sync tells it: what is so far not touched or not deployed, and what to do.

use super::{client::ApiError, remote::NoPlace};
use crate::sync::floor::{Floor, failed};
use proto::message::AttemptOutcome;
use services::backoff::REMOTE_UNREADABLE;

/// `so_far` says what was done until then.
pub(super) fn no_place(floor: &impl Floor, error: &NoPlace, so_far: &str) -> AttemptOutcome {
    match error {
        NoPlace::Api(error) => unreadable(floor, error),
        NoPlace::Ambiguous { .. } => {
            failed(floor, "dokploy_ambiguous", &format!("{error}; {so_far}"), "Rename or remove all but one in Dokploy.")
        }
    }
}

pub(super) fn unreadable(floor: &impl Floor, error: &ApiError) -> AttemptOutcome {
    let message = format!("what is deployed cannot be read, so that nothing is deployed: {error}");
    failed(floor, kind(error), &message, next_action(error))
}

/// After the last word, but before anything was deployed.
pub(super) fn nothing_deployed(floor: &impl Floor, error: &ApiError) -> AttemptOutcome {
    failed(floor, kind(error), &format!("nothing was deployed: {error}"), next_action(error))
}

/// Somebody made the service while this sync made what it stands in.
pub(super) fn appeared(floor: &impl Floor) -> AttemptOutcome {
    let message = "nothing was deployed: the service was made in Dokploy by somebody else since this sync looked";
    failed(floor, REMOTE_UNREADABLE, message, "Run the sync again: it reads what stands there now.")
}

pub(super) fn vanished(floor: &impl Floor, what: &str) -> AttemptOutcome {
    let message = format!("nothing was deployed: the {what} that was just made in Dokploy is not there");
    failed(floor, REMOTE_UNREADABLE, &message, "Run the sync again when Dokploy is well.")
}

pub(super) fn kind(error: &ApiError) -> &'static str {
    match error {
        ApiError::LeftAlone(_) | ApiError::NoAnswer { .. } | ApiError::Garbled { .. } => REMOTE_UNREADABLE,
        ApiError::KeyRefused { .. } => "dokploy_auth_failed",
        ApiError::Refused { .. } => "dokploy_refused",
    }
}

fn next_action(error: &ApiError) -> &'static str {
    match error {
        ApiError::LeftAlone(_) | ApiError::NoAnswer { .. } | ApiError::Garbled { .. } => {
            "Look whether Dokploy is well; then run the sync again. Forcing it deploys without looking."
        }
        ApiError::KeyRefused { .. } => "Renew DOKPLOY_API_KEY in the worker's secrets file, and check that it may use the project.",
        ApiError::Refused { .. } => "See what Dokploy says, and correct the service's mapping or its project in Dokploy.",
    }
}
