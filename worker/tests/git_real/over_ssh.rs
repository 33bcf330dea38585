//! Keys and pinned hosts over a real sshd. It speaks git protocol 0, so it also shows a server that does not give
//! commits by id.

use crate::rig::{Forge, Process, Reader, files_below, git, holds};
use proto::Secret;
use proto::git::GitUrl;
use proto::terraform::GitAuth;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use worker::git::GitError;

/// sshd on a loopback port, for the user who runs the tests.
struct Sshd {
    dir: TempDir,
    port: u16,
    _process: Process,
}

impl Sshd {
    fn serve() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["host_key", "other_host_key", "user_key", "other_user_key"] {
            keygen(&dir.path().join(name));
        }
        std::fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys")).expect("copied");
        // Compiled into Debian's sshd; only root needs it, and only root can make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        // Another process may take a port between the look and the start, so the next one is tried.
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
            if let Some(process) = Self::start(dir.path(), free.port()) {
                return Self { dir, port: free.port(), _process: process };
            }
        }
        panic!("sshd does not start");
    }

    fn start(dir: &Path, port: u16) -> Option<Process> {
        let here = dir.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nMaxStartups 100\n"
        );
        std::fs::write(dir.join("sshd_config"), config).expect("written");
        let child = Command::new(sshd())
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd can be started");
        let mut process = Process(child);
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            if process.0.try_wait().expect("asked").is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(process);
            }
            std::thread::yield_now();
        }
        None
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).expect("a key")
    }

    /// A line of known_hosts that ties this server to one of the host keys.
    fn known_hosts(&self, key: &str) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.read(&format!("{key}.pub")))
    }

    fn auth(&self, key: &str, known_hosts: String) -> GitAuth {
        GitAuth::Ssh { username: Some(user()), private_key: Secret::new(self.read(key)), known_hosts }
    }

    fn url(&self, forge: &Forge) -> GitUrl {
        format!("ssh://127.0.0.1:{}{}", self.port, forge.bare().display()).parse().expect("an address")
    }
}

fn keygen(file: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
}

/// sshd insists on being started by its full path.
fn sshd() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    places.map(PathBuf::from).into_iter().find(|place| place.exists()).expect("sshd is installed (Debian: openssh-server)")
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id can be started");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[tokio::test]
async fn a_key_and_a_pinned_host_open_the_repository() {
    let forge = Forge::new();
    // Not at the end of any branch, so that this server gives it only with the history.
    let (first, main) = (forge.id("v1"), forge.id("main"));
    git(&forge.work(), &["tag", "-d", "v1", "v1-annotated"]);
    forge.push();
    let server = Sshd::serve();
    let auth = server.auth("user_key", server.known_hosts("host_key"));
    let reader = Reader::new(server.url(&forge), Some(auth));
    assert_eq!(reader.resolve("main").await.expect("resolved").commit, main);
    assert_eq!(reader.resolve(&first.as_str()[..8]).await.expect("resolved").commit, first);
    let done = reader.checkout(&first).await.expect("a checkout");
    assert_eq!(std::fs::read_to_string(done.root.join("main.tf")).expect("read"), "# first");
    let key = server.read("user_key");
    let secret = key.lines().nth(1).expect("a key has lines");
    assert!(!reader.record().contains(secret));
    for file in files_below(reader.dir.path()) {
        assert!(!holds(&file, secret), "{}", file.display());
    }
    for line in reader.record().lines().filter_map(|line| line.strip_prefix("GIT_SSH_COMMAND=ssh -F ")) {
        assert!(!Path::new(line).exists(), "{line} is gone with its command");
    }
}

#[tokio::test]
async fn a_server_that_gives_no_commits_by_id_gives_them_with_the_history() {
    let forge = Forge::new();
    let (first, main) = (forge.id("v1"), forge.id("main"));
    git(&forge.work(), &["tag", "-d", "v1", "v1-annotated"]);
    forge.push();
    let server = Sshd::serve();
    let auth = server.auth("user_key", server.known_hosts("host_key"));
    let reader = Reader::new(server.url(&forge), Some(auth));
    reader.fetch(&first).await.expect("fetched");
    assert!(reader.cached().pop().expect("one").join("not-by-id").exists());
    assert_eq!(reader.resolve(first.as_str()).await.expect("resolved").commit, first);
    reader.checkout(&main).await.expect("a checkout");
    let later = forge.commit("later.tf", "# later");
    forge.push();
    assert!(reader.checkout(&later).await.expect("a checkout").root.join("later.tf").exists());
    let absent = "0123456789abcdef0123456789abcdef01234567".parse().expect("an id");
    assert!(matches!(reader.fetch(&absent).await, Err(GitError::CommitNotFound { .. })));
    // A reference outside of branches and tags comes along when it is named.
    let pull = forge.commit("pull.tf", "# pull");
    git(&forge.work(), &["push", "--quiet", forge.bare().to_str().expect("text"), "HEAD:refs/pull/7/head"]);
    let hint = "refs/pull/7/head".parse().expect("a reference");
    reader.cache.fetch(reader.source(), &pull, Some(&hint), &mut |_| {}).await.expect("fetched");
    reader.checkout(&pull).await.expect("a checkout");
}

#[tokio::test]
async fn another_host_key_than_the_pinned_one_ends_it() {
    let forge = Forge::new();
    let server = Sshd::serve();
    let attempt = |known_hosts: String| {
        let reader = Reader::new(server.url(&forge), Some(server.auth("user_key", known_hosts)));
        async move { reader.resolve("main").await.expect_err("refused") }
    };
    let changed = attempt(server.known_hosts("other_host_key")).await;
    assert!(matches!(changed, GitError::HostKeyMismatch { .. }), "{changed}");
    let stranger = attempt(format!("git.example {}", server.read("host_key.pub"))).await;
    assert!(matches!(stranger, GitError::HostKeyUnknown { .. }), "{stranger}");
    let none = attempt("# nothing".to_owned()).await;
    assert!(matches!(none, GitError::KnownHostsMissing { .. }), "{none}");
}

#[tokio::test]
async fn a_wrong_or_broken_key_is_refused() {
    let forge = Forge::new();
    let server = Sshd::serve();
    let reader = |auth| Reader::new(server.url(&forge), auth);
    let wrong = server.auth("other_user_key", server.known_hosts("host_key"));
    let error = reader(Some(wrong)).resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::LoginRefused { kind: "ssh", .. }), "{error}");
    let broken = GitAuth::Ssh {
        username: Some(user()),
        private_key: Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"),
        known_hosts: server.known_hosts("host_key"),
    };
    let error = reader(Some(broken)).resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::SshKeyUnusable), "{error}");
    let error = reader(None).resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::SshKeyNeeded { .. }), "{error}");
    let right = server.auth("user_key", server.known_hosts("host_key"));
    let absent = format!("ssh://127.0.0.1:{}/nonexistent.git", server.port).parse().expect("an address");
    let error = Reader::new(absent, Some(right)).resolve("main").await.expect_err("not there");
    assert!(matches!(error, GitError::RepositoryNotFound { .. }), "{error}");
}
