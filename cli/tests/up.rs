//! `navvy up` with a real nats-server: it becomes ready, survives the death of its server, keeps its secrets private, and
//! leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_mins(2);

/// A running `navvy up`.
struct Up {
    child: Child,
    url: String,
    data: PathBuf,
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_navvy"));
    let data = data.to_str().unwrap();
    command.args(["up", "--data-dir", data, "--listen", "127.0.0.1:0", "--workers", "2", "--slots", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

impl Up {
    async fn start(data: &Path) -> Self {
        Self::with(&mut command(data), data).await
    }

    async fn with(command: &mut Command, data: &Path) -> Self {
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let url = line.strip_prefix("navvy ready ").unwrap().to_owned();
        Self { child, url, data: data.to_owned() }
    }

    fn nats_pid(&self) -> Pid {
        let record = std::fs::read(self.data.join("nats/nats.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        Pid::from_raw(i32::try_from(record["pid"].as_i64().unwrap()).unwrap())
    }

    async fn ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/readyz", self.url)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code()
    }
}

/// A zombie, which nobody may be there to reap, has no command line.
fn alive(pid: Pid) -> bool {
    pid.as_raw() != 0 && std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn it_serves_keeps_its_secrets_private_and_leaves_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path()).await;
    assert!(up.url.starts_with("http://127.0.0.1:") && !up.url.ends_with(":0"), "{}", up.url);
    assert!(up.ready().await);
    for secret in ["admin-token", "sealing-key", "nats/nats.json", "nats/nats.conf"] {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let second = tokio::time::timeout(PATIENCE, command(dir.path()).output()).await.unwrap().unwrap();
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(70) && told.contains("in use by another navvy"), "{told}");
    let nats = up.nats_pid();
    assert!(alive(nats));
    assert_eq!(up.stop().await, Some(0));
    assert!(!alive(nats));
}

/// What needs Vault alone waits for it or is refused; the rest serves, and who asks is told.
#[tokio::test]
async fn it_serves_while_vault_is_away_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let token = dir.path().join("vault-token");
    std::fs::write(&token, "hvs.canary").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let vault = [
        ("NAVVY__WORKER__CREDENTIALS__VAULT_URL", format!("http://{closed}")),
        ("NAVVY__WORKER__CREDENTIALS__VAULT_TOKEN_FILE", token.display().to_string()),
    ];
    let up = Up::with(command(dir.path()).envs(vault), dir.path()).await;
    let told = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", up.url)).await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    // The workers start beside the gateway.
    until("a word about Vault", || async { told("/health").await.1["checks"]["vault_secrets"] == false }).await;
    assert_eq!(told("/health").await.0, 503);
    let (status, ready) = told("/readyz").await;
    let of_vault: Vec<_> = ready["probes"].as_array().unwrap().iter().filter(|probe| probe["name"] == "vault_secrets").collect();
    assert_eq!((status, &ready["ready"]), (200, &serde_json::json!(true)), "{ready}");
    assert!(!of_vault.is_empty() && of_vault.iter().all(|probe| probe["ok"] == false && probe["partial"] == true), "{ready}");
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn it_starts_its_nats_server_again_and_is_taken_over_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path()).await;
    let first = up.nats_pid();
    kill(first, Signal::SIGKILL).unwrap();
    until("another nats-server", || async { up.nats_pid() != first && alive(up.nats_pid()) }).await;
    until("ready again", || up.ready()).await;

    let token = std::fs::read(dir.path().join("admin-token")).unwrap();
    let orphan = up.nats_pid();
    up.child.kill().await.unwrap();
    assert!(alive(orphan), "nats-server outlives a killed navvy");
    let again = Up::start(dir.path()).await;
    assert_eq!(again.nats_pid(), orphan);
    assert_eq!(std::fs::read(dir.path().join("admin-token")).unwrap(), token);
    assert_eq!(again.stop().await, Some(0));
    assert!(!alive(orphan));
}

#[tokio::test]
async fn a_port_in_use_is_told_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_navvy"))
        .args(["up", "--data-dir", dir.path().to_str().unwrap(), "--listen", &listen])
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(70) && told.contains(&listen) && told.contains("--listen"), "{told}");
    assert!(!dir.path().join("nats").exists());
}
