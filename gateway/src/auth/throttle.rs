//! Failures of a client address to show who it is: of keys here, of signatures in `hooks`.
//!
//! A key cannot be guessed (256 bits), so this is no protection of keys: it keeps a client that tries from costing a
//! lookup in the store each time, and makes the trying visible. A valid key works all the while.

use service::http::client_of;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures in one window before a client is refused unheard.
pub(crate) const FAILURES: u32 = 100;
/// Length of a window.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are remembered at most; more are not counted, or remembering them would be the attack.
const ADDRESSES: usize = 10_000;

/// Failures of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    failures: u32,
}

impl Failures {
    /// How long the client is refused from `now` on, if it is.
    pub(crate) fn blocked(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.get(&client_of(client))?;
        let left = (window.began + WINDOW).checked_duration_since(now).filter(|left| !left.is_zero())?;
        (window.failures >= FAILURES).then_some(left)
    }

    /// Counts a failure. Says whether it is the one that exhausts the window.
    pub(crate) fn count(&self, client: IpAddr, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= ADDRESSES {
            windows.retain(|_, window| now.saturating_duration_since(window.began) < WINDOW);
        }
        let client = client_of(client);
        if windows.len() >= ADDRESSES && !windows.contains_key(&client) {
            return false;
        }
        let window = windows.entry(client).or_insert(Window { began: now, failures: 0 });
        if now.saturating_duration_since(window.began) >= WINDOW {
            *window = Window { began: now, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
        window.failures == FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_is_refused_after_a_hundred_failures_and_only_for_the_rest_of_the_minute() {
        let failures = Failures::default();
        let start = Instant::now();
        for n in 1..=FAILURES {
            assert_eq!(failures.blocked(ip("10.0.0.1"), start), None, "{n}");
            assert_eq!(failures.count(ip("10.0.0.1"), start), n == FAILURES, "{n}");
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(failures.blocked(ip("10.0.0.1"), later), Some(Duration::from_secs(40)));
        assert_eq!(failures.blocked(ip("::ffff:10.0.0.1"), later), Some(Duration::from_secs(40)));
        assert_eq!(failures.blocked(ip("10.0.0.2"), later), None);
        assert_eq!(failures.blocked(ip("10.0.0.1"), start + WINDOW), None);
        assert!(!failures.count(ip("10.0.0.1"), start + WINDOW));
    }

    #[test]
    fn one_ipv6_client_has_one_count_and_strangers_do_not_fill_the_memory() {
        let failures = Failures::default();
        let now = Instant::now();
        for n in 0..u128::from(FAILURES) {
            failures.count(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n)), now);
        }
        assert!(failures.blocked(ip("2001:db8::ffff"), now).is_some());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 50 {
            failures.count(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= ADDRESSES);
        failures.count(ip("10.9.9.9"), now + WINDOW);
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
