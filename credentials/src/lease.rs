//! How long a token of Vault is good for, and what is due next. Pure: what was said and what failed come from outside.
//!
//! A token is renewed when two thirds of its lease are over. Vault never lets a token live longer than its maximum: the last
//! renewals grant less and less, and then a new login is due. So it is when Vault will not renew.

use std::time::Duration;

/// What Vault granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// 0: it does not end.
    pub(crate) seconds: u64,
    pub(crate) renewable: bool,
    /// What the login granted; a renewal that grants less than half of it is near the maximum.
    at_login: u64,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Renew,
    Login,
}

/// Longest wait between two tries that came to nothing.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const FIRST_WAIT: Duration = Duration::from_secs(1);

impl Lease {
    pub(crate) fn of_login(seconds: u64, renewable: bool) -> Self {
        Self { seconds, renewable, at_login: seconds }
    }

    /// After a renewal that granted this.
    pub(crate) fn renewed(self, seconds: u64, renewable: bool) -> Self {
        Self { seconds, renewable, ..self }
    }

    /// What is due and how long after it was granted, `None` if never. `chance`, 0 to 255, makes it up to a tenth earlier:
    /// workers that started together do not come together.
    pub(crate) fn next(self, chance: u8) -> Option<(Due, Duration)> {
        if self.seconds == 0 {
            return None;
        }
        let near_maximum = self.seconds < self.at_login / 2;
        let due = if self.renewable && !near_maximum { Due::Renew } else { Due::Login };
        let at = Duration::from_secs(self.seconds) * 2 / 3;
        Some((due, at.saturating_sub(at / 10 * u32::from(chance) / 255)))
    }

    /// What is due after so many tries in a row that nobody answered, and how long to wait before. `age` is how long ago it
    /// was granted: what has ended cannot be renewed.
    pub(crate) fn after_silence(self, failures: u32, age: Duration, chance: u8) -> (Due, Duration) {
        let ended = age >= Duration::from_secs(self.seconds);
        let due = if self.renewable && !ended { Due::Renew } else { Due::Login };
        (due, wait(failures, chance))
    }
}

/// Doubled with each failure, bounded, and up to half as long again.
pub(crate) fn wait(failures: u32, chance: u8) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    wait + wait / 2 * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_two_thirds_and_replaced_near_its_maximum() {
        let hour = Lease::of_login(3600, true);
        for (lease, expected) in [
            (hour, Some((Due::Renew, 2400))),
            (hour.renewed(3600, true), Some((Due::Renew, 2400))),
            (hour.renewed(1800, true), Some((Due::Renew, 1200))),
            // Vault grants what is left to the maximum.
            (hour.renewed(1799, true), Some((Due::Login, 1199))),
            (hour.renewed(3600, false), Some((Due::Login, 2400))),
            (Lease::of_login(3600, false), Some((Due::Login, 2400))),
            (Lease::of_login(1, true), Some((Due::Renew, 0))),
            (Lease::of_login(0, false), None),
        ] {
            let found = lease.next(0).map(|(due, after)| (due, after.as_secs()));
            assert_eq!(found, expected, "{lease:?}");
        }
    }

    #[test]
    fn chance_makes_it_earlier_and_never_later() {
        let lease = Lease::of_login(3600, true);
        let at = |chance| lease.next(chance).unwrap().1.as_secs();
        assert_eq!((at(0), at(255)), (2400, 2160));
        assert!((0..=255).all(|chance| (2160..=2400).contains(&at(chance))));
    }

    #[test]
    fn silence_is_met_with_longer_and_longer_waits_until_the_token_has_ended() {
        let lease = Lease::of_login(60, true);
        let waits = |chance| (1..=10).map(|failures| wait(failures, chance).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(0), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(waits(255), [1, 3, 6, 12, 24, 48, 96, 192, 384, 450]);
        assert_eq!(lease.after_silence(1, Duration::from_secs(59), 0), (Due::Renew, Duration::from_secs(1)));
        assert_eq!(lease.after_silence(4, Duration::from_mins(1), 0), (Due::Login, Duration::from_secs(8)));
        assert_eq!(Lease::of_login(60, false).after_silence(1, Duration::ZERO, 0).0, Due::Login);
        assert_eq!(wait(u32::MAX, 0), LONGEST_WAIT);
    }
}
