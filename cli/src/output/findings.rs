//! What `navvy doctor` found: one line for what is well, and what to do for what is not.

use serde_json::{Value, json};

use super::ansi;
use super::style::{Ink, Style};
use crate::doctor::{Finding, State};

/// For people.
pub(crate) fn text(findings: &[Finding], style: Style) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let (word, ink) = match finding.state {
            State::Ok => ("ok  ", Ink::Good),
            State::Warn => ("warn", Ink::Warn),
            State::Fail => ("FAIL", Ink::Bad),
        };
        let found = ansi::plain(&finding.found);
        lines.push(format!("{}  {:<width$}  {found}", style.paint(ink, word), finding.check));
        if !finding.advice.is_empty() {
            lines.push(format!("      {:<width$}  {} {}", "", style.paint(Ink::Dim, "do:"), ansi::plain(&finding.advice)));
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    lines.push(format!("{} ok, {} warnings, {} failed", count(State::Ok), count(State::Warn), count(State::Fail)));
    lines.join("\n")
}

/// For machines.
pub(crate) fn json(findings: &[Finding]) -> Value {
    let all: Vec<Value> = findings
        .iter()
        .map(|finding| json!({ "check": finding.check, "state": finding.state.word(), "found": finding.found, "do": finding.advice }))
        .collect();
    json!({ "healthy": findings.iter().all(|finding| finding.state != State::Fail), "findings": all })
}
