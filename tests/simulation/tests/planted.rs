//! The checks bite: each bug that is planted on purpose is found within a few million steps.

use domain::planted::{self, Bug};
use simulation::{
    choice::Choices,
    run::{self, Plan},
    shell::planted::{self as shell, ShellBug},
    shrink,
    world::{self, Told},
};

/// Steps within which a bug must be found. Most are within one million; a straggler that asks for ever takes the right pause.
const WITHIN: u64 = 5_000_000;
/// Seeds that make that many steps and a few more.
const SEEDS: u64 = 1_000;

/// How many steps it took, and which rule it broke.
fn found(prepare: impl Fn() + Sync) -> Option<(u64, String)> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let sum = run::run(Plan { first: 1, seeds: SEEDS, steps: 5_000, jobs }, prepare);
    sum.broken.filter(|_| sum.steps <= WITHIN).map(|(_, violation)| (sum.steps, violation))
}

#[test]
fn every_planted_bug_is_found_within_a_few_million_steps() {
    let mut missed = Vec::new();
    let mut tell = |name: String, found: Option<(u64, String)>| match found {
        Some((steps, violation)) => eprintln!("{name:<22} {steps:>8} steps  {violation:.110}"),
        None => missed.push(name),
    };
    for bug in Bug::ALL {
        tell(format!("{bug:?}"), found(|| planted::plant(Some(bug))));
    }
    for bug in ShellBug::ALL {
        tell(format!("{bug:?}"), found(|| shell::plant(Some(bug))));
    }
    assert_eq!(missed, Vec::<String>::new(), "not found within {WITHIN} steps");
}

#[test]
fn a_failing_history_is_made_short_and_still_fails() {
    planted::plant(Some(Bug::UnknownReleasesLock));
    let tell = |seed| world::tell(Choices::recording(seed), 5_000);
    // One that is short already shows nothing.
    let long = |told: &Told| told.violation.is_some() && told.choices.len() > 10_000;
    let (seed, before) = (1..SEEDS).map(|seed| (seed, tell(seed))).find(|(_, told)| long(told)).expect("the bug is found");
    let short = shrink::shrink(seed, 5_000, 1_000).expect("it fails when it is told again");
    let (left, of) = (short.choices.len(), before.choices.len());
    assert!(left * 4 < of, "{left} of {of} choices are left");
    let again = world::tell(Choices::replaying(short.choices), short.steps);
    assert_eq!(again.violation, Some(short.violation));
}

#[test]
fn without_a_bug_there_is_nothing_to_find() {
    assert_eq!(found(|| planted::plant(None)), None);
}
