//! A small file system of its own that can be filled to the last byte. Needs the right to mount; without it there is none,
//! and the report says so.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A mounted tmpfs.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    pub(crate) fn mount(path: &Path, megabytes: u32) -> Option<Self> {
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().ok().filter(std::process::ExitStatus::success)?;
        Some(Self { path: path.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.path.join("somebody-elses-file")
    }

    /// Until not a byte is left.
    pub(crate) fn fill(&mut self) {
        let Ok(mut file) = fs::File::create(self.filler()) else { return };
        let block = vec![0; 1 << 20];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    pub(crate) fn free(&mut self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process of the fleet may still have a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
