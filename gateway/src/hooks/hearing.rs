//! Whose deliveries are read at all. To read and to digest 25 MiB costs more than to send it, so an address from which nothing but
//! bad signatures come is refused unread for the rest of the minute.
//!
//! An address that has shown a good signature within a day is always heard: forges deliver for all of their users from the same
//! few addresses, and a stranger can have bad ones sent from there. Behind a proxy that is not in `gateway.trusted_proxies`, all
//! come from one address, which is heard for the same reason. What is known is this gateway's alone and is forgotten with it.

use crate::{answers::Refusal, auth::throttle::Failures};
use service::http::client_of;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a good signature speaks for its address.
const STANDS: Duration = Duration::from_hours(24);
/// Addresses that are remembered for a good signature. Only who has a secret, or a delivery that was signed with it, can add one.
const ADDRESSES: usize = 10_000;

/// What is known of addresses.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    failures: Failures,
    proven: Mutex<HashMap<IpAddr, Instant>>,
}

impl Hearing {
    /// Refuses an address whose deliveries are not read now. One that is not known (a test without a socket) is heard.
    pub(crate) fn admit(&self, from: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let Some(from) = from else { return Ok(()) };
        match self.failures.blocked(from, now) {
            Some(retry_after) if !self.is_proven(from, now) => Err(Refusal::Unheard { retry_after }),
            Some(_) | None => Ok(()),
        }
    }

    /// A signature from there was bad.
    pub(crate) fn failed(&self, from: Option<IpAddr>, now: Instant) {
        if let Some(from) = from
            && self.failures.count(from, now)
        {
            tracing::warn!(%from, "deliveries from this address are not read for the rest of the minute, unless one of them was good today");
        }
    }

    /// A signature from there was good.
    pub(crate) fn proved(&self, from: Option<IpAddr>, now: Instant) {
        let Some(from) = from.map(client_of) else { return };
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.len() >= ADDRESSES && !proven.contains_key(&from) {
            proven.retain(|_, at| now.saturating_duration_since(*at) < STANDS);
        }
        if proven.len() < ADDRESSES || proven.contains_key(&from) {
            proven.insert(from, now);
        }
    }

    fn is_proven(&self, from: IpAddr, now: Instant) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(&client_of(from)).is_some_and(|at| now.saturating_duration_since(*at) < STANDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::throttle::{FAILURES, WINDOW};

    fn ip(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn an_address_of_nothing_but_bad_signatures_is_not_heard_for_the_rest_of_the_minute() {
        let (hearing, start) = (Hearing::default(), Instant::now());
        for n in 1..=FAILURES {
            assert_eq!(hearing.admit(ip("10.0.0.1"), start), Ok(()), "{n}");
            hearing.failed(ip("10.0.0.1"), start);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(hearing.admit(ip("10.0.0.1"), later), Err(Refusal::Unheard { retry_after: Duration::from_secs(40) }));
        assert_eq!(hearing.admit(ip("10.0.0.2"), later), Ok(()), "another one");
        assert_eq!(hearing.admit(None, later), Ok(()));
        assert_eq!(hearing.admit(ip("10.0.0.1"), start + WINDOW), Ok(()));
    }

    #[test]
    fn an_address_that_has_shown_a_good_signature_is_heard_whatever_else_comes_from_it() {
        let (hearing, start) = (Hearing::default(), Instant::now());
        hearing.proved(ip("2001:db8::1"), start);
        let flood = |at| (0..FAILURES).for_each(|_| hearing.failed(ip("2001:db8::2"), at));
        flood(start);
        assert_eq!(hearing.admit(ip("2001:db8::3"), start), Ok(()), "one client has the whole /64");
        let next_day = start + STANDS;
        flood(next_day);
        assert!(hearing.admit(ip("2001:db8::3"), next_day).is_err(), "a day is over");
        hearing.proved(ip("2001:db8::1"), next_day);
        assert_eq!(hearing.admit(ip("2001:db8::3"), next_day), Ok(()));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_may_be() {
        let (hearing, start) = (Hearing::default(), Instant::now());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 5 {
            hearing.proved(Some(IpAddr::from(n.to_be_bytes())), start);
        }
        assert_eq!(hearing.proven.lock().unwrap().len(), ADDRESSES);
        hearing.proved(ip("2001:db8::1"), start + STANDS);
        assert_eq!(hearing.proven.lock().unwrap().len(), 1);
    }
}
