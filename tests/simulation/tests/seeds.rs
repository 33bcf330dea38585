//! Ten thousand histories break no rule, and they meet the hard cases; what once broke one does not any more.

use simulation::{
    choice::Choices,
    run::{self, Plan},
    world,
};

/// More on request: `navvy-sim --seeds 200000`.
const SEEDS: u64 = 10_000;

#[test]
fn no_history_breaks_a_rule_and_every_hard_case_is_met() {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan { first: 1, seeds: SEEDS, steps: 5_000, jobs };
    let sum = run::run(plan, || {});
    assert_eq!(sum.broken, None, "tell it aloud: navvy-sim --trace --first SEED");
    assert_eq!(sum.seeds, plan.seeds);
    assert!(sum.steps >= plan.seeds * u64::from(plan.steps), "{} steps", sum.steps);
    assert_eq!(sum.counts.missing(), [], "a world that never meets these is too gentle");
}

#[test]
fn one_seed_is_one_history() {
    let told = |choices| world::tell(choices, 5_000);
    let (first, second) = (told(Choices::recording(7)), told(Choices::recording(7)));
    assert_eq!((first.steps, first.runs, &first.choices), (second.steps, second.runs, &second.choices));
    assert_eq!(first.counts, second.counts);
    let replayed = told(Choices::replaying(first.choices));
    assert_eq!((replayed.steps, replayed.runs, replayed.counts), (first.steps, first.runs, first.counts));
}

/// Each line: steps, then the choices of a history, as `navvy-sim` prints them; or steps, `seed` and a seed.
#[test]
fn what_once_broke_a_rule_does_not_any_more() {
    let lines = include_str!("../regressions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut told = 0;
    for line in lines {
        let (steps, rest) = line.split_once(' ').expect("steps, then what to tell");
        let choices = match rest.strip_prefix("seed ") {
            Some(seed) => Choices::random(seed.parse().expect("a seed")),
            None => Choices::replaying(rest.split(',').map(|choice| choice.parse().expect("a choice")).collect()),
        };
        let over = world::tell(choices, steps.parse().expect("a number of steps"));
        assert_eq!(over.violation, None, "{line:.80}");
        told += 1;
    }
    assert!(told > 0, "the list was read");
}
