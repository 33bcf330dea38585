//! What an order may use, as its runner is told: the family's limits, and behind them those of single processes.

use crate::runner::{FamilyLimits, Mode, OnOrphan, RunnerSpec, StopBy};
use service::settings::{Limits, Period};
use std::{path::PathBuf, time::Duration};

/// `RLIMIT_NPROC` counts everything of the user: this much of it may be other orders and the worker itself.
const ROOM_FOR_OTHERS: u64 = 4096;
/// How far one file may go beyond the disk limit, so that the reason can be seen before the kernel refuses.
const DISK_ROOM: u64 = 1024 * 1024;

/// The limits of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Its folders are filled in for each order.
    pub family: FamilyLimits,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Bounds {
    /// The limits that the operator set (`worker.limits`).
    pub fn of(limits: &Limits) -> Self {
        let set = |limit: u64| Some(limit).filter(|limit| *limit > 0);
        let family = FamilyLimits {
            memory_bytes: set(limits.memory_bytes),
            processes: set(limits.processes),
            processor: limits.processor_time.map(Period::duration),
            disk_bytes: set(limits.disk_bytes),
            disk_folders: Vec::new(),
            cgroups: limits.cgroup.iter().map(PathBuf::from).collect(),
        };
        Self { family, grace: limits.stop_grace.duration() }
    }

    /// Makes a command one that is run, stopped and held to its limits like an order.
    pub(crate) fn apply(&self, spec: &mut RunnerSpec, disk_folders: Vec<PathBuf>) {
        spec.mode = Mode::Plain;
        spec.stop_by = StopBy::TerminateGroup;
        spec.grace = Some(self.grace);
        spec.on_orphan = OnOrphan::Finish;
        spec.limits.processes = self.family.processes.map(|count| count.saturating_add(ROOM_FOR_OTHERS));
        spec.limits.file_size_bytes = self.family.disk_bytes.map(|bytes| bytes.saturating_add(DISK_ROOM));
        // A process that uses up all by itself between two looks.
        spec.limits.cpu_seconds = self.family.processor.map(|time| time.as_secs().saturating_add(1));
        spec.family = FamilyLimits { disk_folders, ..self.family.clone() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_no_limit() {
        let bounds = Bounds::of(&Limits { processes: 0, disk_bytes: 0, ..Limits::default() });
        assert_eq!(bounds.family, FamilyLimits::default());
        let mut spec = RunnerSpec::new("/bin/sh", "/", "/log");
        bounds.apply(&mut spec, Vec::new());
        assert_eq!((spec.limits.processes, spec.limits.file_size_bytes, spec.limits.cpu_seconds), (None, None, None));
        let default = Bounds::of(&Limits::default());
        assert_eq!((default.family.memory_bytes, default.family.processes), (None, Some(4096)));
        assert_eq!(default.grace, Duration::from_secs(10));
    }
}
