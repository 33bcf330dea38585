//! Reads what is declared about one service.

use super::{
    Declared, executor,
    read::{MOST_LISTED, Reading, is_task},
};
use crate::yaml::Node;
use proto::{path::RepoPath, sync::ServiceId};

const FIELDS: [&str; 7] = ["dir", "task", "after", "depends_on", "executor", "production_only", "requires"];

/// Reads a service.
pub(super) fn read(reading: &mut Reading, id: &ServiceId, node: &Node) -> Declared {
    let fields = reading.problems.fields(node, &format!("service {id}"), &FIELDS);
    let mut declared = Declared::default();
    if let Some(node) = fields.get("dir") {
        declared.dir = reading.problems.parsed::<RepoPath>(node, "dir");
        if let Some(dir) = &declared.dir {
            reading.not_bootstrap(node.place, dir, id.project());
        }
    }
    if let Some(node) = fields.get("task") {
        declared.task = reading.problems.text(node, "task", 128).map(str::to_owned);
        if declared.task.as_deref().is_some_and(|task| !is_task(task)) {
            reading.problems.add(node.place, "task may have a-z, A-Z, 0-9, `.`, `_` and `-`, and does not start with `-`");
        }
    }
    if let Some(node) = fields.get("after") {
        declared.after = reading.services(node, "after");
    }
    if let Some(node) = fields.get("depends_on") {
        declared.depends_on = reading.globs(node, "depends_on");
    }
    if let Some(node) = fields.get("executor")
        && let Some((executor, names_file)) = executor::read(&mut reading.problems, node)
    {
        (declared.executor, declared.names_file) = (executor, names_file);
    }
    if let Some(node) = fields.get("production_only") {
        declared.production_only = reading.problems.truth(node, "production_only").unwrap_or_default();
    }
    if let Some(node) = fields.get("requires") {
        for node in reading.problems.list(node, "requires", MOST_LISTED) {
            match reading.problems.text(node, "requires", 256) {
                Some(name) if executor::is_variable(name) => declared.requires.push(name.to_owned()),
                Some(_) => reading.problems.add(node.place, executor::VARIABLE_RULE),
                None => {}
            }
        }
    }
    declared
}
