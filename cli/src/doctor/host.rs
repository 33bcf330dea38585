//! The data folder: can it be written, is there room, and do only we read it?

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use service::settings::Settings;

use super::Finding;

const GIB: u64 = 1024 * 1024 * 1024;
/// Below this a running fleet soon stands still.
const NEEDED: u64 = GIB / 2;
/// Below this one large run or a day of logs may fill the disk.
const COMFORTABLE: u64 = 5 * GIB;

/// Writability, privacy and room of the folders that are used.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let data = settings.data_dir.clone();
    let mut all = vec![writable("data folder", &data), room("disk space", &data)];
    let work = settings.work_dir();
    if !work.starts_with(&data) {
        all.extend([writable("work folder", &work), room("work disk space", &work)]);
    }
    all
}

fn writable(check: &'static str, dir: &Path) -> Finding {
    let shown = dir.display();
    let Some(existing) = nearest_existing(dir) else {
        return Finding::fail(check, format!("no part of {shown} exists"), "check --data-dir");
    };
    let name = format!(".navvy-doctor-{}", std::process::id());
    let probe = existing.join(name);
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe).and_then(|mut file| {
        file.write_all(b"probe")?;
        file.sync_all()
    });
    // It may not be there at all when creating it failed.
    let _ = std::fs::remove_file(&probe);
    if let Err(error) = written {
        let advice = format!("give this user the right to write in {}", existing.display());
        return Finding::fail(check, format!("{} cannot be written: {error}", existing.display()), advice);
    }
    if existing != dir {
        return Finding::ok(check, format!("{shown} does not exist yet and can be made"));
    }
    let mode = std::fs::metadata(dir).map_or(0, |about| about.permissions().mode() & 0o777);
    let of_others = mode & 0o077;
    if of_others != 0 {
        return Finding::warn(check, format!("{shown} is open to others (mode {mode:04o})"), format!("chmod 700 {shown}"));
    }
    Finding::ok(check, format!("{shown} can be written"))
}

fn room(check: &'static str, dir: &Path) -> Finding {
    let stat = nearest_existing(dir).and_then(|dir| nix::sys::statvfs::statvfs(&dir).ok());
    let Some(stat) = stat else {
        return Finding::warn(check, format!("cannot be told for {}", dir.display()), "look at it with df");
    };
    let (bytes, inodes) = (stat.blocks_available() * stat.fragment_size(), stat.files_available());
    let found = format!("{:.1} GiB free at {}", bytes as f64 / GIB as f64, dir.display());
    // File systems without a fixed number of inodes report 0 of 0.
    if stat.files() > 0 && inodes < 10_000 {
        return Finding::fail(check, format!("{found}, but only {inodes} inodes"), "delete small files, or use another disk");
    }
    let advice = "make room, or use another disk with --data-dir";
    match bytes {
        0..NEEDED => Finding::fail(check, found, advice),
        NEEDED..COMFORTABLE => Finding::warn(check, found, advice),
        _ => Finding::ok(check, found),
    }
}

fn nearest_existing(dir: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(dir).ok()?;
    absolute.ancestors().find(|part| part.is_dir()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_folder_to_come_is_judged_by_its_parent_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(writable("x", &dir.path().join("a/b")).state, State::Ok);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_open_to_others_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, state) in [(0o700, State::Ok), (0o755, State::Warn)] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(writable("x", dir.path()).state, state);
        }
    }
}
