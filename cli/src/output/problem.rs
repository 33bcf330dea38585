//! How an error looks: for people what is wrong, why and what to do next; for machines one object.

use serde_json::{Value, json};

use super::ansi;
use super::style::{Ink, Style};
use crate::problem::{CliError, causes};

/// For people.
pub(crate) fn text(error: &CliError, style: Style) -> String {
    let mut out = format!("{} {}", style.paint(Ink::Bad, "error:"), message(error));
    if let CliError::Answer(answer) = error {
        let known = answer.field.iter().map(|field| ("field", field)).chain(answer.status.iter().map(|s| ("status", s)));
        for (name, value) in known {
            out.push_str(&format!("\n  {name}: {}", ansi::plain(value)));
        }
    }
    let next = error.next();
    if !next.is_empty() {
        out.push_str(&format!("\n  {} {next}", style.paint(Ink::Dim, "next:")));
    }
    out
}

/// For machines.
pub(crate) fn json(error: &CliError) -> Value {
    let (field, status) = match error {
        CliError::Answer(answer) => (answer.field.clone(), answer.status.clone()),
        _ => (None, None),
    };
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
