//! An sshd on a loopback port, for the user who runs the tests, and a key that it knows.

use crate::rig::{Forge, Process};
use proto::{Secret, git::GitUrl, terraform::GitAuth};
use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Sshd {
    dir: TempDir,
    port: u16,
    _process: Process,
}

impl Sshd {
    pub(crate) fn serve() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["host_key", "user_key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(name)).status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
        }
        std::fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys")).expect("copied");
        // Compiled into Debian's sshd; only root needs it, and only root can make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        // Another process may take a port between the look and the start, so the next one is tried.
        for _ in 0..20 {
            let port = free_port();
            if let Some(process) = start(dir.path(), port) {
                return Self { dir, port, _process: process };
            }
        }
        panic!("sshd does not start");
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, forge: &Forge) -> GitUrl {
        format!("ssh://127.0.0.1:{}{}", self.port, forge.bare().display()).parse().expect("an address")
    }

    pub(crate) fn auth(&self) -> GitAuth {
        let read = |name: &str| std::fs::read_to_string(self.dir.path().join(name)).expect("a key");
        let user = Command::new("id").arg("-un").output().expect("id can be started");
        GitAuth::Ssh {
            username: Some(String::from_utf8(user.stdout).expect("text").trim().to_owned()),
            private_key: Secret::new(read("user_key")),
            known_hosts: format!("[127.0.0.1]:{} {}", self.port, read("host_key.pub")),
        }
    }
}

/// A port that nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn start(dir: &Path, port: u16) -> Option<Process> {
    let here = dir.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nMaxStartups 100\n"
    );
    std::fs::write(dir.join("sshd_config"), config).expect("written");
    // sshd insists on being started by its full path.
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].map(PathBuf::from);
    let sshd = places.into_iter().find(|place| place.exists()).expect("sshd is installed (Debian: openssh-server)");
    let started =
        Command::new(sshd).args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut process = Process(started.expect("sshd can be started"));
    while process.0.try_wait().expect("asked").is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        std::thread::yield_now();
    }
    None
}
