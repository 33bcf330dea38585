//! What an executor that deploys by itself may use of its attempt. The worker's stage implements it; tests do with a list.

use proto::message::{AttemptOutcome, Evidence, Failure};
use std::{fmt, future::Future, pin::Pin, time::Duration};

/// How much somebody wants the attempt to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressing {
    /// Go on.
    Not,
    /// Stop where nothing is left half-done.
    Stop { timed_out: bool },
    /// Stop at once.
    Kill { timed_out: bool },
}

/// An attempt, as its executor sees it.
pub trait Floor: Send {
    /// Writes one line of Navvy's own into the log.
    fn narrate(&mut self, line: &str);

    /// From here on this is a secret of the attempt.
    fn learn(&mut self, name: &str, secret: &str);

    /// Takes every secret of the attempt out of a text.
    fn mask(&self, text: &str) -> String;

    /// The same for a text that was cut off: what may be the beginning of a secret at its end is left out.
    fn mask_beginning(&self, text: &str) -> String;

    /// Whether the attempt is to end.
    fn pressing(&self) -> Pressing;

    /// The last word before the world is changed.
    ///
    /// # Errors
    /// The reason why it may not; final for this attempt.
    fn start_effects(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Time, as executors see it: tests let it pass at once.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Since some moment that stays the same.
    fn now(&self) -> Duration;

    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// How long one looks for what came of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long it may take to show, and its identity to be the wanted one.
    pub timeout: Duration,
    /// How often one looks.
    pub interval: Duration,
}

/// The machine's time.
#[derive(Debug)]
pub struct RealClock(tokio::time::Instant);

impl Default for RealClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Ends an attempt that is to stop and has left nothing half-done.
pub(super) fn unless_pressed(floor: &impl Floor) -> Result<(), AttemptOutcome> {
    match floor.pressing() {
        Pressing::Not => Ok(()),
        Pressing::Stop { timed_out } | Pressing::Kill { timed_out } => Err(AttemptOutcome::Stopped { clean: true, timed_out }),
    }
}

/// Longest text that is shown of what went wrong, in characters.
const LONGEST: usize = 2000;

/// A text that somebody else may have had a part in. Its secrets are taken out first: cut or spelt out before, half of one would
/// be shown.
pub(super) fn shown(text: &str, mask: impl Fn(&str) -> String) -> String {
    let masked = mask(text);
    let mut shown: String =
        masked.chars().take(LONGEST).flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect();
    if masked.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A failure of a sync, secrets taken out of what it says.
pub(super) fn failed(floor: &impl Floor, kind: &str, message: &str, next_action: &str) -> AttemptOutcome {
    AttemptOutcome::Failed {
        failure: Failure {
            kind: kind.to_owned(),
            phase: super::PHASE.to_owned(),
            message: shown(message, |text| floor.mask(text)),
            next_action: next_action.to_owned(),
        },
    }
}

/// Nobody knows how it ended.
pub(super) fn unclear(floor: &impl Floor, seen: &str) -> AttemptOutcome {
    AttemptOutcome::Unclear {
        evidence: Evidence { seen: shown(seen, |text| floor.mask(text)), check: super::checks(), ..Evidence::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_half_of_a_secret_wherever_it_is_cut() {
        let secret = "can\"ary\n5ecret";
        for before in LONGEST - 20..LONGEST + 2 {
            let shown = shown(&format!("{}{secret} and more", "x".repeat(before)), |text| text.replace(secret, "***"));
            assert!(!shown.contains("can") && shown.chars().count() <= LONGEST + 1, "{before}: {shown}");
        }
        assert_eq!(shown("a\u{1b}[2Jb", str::to_owned), "a\\u{1b}[2Jb");
    }
}
