//! What the kernel counts for a process.

use anyhow::Context as _;
use std::collections::BTreeMap;

/// Resident memory and processor time of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) resident_mib: f64,
    pub(super) processor_us: f64,
}

/// What the kernel counts for a process, from `/proc`.
pub(super) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read /proc: measured on Linux only")?;
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let resident: f64 = fields.get("VmRSS").context("VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    // By thread, because the sum over all of them is kept in steps of 10 ms only.
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(Usage { resident_mib: resident / 1024.0, processor_us: nanoseconds / 1e3 })
}
