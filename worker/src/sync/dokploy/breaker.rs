//! What the syncs of a worker share about Dokploy. A breaker for each address: one that fails again and again is left alone for
//! a while, by all of them, because a remote that fails under load must not be asked by everybody all the time. And a turn:
//! Dokploy takes a name twice, so that what several services stand in is made by one of them at a time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Failures in a row after which a remote is left alone.
pub const FAILURES: u32 = 5;
/// For how long. Then one may try.
pub const OPEN: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    failures: u32,
    /// Nobody asks before; each who may, moves it.
    closed_at: Duration,
}

/// The breakers of a worker, by address, and the turn to make something.
#[derive(Debug, Default)]
pub struct Breakers {
    seen: Mutex<BTreeMap<String, Seen>>,
    turn: tokio::sync::Mutex<()>,
}

impl Breakers {
    /// The turn to make what other services stand in too; until what is answered is dropped, nobody else has it.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether one may ask now; else for how long not.
    pub(super) fn may_ask(&self, address: &str, now: Duration) -> Result<(), Duration> {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(address) {
            Some(seen) if seen.failures >= FAILURES && now < seen.closed_at => Err(seen.closed_at.saturating_sub(now)),
            Some(seen) if seen.failures >= FAILURES => {
                // One tries; the others wait for what comes of it.
                seen.closed_at = now + OPEN;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes how asking went.
    pub(super) fn note(&self, address: &str, answered: bool, now: Duration) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            all.remove(address);
            return;
        }
        let seen = all.entry(address.to_owned()).or_default();
        seen.failures = seen.failures.saturating_add(1);
        if seen.failures >= FAILURES {
            seen.closed_at = now + OPEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_it_for_a_minute_and_then_one_may_try() {
        let breakers = Breakers::default();
        let at = Duration::from_secs;
        for _ in 0..4 {
            breakers.note("a", false, at(0));
        }
        breakers.note("a", true, at(0));
        for _ in 0..4 {
            breakers.note("a", false, at(0));
            assert_eq!(breakers.may_ask("a", at(0)), Ok(()), "an answer in between starts the count anew");
        }
        breakers.note("a", false, at(1));
        assert_eq!(breakers.may_ask("a", at(2)), Err(at(59)));
        assert_eq!(breakers.may_ask("b", at(2)), Ok(()), "another remote");
        assert_eq!(breakers.may_ask("a", at(61)), Ok(()));
        assert_eq!(breakers.may_ask("a", at(61)), Err(at(60)), "one tries, not all");
        breakers.note("a", false, at(62));
        assert_eq!(breakers.may_ask("a", at(100)), Err(at(22)));
        assert_eq!(breakers.may_ask("a", at(122)), Ok(()));
        breakers.note("a", true, at(123));
        assert_eq!(breakers.may_ask("a", at(123)), Ok(()));
    }
}
