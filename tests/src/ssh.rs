//! Repositories behind a real sshd on loopback, for the user who runs the tests.

use crate::git::Repo;
use anyhow::{Context as _, bail};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long sshd may take to listen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running sshd with two host keys, of which it shows the first, and a user key that opens it.
#[derive(Debug)]
pub struct SshServer {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl SshServer {
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(None)
    }

    /// The same, where programs of this folder are found before all others.
    pub fn finding(programs: &Path) -> anyhow::Result<Self> {
        Self::start_with(Some(programs))
    }

    fn start_with(programs: Option<&Path>) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        for name in ["host_key", "other_host_key", "user_key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(name)).status()?;
            anyhow::ensure!(made.success(), "ssh-keygen: {made}");
        }
        fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys"))?;
        // Compiled into Debian's sshd; only root needs it, and only root can make it.
        let _ = fs::create_dir_all("/run/sshd");
        // Another process may take a port between the look and the start, so the next one is tried.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if let Some(child) = listen(dir.path(), port, programs)? {
                return Ok(Self { dir, port, child });
            }
        }
        bail!("sshd does not start")
    }

    /// A new repository whose branch `main` holds these files.
    pub fn repo(&self, name: &str, files: &[(&str, &str)]) -> anyhow::Result<Repo> {
        let bare = self.dir.path().join(format!("{name}.git"));
        Repo::create(self.dir.path(), &bare, self.url(name), files)
    }

    /// The address of a repository that is there or will be.
    pub fn url(&self, name: &str) -> String {
        format!("ssh://{}{}/{name}.git", self.host(), self.dir.path().display())
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The private key that opens it.
    pub fn private_key(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.dir.path().join("user_key"))?)
    }

    /// A line of known_hosts that ties this server to its key, or to another one.
    pub fn known_hosts(&self, right: bool) -> anyhow::Result<String> {
        let name = if right { "host_key.pub" } else { "other_host_key.pub" };
        Ok(format!("[127.0.0.1]:{} {}", self.port, fs::read_to_string(self.dir.path().join(name))?))
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The login name of whoever runs the tests.
pub fn user() -> anyhow::Result<String> {
    Ok(String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?.trim().to_owned())
}

/// Starts sshd; nothing when it ended at once, as it does when the port is taken.
fn listen(dir: &Path, port: u16, programs: Option<&Path>) -> anyhow::Result<Option<Child>> {
    let here = dir.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nMaxStartups 100\n"
    );
    let path = programs.map(|programs| format!("SetEnv PATH={}:/usr/bin:/bin\n", programs.display()));
    fs::write(dir.join("sshd_config"), config + &path.unwrap_or_default())?;
    let mut command = Command::new(program()?);
    command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(Some(child));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    bail!("sshd does not listen after {PATIENCE:?}")
}

/// sshd insists on being started by its full path.
fn program() -> anyhow::Result<PathBuf> {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    places.map(PathBuf::from).into_iter().find(|place| place.exists()).context("sshd is installed (Debian: openssh-server)")
}
