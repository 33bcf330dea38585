//! A failing history made short: blocks of its choices are left out or made quiet for as long as it still fails.

use crate::{choice::Choices, world};

/// What is left of a failing history.
#[derive(Debug)]
pub struct Shrunk {
    pub choices: Vec<u32>,
    pub steps: u32,
    pub violation: String,
    /// Histories that were told to find it.
    pub tries: u32,
}

/// Shrinks, telling at most `budget` histories. The violation stays one of the same rule.
pub fn shrink(choices: Vec<u32>, steps: u32, budget: u32) -> Option<Shrunk> {
    let mut tries = 0;
    let mut kind: Option<String> = None;
    let mut fails = |choices: &[u32], steps: u32| {
        tries += 1;
        let told = world::tell(Choices::replaying(choices.to_vec()), steps);
        let violation = told.violation?;
        // Another rule broken on the way is another story.
        let rule = violation.split(':').next().unwrap_or_default().to_owned();
        (*kind.get_or_insert_with(|| rule.clone()) == rule).then_some((violation, told.steps))
    };
    let (mut violation, reached) = fails(&choices, steps)?;
    let mut best = choices;
    let mut steps = steps.min(u32::try_from(reached).unwrap_or(u32::MAX));
    let mut left = budget;
    let mut block = best.len().next_power_of_two() / 2;
    while block > 0 && left > 0 {
        let mut at = 0;
        while at < best.len() && left > 0 {
            let end = (at + block).min(best.len());
            let shorter: Vec<u32> = best[..at].iter().chain(&best[end..]).copied().collect();
            let mut quieter = best.clone();
            quieter[at..end].fill(0);
            let mut kept = false;
            for candidate in [shorter, quieter] {
                if candidate == best || left == 0 {
                    continue;
                }
                left -= 1;
                if let Some((found, reached)) = fails(&candidate, steps) {
                    kept = candidate.len() < best.len();
                    steps = steps.min(u32::try_from(reached).unwrap_or(u32::MAX));
                    best = candidate;
                    violation = found;
                    break;
                }
            }
            if !kept {
                at = end;
            }
        }
        block /= 2;
    }
    while best.last() == Some(&0) {
        best.pop();
    }
    Some(Shrunk { choices: best, steps, violation, tries })
}
