//! What a plan would do, with the signs that terraform and tofu use: `+` create, `~` update, `-` destroy, `-/+` replace.

use proto::terraform::{AttributeChange, PlanSummary, ResourceChange};

use super::ansi;
use super::style::{Ink, Style};

/// How many resources a picture names.
const SHOWN_RESOURCES: usize = 50;
/// How many attributes of a resource a picture names.
const SHOWN_ATTRIBUTES: usize = 8;

/// `+2 ~1 -/+1 -0`, and what else there is.
pub(crate) fn counts(plan: &PlanSummary, style: Style) -> String {
    if plan.is_empty() {
        return "no changes".into();
    }
    let mut parts = vec![
        counted("+", plan.adds, Ink::Good, style),
        counted("~", plan.changes, Ink::Warn, style),
        counted("-/+", plan.replacements, Ink::Bad, style),
        counted("-", plan.destroys, Ink::Bad, style),
    ];
    if plan.imports > 0 {
        parts.push(format!("import {}", plan.imports));
    }
    if plan.output_changes > 0 {
        parts.push(format!("outputs {}", plan.output_changes));
    }
    parts.join(" ")
}

/// The changed resources with their attributes, one line each.
pub(crate) fn resources(plan: &PlanSummary, style: Style) -> impl Iterator<Item = String> {
    let shown = plan.resources.iter().take(SHOWN_RESOURCES);
    let mut lines: Vec<String> = shown.flat_map(|resource| resource_lines(resource, style)).collect();
    let hidden = plan.resources.len().saturating_sub(SHOWN_RESOURCES) as u64 + u64::from(plan.resources_omitted);
    if hidden > 0 {
        lines.push(format!("… and {hidden} more"));
    }
    lines.into_iter()
}

fn counted(sign: &str, count: u32, ink: Ink, style: Style) -> String {
    style.paint(if count == 0 { Ink::Dim } else { ink }, &format!("{sign}{count}"))
}

fn resource_lines(resource: &ResourceChange, style: Style) -> Vec<String> {
    let (sign, ink) = sign(&resource.action);
    let because = match resource.replace_because.as_slice() {
        [] => String::new(),
        paths => format!(" (replaced because of {})", ansi::plain(&paths.join(", "))),
    };
    let mut lines = vec![format!("{} {}{because}", style.paint(ink, &format!("{sign:>3}")), ansi::plain(&resource.address))];
    lines.extend(resource.attributes.iter().take(SHOWN_ATTRIBUTES).map(attribute_line));
    let hidden = resource.attributes.len().saturating_sub(SHOWN_ATTRIBUTES);
    if hidden > 0 {
        lines.push(format!("      … and {hidden} more"));
    }
    lines
}

fn attribute_line(change: &AttributeChange) -> String {
    let (name, before, after) = (ansi::plain(&change.name), ansi::plain(&change.before), ansi::plain(&change.after));
    if before.is_empty() || before == "null" { format!("      {name} = {after}") } else { format!("      {name}: {before} -> {after}") }
}

/// The sign of an action word; a word nobody knows stands for itself.
fn sign(action: &str) -> (&str, Ink) {
    match action {
        "create" => ("+", Ink::Good),
        "update" => ("~", Ink::Warn),
        "delete" => ("-", Ink::Bad),
        "replace" => ("-/+", Ink::Bad),
        "read" => ("<=", Ink::Plain),
        other => (other, Ink::Plain),
    }
}
