//! The tool's family: every process that descends from the runner, found in `/proc` and ended.
//!
//! The runner is a subreaper, so whatever the tool's children do (double fork, own session), they stay its
//! descendants and it learns when the last one is gone. A process that forks faster than this can look is bounded by
//! `Limits::processes` only; a cgroup would do better and is not ours to require.

use std::collections::HashMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// Every descendant of this process, dead ones that nobody has reaped yet included.
pub(super) fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process that ends while we look is no loss.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut open) = (Vec::new(), vec![getpid().as_raw()]);
    while let Some(parent) = open.pop() {
        let born = children.remove(&parent).unwrap_or_default();
        found.extend(born.iter().copied().map(Pid::from_raw));
        open.extend(born);
    }
    found
}

/// Sends SIGKILL to every descendant and says how many there were. Call again until there are none: one may have
/// forked meanwhile.
pub(super) fn kill_descendants() -> usize {
    let found = descendants();
    for &pid in &found {
        // Gone already is what we want.
        let _ = kill(pid, Signal::SIGKILL);
    }
    found.len()
}

/// The parent in a line of `/proc/<pid>/stat`. The name in it may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_confuse() {
        assert_eq!(parent("12 (a) S 1 (b) S 77 12 12"), Some(77));
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn a_child_is_found_until_it_is_gone() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().expect("sleep starts");
        let pid = Pid::from_raw(child.id() as i32);
        assert!(descendants().contains(&pid));
        child.kill().expect("is killed");
        child.wait().expect("is reaped");
        assert!(!descendants().contains(&pid));
    }
}
