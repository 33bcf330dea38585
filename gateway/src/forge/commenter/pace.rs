//! How fast, how slow and how long a comment is tried.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The times of a commenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two edits of one comment while its run goes on.
    pub edit_interval: Duration,
    /// How long a gateway may be at one comment; [`super::perform`] ends in half of it.
    pub claim: Duration,
    /// After the first failure; doubled with each further one.
    pub first_backoff: Duration,
    pub longest_backoff: Duration,
    /// At least, while the token may not do it.
    pub denied: Duration,
    /// How long one comment is tried in all, from the first failure on.
    pub give_up_after: Duration,
}

impl Pace {
    /// The usual times around the one that is a setting (`gateway.github.edit_interval`).
    pub fn new(edit_interval: Duration) -> Self {
        Self {
            edit_interval,
            claim: Duration::from_mins(5),
            first_backoff: Duration::from_secs(5),
            longest_backoff: Duration::from_mins(10),
            denied: Duration::from_mins(5),
            give_up_after: Duration::from_hours(24),
        }
    }

    /// The pause after so many failures in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_backoff.saturating_mul(factor).min(self.longest_backoff)
    }
}

/// A moment and a length after it; at the end of time it stays there.
pub(super) fn later(at: Timestamp, length: Duration) -> Timestamp {
    SignedDuration::try_from(length).ok().and_then(|length| at.checked_add(length).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pace = Pace::new(Duration::from_secs(10));
        let seconds: Vec<u64> = [1, 2, 3, 7, 8, 9, 33, u32::MAX].iter().map(|n| pace.backoff(*n).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 320, 600, 600, 600, 600]);
    }

    #[test]
    fn the_end_of_time_is_no_accident() {
        assert_eq!(later(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(later(Timestamp::UNIX_EPOCH, Duration::MAX), Timestamp::MAX);
    }
}
