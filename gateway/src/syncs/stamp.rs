//! The stamp of a signature: a time and a nonce, good once while the time is near. Pure.
//!
//! A stamp is refused the second time because its nonce is remembered. So a nonce has to be remembered for longer than its stamp
//! can be good anywhere: [`remembered_for`] says how long that is.

use jiff::Timestamp;
use std::time::Duration;

/// How far the clock of a gateway or of a server of the store may be off. `navvy doctor` calls a clock wrong at a fifth of it.
const CLOCK_OFF: Duration = Duration::from_mins(5);
/// From looking at the clock until the store has the nonce: what a request may ask of the store, and as much for whoever lags.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// Time and nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    /// In seconds.
    at: i64,
    /// What is signed before the body.
    text: String,
}

impl Stamp {
    /// `None`: they have not the form.
    pub(super) fn read(at: &str, nonce: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        let sound = (8..=128).contains(&nonce.len()) && nonce.bytes().all(plain) && at.bytes().all(|b| b.is_ascii_digit());
        at.parse().ok().filter(|_| sound).map(|seconds| Self { at: seconds, text: format!("{at}.{nonce}.") })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its time is near enough: to the second.
    pub(super) fn is_fresh(&self, ttl: Duration, now: Timestamp) -> bool {
        now.as_second().abs_diff(self.at) <= ttl.as_secs()
    }
}

/// How long a nonce has to be remembered at least, by the store's clock: from the first moment at which a gateway whose clock is
/// slow takes its stamp, to the last at which another one, whose clock is fast, would.
///
/// The time of a stamp may be off both ways, and a second is cut off each. Then come two clocks of gateways, and that of the store
/// twice: the server that stored it need not be the one that forgets it.
pub(super) fn remembered_for(ttl: Duration) -> Duration {
    2 * (ttl + Duration::from_secs(1)) + 4 * CLOCK_OFF + 2 * ON_THE_WAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use service::settings::{Period, Settings};

    const LONGEST: Duration = Duration::from_mins(30);

    #[test]
    fn nonces_are_remembered_for_longer_than_the_settings_let_a_stamp_be_good() {
        let allowed = |ttl: Duration| {
            let mut settings = Settings::default();
            settings.sync.signature_ttl = Period::seconds(ttl.as_secs());
            settings.check().err().is_none_or(|problems| problems.iter().all(|problem| problem.key != "sync.signature_ttl"))
        };
        assert!(allowed(LONGEST) && !allowed(LONGEST + Duration::from_secs(1)), "what the settings allow");
        assert!(remembered_for(LONGEST) < bus::Nonces::REMEMBERED, "and the store remembers");
        assert!(remembered_for(Duration::from_mins(50)) > bus::Nonces::REMEMBERED, "which is not without bounds");
    }

    proptest! {
        /// One gateway takes a stamp, another one is sent it again while it is good there: the store still has the nonce. In
        /// milliseconds; the clocks of both gateways, and of the servers that store and that would forget, are off either way.
        #[test]
        fn a_stamp_is_never_good_when_its_nonce_is_forgotten(
            ttl in 0..=1_800i64, shown in proptest::array::uniform2(0.0..=1.0), off in proptest::array::uniform4(-300_000..=300_000i64),
            lag in proptest::array::uniform2(0..=10_000i64),
        ) {
            let at = 1_700_000_000_000i64;
            let stamp = Stamp::read("1700000000", "12345678").unwrap();
            let span = Duration::from_secs(ttl.unsigned_abs());
            // What the clocks of the two gateways show: anything at which the stamp is good.
            #[expect(clippy::cast_possible_truncation, reason = "at most an hour in milliseconds")]
            let [first, again] = shown.map(|part: f64| at - ttl * 1000 + (part * (2 * ttl * 1000 + 999) as f64) as i64);
            for clock in [first, again] {
                prop_assert!(stamp.is_fresh(span, Timestamp::from_millisecond(clock).unwrap()));
            }
            let [clock_a, clock_b, of_storing, of_forgetting] = off;
            let stored = first - clock_a + lag[0] + of_storing;
            let asked = again - clock_b + lag[1] + of_forgetting;
            prop_assert!(asked - stored < i64::try_from(remembered_for(span).as_millis()).unwrap());
        }
    }
}
