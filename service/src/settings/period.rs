//! A length of time as people write it: `45s`, `10m`, `1h30m`, `90d`.
//!
//! A bare number is refused, because seconds, minutes and milliseconds all look alike; zero is refused, because
//! "no limit" and "at once" must be said in words (an absent key), not guessed from a 0.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, never zero. Derefs to [`Duration`]: `*settings.scheduler.lease`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// Why a text is no [`Period`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeriodError {
    /// Not `<number><unit>` pairs.
    #[error("{0:?} is no length of time: write numbers with units ms, s, m, h or d, such as \"45s\" or \"1h30m\"")]
    Shape(String),
    /// A number without a unit.
    #[error("{0:?} has no unit: write \"{0}s\" for seconds, or ms, m, h, d")]
    Bare(String),
    /// Zero.
    #[error("a length of time of zero is refused: leave the key out if you want no limit")]
    Zero,
    /// More than 100 years.
    #[error("{0:?} is longer than 100 years")]
    TooLong(String),
}

const MS_PER_DAY: u64 = 86_400_000;
const LONGEST_MS: u64 = 100 * 365 * MS_PER_DAY;
/// Milliseconds in each unit, largest first.
const UNITS: [(&str, u64); 5] = [("d", MS_PER_DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Period {
    /// `n` seconds. Panics at compile time (in a const) when `n` is 0.
    pub const fn seconds(n: u64) -> Self {
        assert!(n > 0, "a period is never zero");
        Self(Duration::from_secs(n))
    }

    /// `n` minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n * 60)
    }

    /// `n` hours.
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n * 60)
    }

    /// `n` days of 24 hours.
    pub const fn days(n: u64) -> Self {
        Self::hours(n * 24)
    }

    /// The same as a [`Duration`].
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Deref for Period {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(if text.bytes().all(|b| b == b'0') { PeriodError::Zero } else { PeriodError::Bare(text.into()) });
        }
        let total = milliseconds(text)?;
        match total {
            0 => Err(PeriodError::Zero),
            long if long > LONGEST_MS => Err(PeriodError::TooLong(text.into())),
            fits => Ok(Self(Duration::from_millis(fits))),
        }
    }
}

/// Sums the `<number><unit>` pairs of `text`; each unit at most once, larger units first.
fn milliseconds(text: &str) -> Result<u64, PeriodError> {
    let shape = || PeriodError::Shape(text.to_owned());
    let mut rest = text;
    let mut total = 0_u64;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let size = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or_else(shape)?;
        if digits == 0 || size >= smaller_than {
            return Err(shape());
        }
        smaller_than = size;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(size))
            .and_then(|n| n.checked_add(total))
            .ok_or_else(|| PeriodError::TooLong(text.to_owned()))?;
        rest = &rest[digits + letters..];
    }
    if smaller_than == u64::MAX { Err(shape()) } else { Ok(total) }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        // A day reads as 24h (the way people speak of an approval); from two days on, days are the natural unit.
        let whole = |(name, size): &&(&str, u64)| ms.is_multiple_of(*size) && (*name != "d" || ms > MS_PER_DAY);
        let (name, size) = UNITS.iter().find(whole).unwrap_or(&UNITS[4]);
        write!(f, "{}{name}", ms / size)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_lengths_are_read() {
        let table = [
            ("250ms", 250),
            ("45s", 45_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("90d", 90 * 86_400_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            (" 5s ", 5_000),
        ];
        for (text, ms) in table {
            assert_eq!(text.parse::<Period>().map(|p| p.as_millis()), Ok(ms), "{text}");
        }
    }

    #[test]
    fn unclear_lengths_are_refused() {
        let shape = |t: &str| PeriodError::Shape(t.into());
        let table = [
            ("45", PeriodError::Bare("45".into())),
            ("0", PeriodError::Zero),
            ("0s", PeriodError::Zero),
            ("", shape("")),
            ("-5s", shape("-5s")),
            ("1.5h", shape("1.5h")),
            ("5 s", shape("5 s")),
            ("5sec", shape("5sec")),
            ("s", shape("s")),
            ("1m1h", shape("1m1h")),
            ("1s1s", shape("1s1s")),
            ("5м", shape("5м")),
            ("999999999d", PeriodError::TooLong("999999999d".into())),
            ("99999999999999999999s", PeriodError::TooLong("99999999999999999999s".into())),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Period>(), Err(error), "{text}");
        }
    }

    #[test]
    fn shown_in_the_largest_whole_unit_and_read_back() {
        let table = [
            (Period::seconds(45), "45s"),
            (Period::seconds(90), "90s"),
            (Period::minutes(10), "10m"),
            (Period::minutes(60), "1h"),
            (Period::hours(24), "24h"),
            (Period::days(90), "90d"),
            (Period(Duration::from_millis(1_500)), "1500ms"),
        ];
        for (period, text) in table {
            assert_eq!(period.to_string(), text);
            assert_eq!(text.parse(), Ok(period));
        }
    }
}
