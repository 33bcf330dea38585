//! Label values that cannot grow without bound.
//!
//! Every distinct value is a time series for ever, so a value is either an enum, one of a list (else `other`), or one
//! of the first few seen.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What a value outside the bounds becomes.
pub(super) const OTHER: &str = "other";

/// How a deployment ended, in the three words of the runner that Navvy replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// Everything asked for was done.
    Success,
    /// It failed, or its end is unknown.
    Failed,
    /// Cancelled, rejected or expired.
    Cancelled,
}

impl DeploymentStatus {
    pub(super) const ALL: [Self; 3] = [Self::Success, Self::Failed, Self::Cancelled];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Who reads messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// The gateway.
    Gateway,
    /// The scheduler.
    Scheduler,
    /// A worker.
    Worker,
}

impl Consumer {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
        }
    }
}

/// What a worker says that is not believed when it speaks for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// May I begin, may I start the effects?
    Question,
    /// What became of an attempt.
    Report,
}

impl Claim {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Report => "report",
        }
    }
}

/// `value` if it is one of `known`, else `other`.
pub(super) fn one_of(value: &str, known: &[&'static str]) -> &'static str {
    known.iter().find(|k| **k == value).copied().unwrap_or(OTHER)
}

/// Values that come from a configuration we do not see here (pools, routes): the first `limit` of them are kept.
#[derive(Debug)]
pub(super) struct FirstSeen {
    limit: usize,
    seen: Mutex<BTreeSet<String>>,
}

impl FirstSeen {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, seen: Mutex::default() }
    }

    /// `value`, or `other` once `limit` different values have been seen.
    pub(super) fn admit<'a>(&self, value: &'a str) -> &'a str {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(value) {
            return value;
        }
        if seen.len() >= self.limit {
            return OTHER;
        }
        seen.insert(value.to_owned());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_bounds_become_other() {
        let seen = FirstSeen::new(2);
        let table = [("a", "a"), ("b", "b"), ("c", OTHER), ("a", "a"), ("d", OTHER), ("b", "b")];
        for (value, expected) in table {
            assert_eq!(seen.admit(value), expected);
        }
        assert_eq!(one_of("GET", &["GET"]), "GET");
        assert_eq!(one_of("get", &["GET"]), OTHER);
    }
}
