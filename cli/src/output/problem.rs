//! How an error looks: for people what is wrong, why and what to do next; for machines one object.

use serde_json::{Value, json};

use super::ansi;
use super::style::{Ink, Style};
use crate::problem::{CliError, causes};

/// For people.
pub(crate) fn text(error: &CliError, style: Style) -> String {
    let mut lines = vec![format!("{} {}", style.paint(Ink::Bad, "error:"), message(error))];
    if let CliError::Answer(answer) = error {
        let known = answer.field.iter().map(|field| ("field", field)).chain(answer.status.iter().map(|s| ("status", s)));
        lines.extend(known.map(|(name, value)| format!("  {name}: {}", ansi::plain(value))));
    }
    let next = error.next();
    if !next.is_empty() {
        lines.push(format!("  {} {next}", style.paint(Ink::Dim, "next:")));
    }
    lines.join("\n")
}

/// For machines.
pub(crate) fn json(error: &CliError) -> Value {
    let (field, status) = if let CliError::Answer(answer) = error { (answer.field.clone(), answer.status.clone()) } else { (None, None) };
    json!({
        "error": message(error),
        "code": error.code(),
        "field": field,
        "status": status,
        "next": error.next(),
        "exit": error.exit().code(),
    })
}

/// The error with what lies below it.
fn message(error: &CliError) -> String {
    let own = ansi::lines(&error.to_string()).collect::<Vec<_>>().join("\n");
    let causes = causes(error);
    if causes.is_empty() { own } else { format!("{own}: {}", ansi::plain(&causes)) }
}
