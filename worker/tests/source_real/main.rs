//! The code of orders from real places: git over HTTP and over SSH, archives from HTTP servers on loopback, an object
//! store in memory, files of the worker.
//!
//! Needs git, ssh, sshd and python3 on the machine; everything runs on loopback ports and in temporary directories.

mod archives;
mod bench;
mod files;
mod repositories;
#[path = "../git_real/rig.rs"]
#[allow(dead_code, reason = "the git stories use all of it")]
mod rig;
mod ssh;
