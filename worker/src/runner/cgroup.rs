//! Cgroups of the runner's own: the kernel then holds memory and processes, however fast the tool is.
//!
//! Made below folders that the worker's operator gave, named after the runner, entered by the launcher before it becomes
//! the tool, and removed when the family is gone. Versions 1 and 2 differ by the files that are there; what is there is
//! used. Where nothing was given, `contain` looks alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bounds::{FamilyLimits, OverLimit, Resource};
use super::wire::{StartFailure, StartStep};

/// How often and how long removing a group is tried: the kernel may still be putting away its last process.
const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// The groups of one tool.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<PathBuf>);

impl Groups {
    /// Makes the groups and sets their limits. One that holds nothing of what is to be held is an error: an operator who
    /// gave it relies on it.
    pub(super) fn make(limits: &FamilyLimits) -> Result<Self, StartFailure> {
        let mut groups = Self::default();
        if limits.memory_bytes.is_none() && limits.processes.is_none() {
            return Ok(groups);
        }
        for folder in &limits.cgroups {
            let made = groups.add(folder, limits);
            made.map_err(|error| {
                groups.remove();
                let mut failure = StartFailure::io(StartStep::SetLimits, folder, &error);
                if failure.detail.is_empty() {
                    "worker.limits.cgroup must name cgroups that the worker may write in".clone_into(&mut failure.detail);
                }
                failure
            })?;
        }
        Ok(groups)
    }

    fn add(&mut self, folder: &Path, limits: &FamilyLimits) -> io::Result<()> {
        // Version 2 hands controllers down only where this is said. Without a right to say it, it was said already.
        for controller in ["+memory", "+pids"] {
            let _ = set(&folder.join("cgroup.subtree_control"), Some(controller));
        }
        let group = folder.join(format!("navvy-{}", std::process::id()));
        // One that an earlier runner of the same number left behind.
        let _ = fs::remove_dir(&group);
        fs::create_dir(&group)?;
        self.0.push(group.clone());
        let memory = limits.memory_bytes.map(|bytes| bytes.to_string());
        let mut holds = 0;
        for name in ["memory.max", "memory.limit_in_bytes"] {
            holds += set(&group.join(name), memory.as_deref())?;
        }
        holds += set(&group.join("pids.max"), limits.processes.map(|count| count.to_string()).as_deref())?;
        // Better where they are there: no way around into swap, and all die together.
        for (name, value) in
            [("memory.swap.max", Some("0")), ("memory.memsw.limit_in_bytes", memory.as_deref()), ("memory.oom.group", Some("1"))]
        {
            let _ = set(&group.join(name), value);
        }
        if holds == 0 {
            return Err(io::Error::other("it has neither the controller memory nor pids for what is to be limited"));
        }
        Ok(())
    }

    /// What the launcher enters.
    pub(super) fn entrances(&self) -> Vec<PathBuf> {
        self.0.iter().map(|group| group.join("cgroup.procs")).collect()
    }

    /// What the kernel had to refuse.
    pub(super) fn over(&self, limits: &FamilyLimits) -> Option<OverLimit> {
        self.0.iter().find_map(|group| {
            let killed = count(&group.join("memory.events"), "oom_kill") + count(&group.join("memory.oom_control"), "oom_kill");
            if let Some(limit) = limits.memory_bytes.filter(|_| killed > 0) {
                let peak = ["memory.peak", "memory.max_usage_in_bytes"].iter().find_map(|name| number(&group.join(name)));
                return Some(OverLimit { resource: Resource::Memory, used: peak.unwrap_or(limit), limit });
            }
            let refused = count(&group.join("pids.events"), "max");
            let limit = limits.processes.filter(|_| refused > 0)?;
            Some(OverLimit { resource: Resource::Processes, used: limit + 1, limit })
        })
    }

    /// Kills everything in the groups where the kernel can, and lets nothing more be born.
    pub(super) fn kill(&self) {
        for group in &self.0 {
            let _ = set(&group.join("pids.max"), Some("0"));
            let _ = set(&group.join("cgroup.kill"), Some("1"));
        }
    }

    /// Removes the groups, which must be empty.
    pub(super) fn remove(&self) {
        for group in &self.0 {
            for _ in 0..REMOVE_TRIES {
                match fs::remove_dir(group) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(REMOVE_PAUSE),
                    Ok(()) | Err(_) => break,
                }
            }
        }
    }
}

/// Writes a value where there is a file for it; returns how many files that was.
fn set(file: &Path, value: Option<&str>) -> io::Result<u32> {
    let Some(value) = value else { return Ok(0) };
    // Never made: a folder that is no cgroup must not come to look like one.
    match OpenOptions::new().write(true).open(file) {
        Ok(mut file) => file.write_all(value.as_bytes()).map(|()| 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number behind a word in a file of `word number` lines; 0 if there is none.
fn count(file: &Path, word: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
    line.unwrap_or(0)
}
