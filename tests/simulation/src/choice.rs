//! Where chance comes from. Every decision of a history is one number drawn here, so that a history is its list of
//! numbers: it can be replayed, cut and quietened. 0 is always the quiet choice: no fault, the first of several.

/// A source of choices.
#[derive(Debug)]
pub struct Choices {
    random: Option<fastrand::Rng>,
    replay: Vec<u32>,
    at: usize,
    record: bool,
    recorded: Vec<u32>,
}

impl Choices {
    /// Chance from a seed.
    pub fn random(seed: u64) -> Self {
        Self { random: Some(fastrand::Rng::with_seed(seed)), replay: Vec::new(), at: 0, record: false, recorded: Vec::new() }
    }

    /// Chance from a seed, written down.
    pub fn recording(seed: u64) -> Self {
        Self { record: true, ..Self::random(seed) }
    }

    /// What was written down; quiet choices after its end. Written down again, because what a number means depends on how
    /// many there are to choose from.
    pub fn replaying(choices: Vec<u32>) -> Self {
        Self { random: None, replay: choices, at: 0, record: true, recorded: Vec::new() }
    }

    /// From here on chance is fair and no part of the history: its end is told the same way whatever came before, so that a
    /// history that was cut does not fail for want of luck.
    pub fn settle(&mut self) {
        self.random = Some(fastrand::Rng::with_seed(0));
        self.record = false;
    }

    /// A number below `below`, which is at least 1.
    pub fn draw(&mut self, below: u32) -> u32 {
        let drawn = if let Some(random) = &mut self.random {
            random.u32(0..below)
        } else {
            self.at += 1;
            self.replay.get(self.at - 1).copied().unwrap_or(0) % below
        };
        if self.record {
            self.recorded.push(drawn);
        }
        drawn
    }

    /// True `of` times in a thousand.
    pub fn chance(&mut self, of: u32) -> bool {
        of > 0 && self.draw(1000) >= 1000 - of.min(1000)
    }

    /// What was drawn so far.
    pub fn recorded(&self) -> &[u32] {
        &self.recorded
    }
}
