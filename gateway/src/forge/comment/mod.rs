//! The comment of a run of orders: what stands in it at each moment, as text and nothing else.
//!
//! Whoever reads it may be attacked by what a run's author called things: [`Comment::render`] lets no name become a mention, a
//! link, HTML or formatting (`plain`), fits the forge's size whatever the run's (`fold`), and ends with the tag line that the
//! comment is found again by (`tag`). When it is written is the business of `commenter`.

mod fold;
mod plain;
mod tag;

pub(crate) use plain::name;
pub use tag::Identity;

use proto::orders::OrderCounts;
use std::{fmt::Write as _, time::Duration};

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub identity: Identity,
    pub moment: Moment,
    /// The orders, as they were given. May leave out those that are not worth a line; `counts` knows all.
    pub orders: Vec<Line>,
    pub counts: OrderCounts,
    /// Where people read more: `https://…`. Not shown at the start.
    pub link: Option<String>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub state: State,
    /// Why it is so, in words; shown when the run is over.
    pub reason: Option<String>,
}

/// How an order stands, as far as a comment tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Waits, for other orders or for a place.
    Queued,
    Running,
    /// Its worker was lost; nobody knows how it ended.
    Unknown,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
}

/// When a comment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The run is accepted.
    Start,
    /// It goes on.
    Progress,
    /// It has succeeded.
    End { took: Duration },
    /// It is over and has not succeeded.
    Failure { ending: Ending, why: Option<String>, took: Duration },
}

/// How a run that has not succeeded is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Failed,
    TimedOut,
    Cancelled,
}

impl Moment {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Start | Self::Progress => false,
            Self::End { .. } | Self::Failure { .. } => true,
        }
    }
}

impl State {
    /// The word that stands in the comment.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Comment {
    /// The text, at most 60,000 characters long.
    pub fn render(&self) -> String {
        let head = "**Order Summary**\n\n";
        let tail = format!("{}{}", self.closing(), self.identity.line());
        let room = fold::MAX_UNITS - fold::units(head) - fold::units(&tail);
        let list = fold::list(&self.sorted(), self.counts.total, self.moment.is_last(), room);
        // Without an order there is nothing to set apart from what follows.
        let tail = if list.is_empty() { tail.trim_start() } else { &tail };
        format!("{head}{list}{tail}")
    }

    /// The lines as they are shown: once the run is over, what went wrong first.
    fn sorted(&self) -> Vec<&Line> {
        let mut lines: Vec<&Line> = self.orders.iter().collect();
        if self.moment.is_last() {
            lines.sort_by_key(|line| fold::rank(line.state));
        }
        lines
    }

    /// What stands between the orders and the tag line, with the blank lines around it.
    fn closing(&self) -> String {
        let parts = [self.summary(), self.why(), self.linked()];
        let said: Vec<String> = parts.into_iter().flatten().collect();
        if said.is_empty() { "\n".to_owned() } else { format!("\n{}\n\n", said.join("\n")) }
    }

    fn summary(&self) -> Option<String> {
        let counted = counted(&self.counts);
        match &self.moment {
            Moment::Start => None,
            Moment::Progress => Some(format!("running: {counted}")),
            Moment::End { took } => Some(format!("succeeded after {}: {counted}", lasted(*took))),
            Moment::Failure { ending, took, .. } => Some(format!("{} after {}: {counted}", ending.word(), lasted(*took))),
        }
    }

    fn why(&self) -> Option<String> {
        match &self.moment {
            Moment::Failure { why: Some(why), .. } => plain::reason(why).map(|why| format!("reason: {why}")),
            Moment::Start | Moment::Progress | Moment::End { .. } | Moment::Failure { why: None, .. } => None,
        }
    }

    fn linked(&self) -> Option<String> {
        match self.moment {
            Moment::Start => None,
            Moment::Progress | Moment::End { .. } | Moment::Failure { .. } => {
                self.link.as_deref().and_then(plain::address).map(|address| format!("[details]({address})"))
            }
        }
    }
}

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// `5 orders, 3 succeeded, 2 failed`; what there is none of is left out.
fn counted(counts: &OrderCounts) -> String {
    let noun = if counts.total == 1 { "order" } else { "orders" };
    let mut text = format!("{} {noun}", counts.total);
    let waiting = counts.blocked.saturating_add(counts.ready).saturating_add(counts.queued);
    let each = [
        (counts.succeeded, State::Succeeded),
        (counts.failed, State::Failed),
        (counts.timed_out, State::TimedOut),
        (counts.cancelled, State::Cancelled),
        (counts.unknown, State::Unknown),
        (counts.running, State::Running),
        (waiting, State::Queued),
    ];
    for (count, state) in each.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {}", state.word());
    }
    text
}

/// `1h 2m 3s`, in whole seconds, without what is zero.
fn lasted(took: Duration) -> String {
    let seconds = took.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if said.is_empty() { "less than 1s".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests;
