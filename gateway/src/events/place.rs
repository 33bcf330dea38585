//! Where an event stands in the log of its run: `SEQ.N`, the decision and the event's number in it.

use std::{fmt, str::FromStr};

/// A place; everything up to and including it has been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    /// Absent: all events of the decision.
    n: Whole,
}

/// How much of a decision: ordered so that all of it comes last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    UpTo(u32),
    #[default]
    All,
}

impl Place {
    /// Behind an event.
    pub(crate) fn behind(seq: u64, n: u32) -> Self {
        Self { seq, n: Whole::UpTo(n) }
    }

    /// Behind a decision.
    pub(crate) fn behind_all(seq: u64) -> Self {
        Self { seq, n: Whole::All }
    }

    /// The last decision of which everything was told for certain.
    pub(crate) fn whole_decision(self) -> u64 {
        match self.n {
            Whole::All => self.seq,
            Whole::UpTo(_) => self.seq.saturating_sub(1),
        }
    }

    /// How many events of its decision have been told; absent: all.
    pub(crate) fn told(self) -> Option<usize> {
        match self.n {
            Whole::All => None,
            Whole::UpTo(n) => Some(n as usize + 1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.n {
            Whole::All => write!(f, "{}", self.seq),
            Whole::UpTo(n) => write!(f, "{}.{n}", self.seq),
        }
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let number =
            |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u64>().map_err(|_| ()) } else { Err(()) };
        match text.split_once('.') {
            None => number(text).map(Self::behind_all),
            Some((seq, n)) => Ok(Self::behind(number(seq)?, u32::try_from(number(n)?).map_err(|_| ())?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_it_is_read_and_places_have_an_order() {
        for text in ["0", "7", "7.0", "18446744073709551615.4294967295"] {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", ".", "7.", ".7", "-1", "+7", "7.1.1", "7.4294967296", "18446744073709551616", "x"] {
            assert_eq!(bad.parse::<Place>(), Err(()), "{bad}");
        }
        assert!(Place::behind_all(6) < Place::behind(7, 0) && Place::behind(7, 0) < Place::behind(7, 1));
        assert!(Place::behind(7, u32::MAX) < Place::behind_all(7));
        assert_eq!((Place::behind_all(7).whole_decision(), Place::behind(7, 3).whole_decision()), (7, 6));
        assert_eq!((Place::behind_all(7).told(), Place::behind(7, 3).told()), (None, Some(4)));
    }
}
