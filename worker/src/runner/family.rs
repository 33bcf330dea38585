//! The tool's family: every process that descends from the runner, found and measured in `/proc`, and ended.
//!
//! The runner is a subreaper, so whatever the tool's children do (double fork, own session), they stay its
//! descendants and it learns when the last one is gone. A process that forks faster than this can look is bounded by
//! `Limits::processes` (which does not bind root) and by a cgroup (see `cgroup`) only.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// Ticks of processor time in a second, as `/proc` counts them: the same on every machine that we build for.
const TICKS: u64 = 100;
/// How often one call of [`kill_descendants`] looks again for what was born meanwhile.
const LOOKS: usize = 100;

/// A living descendant and what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: Pid,
    pub(super) threads: u64,
    pub(super) memory_bytes: u64,
    /// Its own, and that of the children it has reaped.
    pub(super) processor: Duration,
}

/// Every descendant of this process, dead ones that nobody has reaped yet included.
pub(super) fn descendants() -> Vec<Pid> {
    find().into_iter().map(|(pid, _)| pid).collect()
}

/// The same, measured. What ends while we look is left out.
pub(super) fn members() -> Vec<Member> {
    find().into_iter().filter_map(|(pid, processor)| measure(pid, processor)).collect()
}

/// Every descendant and the processor time it has used.
fn find() -> Vec<(Pid, Duration)> {
    let mut children: HashMap<i32, Vec<(i32, Duration)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process that ends while we look is no loss.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some((parent, processor)) = parent(&stat) {
            children.entry(parent).or_default().push((pid, processor));
        }
    }
    let (mut found, mut open) = (Vec::new(), vec![getpid().as_raw()]);
    while let Some(parent) = open.pop() {
        let born = children.remove(&parent).unwrap_or_default();
        found.extend(born.iter().map(|(pid, processor)| (Pid::from_raw(*pid), *processor)));
        open.extend(born.into_iter().map(|(pid, _)| pid));
    }
    found
}

/// Sends SIGKILL to every descendant and says how many there were; looks again at once for those that were born
/// meanwhile. Call again until there are none.
pub(super) fn kill_descendants() -> usize {
    let mut killed = HashSet::new();
    for _ in 0..LOOKS {
        let before = killed.len();
        for pid in descendants() {
            if killed.insert(pid) {
                // Gone already is what we want.
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        if killed.len() == before {
            break;
        }
    }
    killed.len()
}

/// The parent and the processor time in a line of `/proc/<pid>/stat`. The name in it may hold anything.
fn parent(stat: &str) -> Option<(i32, Duration)> {
    let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks: u64 = rest.get(11..15).into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some((rest.get(1)?.parse().ok()?, Duration::from_millis(ticks * 1000 / TICKS)))
}

fn measure(pid: Pid, processor: Duration) -> Option<Member> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A dead one has no memory any more.
    let memory_bytes = field(&status, "VmRSS:").unwrap_or(0) * 1024;
    Some(Member { pid, threads: field(&status, "Threads:").unwrap_or(1), memory_bytes, processor })
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_confuse() {
        assert_eq!(parent("12 (a) S 1 (b) S 77 12 12"), Some((77, Duration::ZERO)));
        let times = "12 (a) R 77 1 1 0 -1 0 0 0 0 0 100 20 3 4 20 0 2 0 5 6 7";
        assert_eq!(parent(times), Some((77, Duration::from_millis(1270))));
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn a_child_is_found_until_it_is_gone() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().expect("sleep starts");
        let pid = Pid::from_raw(child.id() as i32);
        assert!(descendants().contains(&pid));
        let member = members().into_iter().find(|member| member.pid == pid).expect("is measured");
        assert!(member.threads == 1 && member.memory_bytes > 100_000, "{member:?}");
        child.kill().expect("is killed");
        child.wait().expect("is reaped");
        assert!(!descendants().contains(&pid));
    }
}
