//! Gathers what is wrong with a job, so that whoever sent it sees all of it at once.
//!
//! A problem names its order as the replaced engine did: by `order_name`, or `order[i]` counted from 0. Values are told
//! only where they cannot be secrets.

use super::given::{Given, Texts};
use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

/// Most problems that are told one by one.
const MOST_TOLD: usize = 200;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    /// Where: `job_timeout`, `orders[3].timeout`; empty for the job as a whole.
    pub field: String,
    /// What, with the order's label in front; the sentences of the replaced engine where it had one.
    pub text: String,
}

/// What was wrong was told already: nothing that follows from it is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told;

/// A value, or none, or a problem that was told.
pub(super) type Checked<T> = Result<Option<T>, Told>;

/// All problems so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<Problem>,
    /// How many more there are than are told.
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, text: impl Into<String>) {
        if self.told.len() < MOST_TOLD {
            self.told.push(Problem { field: field.into(), text: text.into() });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    pub(super) fn finish(mut self) -> Vec<Problem> {
        if self.more > 0 {
            self.told.push(Problem { field: String::new(), text: format!("there are {} more problems of these kinds", self.more) });
        }
        self.told
    }

    /// For what belongs to the job.
    pub(super) fn of_job(&mut self) -> Report<'_> {
        Report { problems: self, path: String::new(), label: String::new() }
    }

    /// For what belongs to an order.
    pub(super) fn of_order(&mut self, index: usize, label: &str) -> Report<'_> {
        Report { problems: self, path: format!("orders[{index}]."), label: format!("{label}: ") }
    }
}

/// Problems of one place.
#[derive(Debug)]
pub(super) struct Report<'a> {
    problems: &'a mut Problems,
    path: String,
    label: String,
}

impl Report<'_> {
    pub(super) fn add(&mut self, field: &str, message: impl Display) -> Told {
        self.problems.add(format!("{}{field}", self.path), format!("{}{message}", self.label));
        Told
    }

    /// A text; an empty one is none.
    pub(super) fn text<'g>(&mut self, field: &str, given: &'g Given<String>) -> Checked<&'g str> {
        match given {
            Given::Absent => Ok(None),
            Given::Value(text) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Given::Wrong(kind) => Err(self.add(field, format!("{field} must be a text, not {kind}"))),
        }
    }

    /// A text that is something more.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, field: &str, given: &Given<String>) -> Checked<T> {
        let Some(text) = self.text(field, given)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| self.add(field, format!("{field}: {error}")))
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, field: &str, given: &Given<i64>, range: RangeInclusive<u32>) -> Checked<u32> {
        let value = match given {
            Given::Absent => return Ok(None),
            Given::Value(value) => u32::try_from(*value).ok().filter(|value| range.contains(value)),
            Given::Wrong(_) => None,
        };
        value.map(Some).ok_or_else(|| {
            self.add(field, format!("{field} must be a whole number from {} to {}, without quotes", range.start(), range.end()))
        })
    }

    /// True or false.
    pub(super) fn boolean(&mut self, field: &str, given: &Given<bool>) -> Checked<bool> {
        match given {
            Given::Absent => Ok(None),
            Given::Value(value) => Ok(Some(*value)),
            Given::Wrong(kind) => Err(self.add(field, format!("{field} must be true or false, not {kind}"))),
        }
    }

    /// A list of texts; empty where there is none.
    pub(super) fn texts<'g>(&mut self, field: &str, given: &'g Given<Texts>) -> Result<&'g [String], Told> {
        match given {
            Given::Absent => Ok(&[]),
            Given::Value(Texts { items, wrong: None }) => Ok(items),
            Given::Value(Texts { wrong: Some((index, kind)), .. }) => {
                Err(self.add(field, format!("{field}[{index}] must be a text, not {kind}")))
            }
            Given::Wrong(kind) => Err(self.add(field, format!("{field} must be a list of texts, not {kind}"))),
        }
    }
}

/// Enough of a hostile text to recognise it, and no control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
