//! As many orders as fit: all of them, else those that went wrong and those that run, and how many more there are.
//!
//! A line is shown whole or not at all.

use super::{Line, State, plain};

/// The longest comment, in UTF-16 units: of the ways to count characters the one that counts most. GitHub takes 65,536
/// characters; the rest is left for what a person may add.
pub(super) const MAX_UNITS: usize = 60_000;

/// Branches in front of an order, and of the last one.
const BRANCH: &str = "├─ ";
const LAST: &str = "└─ ";

/// Length of a text as forges count it.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What a reader wants to see first.
pub(super) fn rank(state: State) -> u8 {
    match state {
        State::Failed | State::TimedOut => 0,
        State::Unknown => 1,
        State::Cancelled => 2,
        State::Running => 3,
        State::Queued => 4,
        State::Succeeded => 5,
    }
}

/// Shown also when not everything fits.
fn matters(state: State) -> bool {
    match state {
        State::Failed | State::TimedOut | State::Unknown | State::Running => true,
        State::Cancelled | State::Queued | State::Succeeded => false,
    }
}

/// The list of orders, each line with its end. `total` counts those too that are not among `lines`.
pub(super) fn list(lines: &[&Line], total: u32, reasons: bool, room: usize) -> String {
    let all: Vec<String> = lines.iter().map(|line| words(line, reasons)).collect();
    let complete = lines.len() >= total as usize;
    let needed: usize = all.iter().map(|text| units(text) + units(BRANCH) + 1).sum();
    if complete && needed <= room {
        return branches(&all);
    }
    if !complete && needed + more_units(total) <= room {
        return with_more(all, total);
    }
    let mut important: Vec<&&Line> = lines.iter().filter(|line| matters(line.state)).collect();
    important.sort_by_key(|line| rank(line.state));
    let mut left = room.saturating_sub(more_units(total));
    let mut shown = Vec::new();
    for text in important.iter().map(|line| words(line, reasons)) {
        let Some(rest) = left.checked_sub(units(&text) + units(BRANCH) + 1) else { break };
        left = rest;
        shown.push(text);
    }
    with_more(shown, total)
}

fn with_more(mut shown: Vec<String>, total: u32) -> String {
    let more = u64::from(total).saturating_sub(shown.len() as u64);
    shown.push(if shown.is_empty() { too_many(total) } else { format!("… and {more} more") });
    branches(&shown)
}

/// The only line, when no order has one.
fn too_many(total: u32) -> String {
    format!("{total} orders, too many to list")
}

/// Room that the line about the others takes at most: the longer of the two that it may be.
fn more_units(total: u32) -> usize {
    units(LAST) + units(&too_many(total)) + 1
}

fn branches(texts: &[String]) -> String {
    let last = texts.len().saturating_sub(1);
    let branch = |n: usize| if n == last { LAST } else { BRANCH };
    texts.iter().enumerate().flat_map(|(n, text)| [branch(n), text, "\n"]).collect()
}

/// `name: state`, and why where that is told.
fn words(line: &Line, reasons: bool) -> String {
    let reason = line.reason.as_deref().filter(|_| reasons).and_then(plain::reason).map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}: {}{reason}", plain::name(&line.name), line.state.word())
}
