//! How far a running tool is kept apart from the worker, said as it is.
//!
//! Level 0 is what is in force: the tool runs as the same user as the worker, in its own process group, with a cleaned
//! environment, in its own folder. It can read whatever that user can read. The kernel's means for more are looked at,
//! so that an operator knows what this machine could do; nothing of Navvy uses them yet.

use std::path::Path;

use super::Finding;
use super::version::{Version, find};

/// Workers resolve paths of a checkout with openat2(2).
const KERNEL_LOWEST: Version = Version(5, 6, 0);

/// Kernel, level in force, user.
pub(super) fn check() -> Vec<Finding> {
    vec![kernel(), level(), user()]
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Some(version) = find(&release) else {
        return Finding::fail("kernel", "this is no Linux, or /proc is not mounted", "run workers on Linux 5.6 or newer");
    };
    if version < KERNEL_LOWEST {
        let what = format!("Linux {version} cannot confine paths (openat2 is missing)");
        return Finding::fail("kernel", what, "run workers on Linux 5.6 or newer");
    }
    let security = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let has = |yes: bool| if yes { "available" } else { "not seen" };
    let landlock = has(security.split(',').any(|name| name.trim() == "landlock"));
    let cgroup = has(Path::new("/sys/fs/cgroup/cgroup.controllers").exists());
    Finding::ok("kernel", format!("Linux {version}; landlock {landlock}, cgroup v2 {cgroup}"))
}

fn level() -> Finding {
    Finding::warn(
        "isolation",
        "level 0: tools run as the same user as the worker and can read what it can read, its data folder included",
        "run only repositories you trust, give a worker its own user or container, and only the rights its runs need",
    )
}

fn user() -> Finding {
    if nix::unistd::geteuid().is_root() {
        let advice = "run workers as a user of their own without special rights";
        return Finding::warn("user", "this is root, and so would be every tool of a run", advice);
    }
    Finding::ok("user", format!("uid {}, not root", nix::unistd::geteuid()))
}
