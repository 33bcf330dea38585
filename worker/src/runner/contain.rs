//! Holding a family to its limits: looks at memory, processes, processor time and folders, several times a second.
//!
//! A look only reads; killing is the loop's (`running`). Between two looks a tool can go beyond a limit for a moment:
//! where that matters, the operator gives a cgroup, and its refusals are read here too.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use super::bounds::{FamilyLimits, OverLimit, Resource};
use super::cgroup::Groups;
use super::family;
use super::feeds::Message;
use super::wire::StartFailure;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// A look at the folders is followed by this many times its own length without one: a large checkout must not keep a
/// processor busy.
const REST: u32 = 10;
/// What a file or folder costs at least, in bytes, so that empty ones are counted too.
const LEAST: u64 = 512;

/// The limits of one tool, and what was there before it.
#[derive(Debug)]
pub(super) struct Containment {
    limits: FamilyLimits,
    groups: Groups,
    disk_before: u64,
}

impl Containment {
    /// Makes the groups and measures the folders.
    pub(super) fn prepare(limits: &FamilyLimits) -> Result<Self, StartFailure> {
        let groups = Groups::make(limits)?;
        let disk_before = limits.disk_bytes.map_or(0, |_| on_disk(limits));
        Ok(Self { limits: limits.clone(), groups, disk_before })
    }

    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The first limit that is passed now. After the end it still knows of disk, processor and the kernel's refusals.
    pub(super) fn look(&self) -> Option<OverLimit> {
        self.groups.over(&self.limits).or_else(|| self.family()).or_else(|| self.disk())
    }

    fn disk(&self) -> Option<OverLimit> {
        let limit = self.limits.disk_bytes?;
        OverLimit::found(Resource::Disk, on_disk(&self.limits).saturating_sub(self.disk_before), Some(limit))
    }

    fn family(&self) -> Option<OverLimit> {
        let members = family::members();
        let together = |of: fn(&family::Member) -> u64| members.iter().map(of).sum::<u64>();
        OverLimit::found(Resource::Memory, together(|member| member.memory_bytes), self.limits.memory_bytes)
            .or_else(|| OverLimit::found(Resource::Processes, together(|member| member.threads), self.limits.processes))
            .or_else(|| {
                let allowed = self.limits.processor?;
                let used = members.iter().map(|member| member.processor).sum::<Duration>() + reaped();
                // In whole seconds, rounded so that what is over never reads as if it were not.
                (used > allowed).then(|| OverLimit {
                    resource: Resource::Processor,
                    used: used.as_secs() + u64::from(used.subsec_nanos() > 0),
                    limit: allowed.as_secs(),
                })
            })
    }
}

/// Processor time of what the runner has reaped, and of what those had reaped.
fn reaped() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros(usage.user_time()) + micros(usage.system_time())).unwrap_or(0))
    })
}

fn on_disk(limits: &FamilyLimits) -> u64 {
    limits.disk_folders.iter().map(|folder| folder_bytes(folder)).sum()
}

/// What a folder takes on its disk. Links are not followed and other file systems not entered; what cannot be read is
/// not counted.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(device) = fs::symlink_metadata(folder).map(|metadata| metadata.dev()) else { return 0 };
    let (mut bytes, mut open) = (0, vec![folder.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            // A file that goes while we look is no loss. The metadata of a link are its own.
            let Ok(metadata) = entry.metadata() else { continue };
            // A file with several names is counted by its share in each.
            let share = if metadata.is_dir() { 1 } else { metadata.nlink().max(1) };
            bytes += (metadata.blocks() * 512 / share).max(LEAST);
            if metadata.is_dir() && metadata.dev() == device {
                open.push(entry.path());
            }
        }
    }
    bytes
}

/// A thread that looks until it has found something.
pub(super) fn watch(contained: Arc<Containment>, to: SyncSender<Message>) {
    if contained.limits.is_unlimited() {
        return;
    }
    std::thread::spawn(move || {
        let mut disk_at = Instant::now();
        loop {
            let begun = Instant::now();
            let mut over = contained.groups.over(&contained.limits).or_else(|| contained.family());
            if over.is_none() && disk_at <= begun {
                over = contained.disk();
                disk_at = Instant::now() + begun.elapsed() * REST;
            }
            if let Some(over) = over {
                let _ = to.send(Message::Over(over));
                return;
            }
            std::thread::sleep(EVERY);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_what_its_files_take_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let other = tempfile::tempdir().expect("a folder");
        fs::write(other.path().join("large"), vec![7; 1 << 20]).expect("writes");
        std::os::unix::fs::symlink(other.path(), dir.path().join("link")).expect("links");
        let small = folder_bytes(dir.path());
        assert!((LEAST..64 * 1024).contains(&small), "{small}");
        fs::create_dir(dir.path().join("below")).expect("makes");
        let file = dir.path().join("below/file");
        fs::write(&file, vec![7; 1 << 20]).expect("writes");
        let with_file = folder_bytes(dir.path());
        assert!(with_file >= small + (1 << 20), "{with_file}");
        fs::hard_link(&file, dir.path().join("again")).expect("links");
        assert!(folder_bytes(dir.path()) < with_file + 64 * 1024, "a second name takes nothing");
        assert_eq!(folder_bytes(&dir.path().join("nowhere")), 0);
    }

    #[test]
    fn empty_files_are_counted() {
        let dir = tempfile::tempdir().expect("a folder");
        for n in 0..100 {
            fs::write(dir.path().join(n.to_string()), "").expect("writes");
        }
        assert_eq!(folder_bytes(dir.path()), 100 * LEAST);
    }
}
