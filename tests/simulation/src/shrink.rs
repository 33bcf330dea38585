//! A failing history made short: a shorter one that breaks the same rule is looked for among other seeds, then blocks of
//! its choices are left out or made quiet for as long as it still fails.

use crate::{
    choice::Choices,
    world::{self, Told},
};

/// What is left of a failing history.
#[derive(Debug)]
pub struct Shrunk {
    pub choices: Vec<u32>,
    pub steps: u32,
    pub violation: String,
    /// Histories that were told to find it.
    pub tries: u32,
}

/// A history that fails, and by which rule.
struct Failing {
    choices: Vec<u32>,
    steps: u32,
    violation: String,
}

impl Failing {
    fn of(told: Told, steps: u32) -> Option<Self> {
        let reached = u32::try_from(told.steps).unwrap_or(u32::MAX);
        told.violation.map(|violation| Self { choices: told.choices, steps: steps.min(reached), violation })
    }

    fn rule(&self) -> &str {
        self.violation.split(':').next().unwrap_or_default()
    }

    /// The same history with other choices, if it fails by the same rule: another one is another story.
    fn with(&self, choices: Vec<u32>) -> Option<Self> {
        let told = world::tell(Choices::replaying(choices), self.steps);
        Self::of(told, self.steps).filter(|other| other.rule() == self.rule())
    }
}

/// Lengths at which a shorter history is looked for, and seeds that are tried at each.
const SHORT: [u32; 4] = [100, 300, 800, 2_000];
const OTHER_SEEDS: u64 = 400;

/// Shrinks the history of a seed, telling at most `budget` histories after the search for a shorter one. `None`: it does
/// not fail.
pub fn shrink(seed: u64, steps: u32, budget: u32) -> Option<Shrunk> {
    let given = Failing::of(world::tell(Choices::recording(seed), steps), steps)?;
    let mut tries = 1;
    let shorter = SHORT.iter().filter(|short| **short < given.steps).flat_map(|short| (1..=OTHER_SEEDS).map(move |seed| (*short, seed)));
    let found = shorter
        .filter_map(|(short, seed)| {
            tries += 1;
            Failing::of(world::tell(Choices::recording(seed), short), short)
        })
        .find(|other| other.rule() == given.rule());
    let mut best = found.unwrap_or(given);
    let budget = tries + budget;
    let mut block = best.choices.len().next_power_of_two() / 2;
    while block > 0 && tries < budget {
        let mut at = 0;
        while at < best.choices.len() && tries < budget {
            let end = (at + block).min(best.choices.len());
            let before = best.choices.len();
            match simpler(&best, at, end, &mut tries) {
                Some(found) => best = found,
                None => at = end,
            }
            if best.choices.len() >= before {
                at = end;
            }
        }
        block /= 2;
    }
    Some(Shrunk { choices: best.choices, steps: best.steps, violation: best.violation, tries })
}

/// The history without a block of its choices, or with the block made quiet.
fn simpler(best: &Failing, at: usize, end: usize, tries: &mut u32) -> Option<Failing> {
    let mut shorter = best.choices.clone();
    shorter.drain(at..end);
    *tries += 1;
    if let Some(found) = best.with(shorter).filter(|found| found.choices.len() < best.choices.len()) {
        return Some(found);
    }
    if best.choices[at..end].iter().all(|choice| *choice == 0) {
        return None;
    }
    let mut quieter = best.choices.clone();
    quieter[at..end].fill(0);
    *tries += 1;
    best.with(quieter).filter(|found| found.choices.len() <= best.choices.len())
}
