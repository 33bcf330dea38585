//! Every bug on purpose is found: for each, a configuration and a way to a state that breaks an invariant.

use domain::planted::Bug;
use model::{check, configurations, settings::Settings};

/// Where each bug is looked for.
fn hunted() -> Vec<(Bug, Settings)> {
    use configurations::hunt as at;
    vec![
        (Bug::PermitAgain, at::duplicate()),
        (Bug::StaleBegin, at::crash()),
        (Bug::AnybodyStarts, at::liar()),
        (Bug::StartsAfterCancel, at::cancel()),
        (Bug::GoesOnAfterCancel, at::cancel()),
        (Bug::QueuedWithoutLocks, at::two_runs()),
        (Bug::ApprovesAnyPlan, at::people()),
        (Bug::ApprovesLate, at::people()),
        (Bug::ApprovesRefused, at::people()),
        (Bug::ResolvesAnything, at::people()),
        (Bug::CancelKeepsQueued, at::cancel()),
        (Bug::NeverExpires, at::expiry()),
        (Bug::StaleReport, at::crash()),
        (Bug::AnybodyReports, at::liar()),
        (Bug::ReportAfterEnd, at::duplicate()),
        (Bug::CommitRebound, at::liar()),
        (Bug::UnclearIsFailed, at::crash()),
        (Bug::LostEffectsRetried, at::crash()),
        (Bug::UnknownReleasesLock, at::two_runs_and_a_crash()),
        (Bug::NotStartedBelieved, at::liar()),
        (Bug::AnySuccessBelieved, at::liar()),
        (Bug::KilledIsClean, at::force()),
        (Bug::NoRetryLimit, at::two_crashes()),
        (Bug::EndsWithUnknown, at::crash()),
        (Bug::OrdersNotRepeated, at::crash()),
        (Bug::LocksNotRepeated, at::crash()),
        (Bug::StealsLock, at::two_runs()),
        (Bug::TakesPart, at::sets()),
        (Bug::FreesOthersLock, at::cancelled_waiter()),
    ]
}

#[test]
fn every_planted_bug_has_a_counterexample() {
    let hunted = hunted();
    // The model has no run of orders or of syncs; those are the simulation's.
    let ours = Bug::ALL.into_iter().filter(|bug| !bug.is_of_many());
    let all: Vec<Bug> = ours.filter(|bug| !hunted.iter().any(|(known, _)| known == bug)).collect();
    assert_eq!(all, [], "a new bug needs a line here");
    let mut missed = Vec::new();
    for (bug, settings) in hunted {
        let done = check::hunt(Settings { bug: Some(bug), ..settings });
        let found: Vec<_> = done.broken.iter().map(|(name, steps)| format!("{name} in {} steps", steps.len())).collect();
        println!(
            "{bug:?}: {} ({} states, {})",
            if found.is_empty() { "missed".to_owned() } else { found.join("; ") },
            done.unique,
            done.name
        );
        if found.is_empty() {
            missed.push(bug);
        }
    }
    assert_eq!(missed, [], "found in none of its states");
}

/// The three that the design names, and the invariant that each must break.
#[test]
fn permit_attempt_check_and_unknown_holding_the_lock_are_each_needed() {
    use configurations::hunt as at;
    let needed = [
        (Bug::PermitAgain, at::duplicate(), "I6"),
        (Bug::StaleBegin, at::crash(), "I7"),
        (Bug::StaleReport, at::crash(), "I7"),
        (Bug::UnknownReleasesLock, at::two_runs_and_a_crash(), "I4"),
    ];
    for (bug, settings, invariant) in needed {
        let done = check::hunt(Settings { bug: Some(bug), ..settings });
        assert!(done.broken.iter().any(|(name, _)| name.starts_with(invariant)), "{bug:?}: {:?}", done.broken);
    }
}

#[test]
fn without_a_bug_the_same_searches_find_nothing() {
    use configurations::hunt as at;
    let searches = [at::duplicate(), at::crash(), at::liar(), at::cancel(), at::two_runs(), at::people(), at::force(), at::sets()];
    for settings in searches.into_iter().chain([at::cancelled_waiter()]) {
        let done = check::hunt(settings);
        assert!(done.complete, "{}: {:?}", done.name, done.broken);
    }
}
