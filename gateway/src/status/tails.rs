//! The end of each phase's output of one attempt, as the status object shows it.
//!
//! Kept up to date by reading on from where the last look stopped, so a client that polls a long log does not have it read
//! from its beginning each time.

use crate::answers::report;
use crate::logs::source::{Pulled, Source};
use bus::BusError;
use proto::{RunId, WorkerId, message::JobAttempt};

/// How much of one phase is shown, in bytes.
pub(crate) const SHOWN_BYTES: usize = 1024 * 1024;
/// How much more is kept before the front is thrown away, so that not every byte moves all others.
const SLACK_BYTES: usize = 256 * 1024;

/// Which field of the status object a phase belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Clone,
    Init,
    Plan,
    Apply,
}

impl Part {
    /// The part of a phase's word. What is not known to the replaced runner is shown with the last one.
    fn of(phase: &str) -> Self {
        match phase {
            "initializing" | "cloning" => Self::Clone,
            "init" => Self::Init,
            "plan" => Self::Plan,
            _ => Self::Apply,
        }
    }
}

/// The end of a text that grows.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    /// How many bytes stood before.
    cut: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > SHOWN_BYTES + SLACK_BYTES {
            self.forget(self.bytes.len() - SHOWN_BYTES);
        }
    }

    fn forget(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.cut += count as u64;
    }

    /// The text, with a mark in place of what was cut. It begins with a whole line if it can.
    fn text(&self, mark: impl FnOnce(u64) -> String) -> String {
        let surplus = self.bytes.len().saturating_sub(SHOWN_BYTES);
        if surplus == 0 && self.cut == 0 {
            return String::from_utf8_lossy(&self.bytes).into_owned();
        }
        let shown = &self.bytes[surplus..];
        let begin = shown.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let cut = self.cut + (surplus + begin) as u64;
        mark(cut) + &String::from_utf8_lossy(&shown[begin..])
    }
}

/// The output of one attempt by phase.
#[derive(Debug)]
pub(crate) struct Tails {
    source: Source,
    parts: [Tail; 4],
}

impl Tails {
    /// Nothing read yet.
    pub(crate) fn new(source: Source) -> Self {
        Self { source, parts: <[Tail; 4]>::default() }
    }

    /// Takes note of who runs the attempt, once that is known.
    pub(crate) fn written_by(&mut self, worker: Option<&WorkerId>) {
        self.source.written_by(worker);
    }

    /// Reads what has come since the last look.
    pub(crate) async fn read_on(&mut self, over: bool) -> Result<(), BusError> {
        let mut part = Part::Apply;
        loop {
            match self.source.pull(over).await? {
                Pulled::Bytes { phase, bytes } => {
                    part = Part::of(&phase);
                    self.parts[part as usize].push(&bytes);
                }
                Pulled::Gap(missing) => self.parts[part as usize].push(report::gap_mark(missing).as_bytes()),
                Pulled::Dry | Pulled::End | Pulled::Beyond => return Ok(()),
            }
        }
    }

    /// One part, as it is shown.
    pub(crate) fn text(&self, part: Part, run: RunId, at: JobAttempt) -> String {
        self.parts[part as usize].text(|cut| report::cut_mark(run, at, cut))
    }

    /// All parts, one after the other, as far as they are kept.
    pub(crate) fn whole(&self) -> String {
        self.parts.iter().map(|tail| tail.text(|_| String::new())).collect()
    }

    /// How much memory it takes.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(|tail| tail.bytes.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(cut: u64) -> String {
        format!("<{cut}>")
    }

    #[test]
    fn a_short_text_is_whole() {
        let mut tail = Tail::default();
        tail.push(b"one\ntwo");
        tail.push(b" more\n");
        assert_eq!(tail.text(mark), "one\ntwo more\n");
    }

    #[test]
    fn a_long_text_keeps_its_end_and_counts_what_is_gone() {
        let mut tail = Tail::default();
        let line = [b"x".repeat(99).as_slice(), b"\n"].concat();
        let lines = (SHOWN_BYTES + 3 * SLACK_BYTES) / line.len();
        (0..lines).for_each(|_| tail.push(&line));
        assert!(tail.bytes.len() <= SHOWN_BYTES + SLACK_BYTES);
        let text = tail.text(mark);
        let (cut, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(cut.parse::<usize>().unwrap() + rest.len(), lines * line.len());
        assert!(rest.len() <= SHOWN_BYTES && rest.len() > SHOWN_BYTES - line.len() && rest.starts_with('x'));
    }

    #[test]
    fn every_phase_of_the_replaced_runner_has_its_field() {
        for (phase, part) in [
            ("initializing", Part::Clone),
            ("cloning", Part::Clone),
            ("init", Part::Init),
            ("plan", Part::Plan),
            ("apply", Part::Apply),
            ("destroy", Part::Apply),
            ("completed", Part::Apply),
        ] {
            assert_eq!(Part::of(phase), part, "{phase}");
        }
    }
}
