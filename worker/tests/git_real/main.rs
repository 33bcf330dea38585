//! Reading repositories with the real git program from real servers, over HTTP and over SSH.
//!
//! Needs git, ssh, sshd and python3 on the machine; everything runs on loopback ports and in temporary directories.

mod cached;
mod history;
mod hostile;
mod over_http;
mod over_https;
mod over_ssh;
mod rig;
