//! A host with docker: sshd on a loopback port, and a stand-in for docker that is first in its search path.
//!
//! The system stories include this file too (`tests/tests/stories/syncs/compose`).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Writes down its arguments and what it finds, and ends as it is told: in `end` stands a piece of shell.
const STAND_IN: &str = r#"#!/bin/sh
here=$(dirname "$0")
{ printf '%s\n' "$@"; echo --; } >> "$here/called"
cp env "$here/env"; rm -rf "$here/files"; cp -r files "$here/files"
echo "a stand-in for docker was called"
[ ! -e "$here/end" ] || . "$here/end"
"#;

/// A child process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Host {
    pub(crate) dir: TempDir,
    port: u16,
    _sshd: Process,
}

impl Host {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["host_key", "other_host_key", "user_key", "other_user_key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(name)).status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
        }
        fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys")).expect("copied");
        let docker = dir.path().join("stand-in-for-docker");
        fs::create_dir(&docker).expect("made");
        fs::write(docker.join("docker"), STAND_IN).expect("written");
        fs::set_permissions(docker.join("docker"), fs::Permissions::from_mode(0o755)).expect("made executable");
        // Compiled into Debian's sshd; only root needs it, and only root can make it.
        let _ = fs::create_dir_all("/run/sshd");
        // Another process may take a port between the look and the start, so the next one is tried.
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
            if let Some(sshd) = listen(dir.path(), free.port()) {
                return Self { dir, port: free.port(), _sshd: sshd };
            }
        }
        panic!("sshd does not start");
    }

    /// `host:port`.
    pub(crate) fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of known hosts that ties this host to one of the keys.
    pub(crate) fn known_hosts(&self, key: &str) -> PathBuf {
        let path = self.path("known hosts");
        let public = fs::read_to_string(self.path(&format!("{key}.pub"))).expect("a key");
        fs::write(&path, format!("[127.0.0.1]:{} {public}", self.port)).expect("written");
        path
    }

    /// How docker was called since the last time, one list for each call.
    pub(crate) fn docker_calls(&self) -> Vec<Vec<String>> {
        let path = self.path("stand-in-for-docker/called");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.split("--\n").filter(|call| !call.is_empty()).map(|call| call.lines().map(str::to_owned).collect()).collect()
    }

    /// What docker does at its end.
    pub(crate) fn docker_ends(&self, script: &str) {
        fs::write(self.path("stand-in-for-docker/end"), script).expect("written");
    }
}

/// Starts sshd; nothing when it ended at once, as it does when the port is taken.
fn listen(dir: &Path, port: u16) -> Option<Process> {
    let here = dir.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nMaxStartups 100\nSetEnv PATH={here}/stand-in-for-docker:/usr/bin:/bin\n"
    );
    fs::write(dir.join("sshd_config"), config).expect("written");
    let child = Command::new(program())
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd can be started");
    let mut sshd = Process(child);
    let deadline = Instant::now() + Duration::from_mins(1);
    while Instant::now() < deadline {
        if sshd.0.try_wait().expect("asked").is_some() {
            return None;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(sshd);
        }
        std::thread::yield_now();
    }
    None
}

/// sshd insists on being started by its full path.
fn program() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    places.map(PathBuf::from).into_iter().find(|place| place.exists()).expect("sshd is installed (Debian: openssh-server)")
}

/// The login name of whoever runs the tests.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id can be started");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
