//! What `navvy mapping check` found: the services of a repository, and what a push would do.

use proto::sync::{Environment, Executor, Selected, Selection, Skipped};
use serde_json::{Value, json};

use super::ansi;
use super::style::{Ink, Style};
use super::table::{Cell, Table};

/// A repository without mistakes.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) environment: Environment,
    /// It has no mapping of its own.
    pub(crate) built_in: bool,
    /// Every service.
    pub(crate) all: Selection,
    /// What a push would do, if one was asked about.
    pub(crate) push: Option<Selection>,
}

/// For people.
pub(crate) fn text(checked: &Checked, style: Style) -> String {
    let Checked { environment, built_in, all, push } = checked;
    let mapping = if *built_in { "no navvy.yaml, so the built-in table decides" } else { "navvy.yaml is well" };
    let mut parts = vec![format!("{mapping}: {} in {environment}", counted(all.services.len(), "service"))];
    if !all.services.is_empty() {
        parts.push(services(&all.services, style));
    }
    if !all.skipped.is_empty() {
        parts.push(format!("not synced:\n{}", skipped(&all.skipped, style)));
    }
    if !all.notes.is_empty() {
        let notes = all.notes.iter().map(|note| format!("{} {}", style.paint(Ink::Warn, "note:"), ansi::plain(note)));
        parts.push(notes.collect::<Vec<_>>().join("\n"));
    }
    if let Some(push) = push {
        parts.push(of_push(push, style));
    }
    parts.join("\n\n")
}

/// For machines.
pub(crate) fn json(checked: &Checked) -> Value {
    let Checked { environment, built_in, all, push } = checked;
    let services: Vec<Value> = all
        .services
        .iter()
        .map(|each| {
            json!({ "service": each.service, "task": each.task, "dir": each.dir, "executor": word(&each.executor), "after": each.after,
                    "production_only": each.production_only, "requires": each.requires, "depends_on": each.depends_on })
        })
        .collect();
    let push = push.as_ref().map(|push| {
        let synced: Vec<Value> = push.services.iter().map(|each| json!({ "service": each.service, "reasons": each.reasons })).collect();
        json!({ "files": push.changed_files, "services": synced, "skipped": push.skipped })
    });
    json!({ "valid": true, "environment": environment, "mapping": if *built_in { "built_in" } else { "navvy.yaml" }, "services": services,
            "skipped": all.skipped, "notes": all.notes, "changed": push, "problems": [] })
}

fn services(services: &[Selected], style: Style) -> String {
    let mut table = Table::new(&["SERVICE", "TASK", "FOLDER", "EXECUTOR", "COMES AFTER"]);
    for each in services {
        let after: Vec<String> = each.after.iter().map(ToString::to_string).collect();
        let task = if each.executor == Executor::Command { each.task.as_str() } else { "-" };
        table.row([
            Cell::new(Ink::Strong, each.service.to_string()),
            ansi::plain(task).into(),
            ansi::plain(each.dir.as_str()).into(),
            word(&each.executor).into(),
            after.join(", ").into(),
        ]);
    }
    table.text(style, 2)
}

fn skipped(skipped: &[Skipped], style: Style) -> String {
    let mut table = Table::headless();
    for each in skipped {
        table.row([ansi::plain(&each.what).into(), Cell::new(Ink::Dim, ansi::plain(&each.reason))]);
    }
    table.text(style, 2)
}

fn of_push(push: &Selection, style: Style) -> String {
    let files = counted(push.changed_files as usize, "file");
    if push.services.is_empty() && push.skipped.is_empty() {
        return format!("a push of {files} syncs nothing");
    }
    let mut table = Table::headless();
    for each in &push.services {
        let reasons: Vec<String> = each.reasons.iter().map(|reason| ansi::plain(reason)).collect();
        table.row([Cell::new(Ink::Good, each.service.to_string()), reasons.join("; ").into()]);
    }
    let mut text = format!("a push of {files} syncs {}", counted(push.services.len(), "service"));
    if !push.services.is_empty() {
        text.push_str(":\n");
        text.push_str(&table.text(style, 2));
    }
    if !push.skipped.is_empty() {
        text.push_str("\nand skips:\n");
        text.push_str(&skipped(&push.skipped, style));
    }
    text
}

fn word(executor: &Executor) -> &'static str {
    match executor {
        Executor::Command => "command",
        Executor::Compose(_) => "compose",
        Executor::Dokploy(_) => "dokploy",
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
