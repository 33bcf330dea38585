//! What the tool and everything it starts may use together, and how it is said that they used more.
//!
//! Only data. Who looks is `contain`, what the kernel itself holds is `cgroup`; the limits of single processes are
//! [`super::Limits`].

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Bounds of a whole family of processes. Whoever goes beyond one is killed with everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct FamilyLimits {
    /// Resident memory of all together, in bytes. Memory that several share is counted for each.
    pub memory_bytes: Option<u64>,
    /// Processes at a time, their threads included.
    pub processes: Option<u64>,
    /// Processor time of all together, of those that have ended too.
    pub processor: Option<Duration>,
    /// By how much the folders may grow, in bytes on the disk.
    pub disk_bytes: Option<u64>,
    /// The folders that `disk_bytes` is about. None may lie in another.
    pub disk_folders: Vec<PathBuf>,
    /// Folders of cgroups in which the runner may make one of its own: with version 2 one, with version 1 one for each
    /// controller. Empty: nothing but the runner's looks holds the limits.
    pub cgroups: Vec<PathBuf>,
}

impl FamilyLimits {
    /// True if there is nothing to look at.
    pub(super) fn is_unlimited(&self) -> bool {
        self.memory_bytes.is_none() && self.processes.is_none() && self.processor.is_none() && self.disk_bytes.is_none()
    }
}

/// What of there was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Memory,
    Processes,
    Processor,
    Disk,
}

/// The reason why a family was killed. Bytes, processes or seconds, as the resource is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct OverLimit {
    pub resource: Resource,
    pub used: u64,
    pub limit: u64,
}

impl OverLimit {
    /// Something, if more was used than allowed.
    pub(super) fn found(resource: Resource, used: u64, limit: Option<u64>) -> Option<Self> {
        limit.filter(|limit| used > *limit).map(|limit| Self { resource, used, limit })
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, limit, .. } = *self;
        match self.resource {
            Resource::Memory => write!(f, "out of memory, used {} of {}", size(used), size(limit)),
            Resource::Processes => write!(f, "too many processes, {used} of {limit}"),
            Resource::Processor => write!(f, "out of processor time, used {used} s of {limit} s"),
            Resource::Disk => write!(f, "disk full of its own making, wrote {} of {}", size(used), size(limit)),
        }
    }
}

fn size(bytes: u64) -> String {
    if bytes >= MIB { format!("{} MiB", bytes.div_ceil(MIB)) } else { format!("{} KiB", bytes.div_ceil(KIB)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_names_what_was_used_and_what_was_allowed() {
        for (resource, used, limit, text) in [
            (Resource::Memory, 210 * MIB, 200 * MIB, "out of memory, used 210 MiB of 200 MiB"),
            (Resource::Processes, 513, 512, "too many processes, 513 of 512"),
            (Resource::Processor, 61, 60, "out of processor time, used 61 s of 60 s"),
            (Resource::Disk, MIB + 1, 100 * KIB, "disk full of its own making, wrote 2 MiB of 100 KiB"),
        ] {
            let over = OverLimit::found(resource, used, Some(limit)).expect("it is more");
            assert_eq!(over.to_string(), text);
            assert_eq!(OverLimit::found(resource, limit, Some(limit)), None, "all of it may be used");
            assert_eq!(OverLimit::found(resource, used, None), None);
        }
    }
}
