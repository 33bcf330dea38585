//! Processes and what they started: a machine that loses its power takes all of them.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::fs;

/// Every process below one, the nearest first.
pub fn below(pid: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut parents = vec![pid.cast_signed()];
    while let Some(parent) = parents.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for task in tasks.flatten() {
            let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children: Vec<i32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
            parents.extend(&children);
            found.extend(children.into_iter().map(Pid::from_raw));
        }
    }
    found
}

/// The processes that one started and that are still its own.
pub fn children(pid: u32) -> Vec<Pid> {
    let is_child = |child: &Pid| parent_of(*child).is_some_and(|parent| parent.as_raw() == pid.cast_signed());
    below(pid).into_iter().filter(is_child).collect()
}

/// Who started a process, or took it over.
pub fn parent_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|pid| pid.trim().parse().ok()).map(Pid::from_raw)
}

/// SIGKILL for each of them. One that has gone already is no error.
pub fn kill_all(family: &[Pid]) {
    for pid in family {
        let _ = kill(*pid, Signal::SIGKILL);
    }
}
