//! How an error looks: for people what is wrong, why and what to do next; for machines one object.

use serde_json::{Value, json};

use super::ansi;
use super::style::{Ink, Style};
use crate::problem::{CliError, FieldProblem, causes, problems_in_words};

/// For people.
pub(crate) fn text(error: &CliError, style: Style) -> String {
    let mut lines = vec![format!("{} {}", style.paint(Ink::Bad, "error:"), headline(error))];
    if let Some(problems) = listed(error) {
        lines.extend(problems.iter().map(|problem| format!("  {}", problem_line(problem))));
    } else if let CliError::Answer(answer) = error {
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
        "problems": error.problems(),
    })
}

/// The problems that are told on lines of their own. Of a request with one problem the gateway's message is that problem.
fn listed(error: &CliError) -> Option<Vec<FieldProblem>> {
    let problems = error.problems();
    let told_already = matches!(error, CliError::Answer(_)) && problems.len() <= 1;
    Some(problems).filter(|problems| !problems.is_empty() && !told_already)
}

fn headline(error: &CliError) -> String {
    match (error, listed(error)) {
        (CliError::Answer(_), Some(problems)) => format!("the gateway refuses the request: {}", problems_in_words(problems.len())),
        (_, Some(_) | None) => message(error),
    }
}

fn problem_line(problem: &FieldProblem) -> String {
    let message = ansi::plain(&problem.message);
    if problem.field.is_empty() { message } else { format!("{}: {message}", ansi::plain(&problem.field)) }
}

/// The error with what lies below it.
fn message(error: &CliError) -> String {
    let own = ansi::lines(&error.to_string()).collect::<Vec<_>>().join("\n");
    let causes = causes(error);
    if causes.is_empty() { own } else { format!("{own}: {}", ansi::plain(&causes)) }
}
