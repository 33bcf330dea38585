//! A fleet of the bench's own: every role a process of this same binary, as in a real one.

use anyhow::Context as _;
use bus::{Bus, Role, Server, ServerOptions};
use proto::Seat;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Slots of the one worker.
pub(super) const SLOTS: usize = 8;
const TOKEN: &str = "bench-token-of-a-fleet-that-lives-for-a-minute";

/// Who does the work of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    /// A worker with [`SLOTS`].
    Worker,
    /// Nobody yet.
    None,
}

/// A running fleet.
pub(super) struct BenchFleet {
    pub(super) bus: Bus,
    pub(super) url: String,
    pub(super) http: reqwest::Client,
    dir: PathBuf,
    server: Server,
    env: Vec<(&'static str, String)>,
    roles: BTreeMap<&'static str, Child>,
}

impl BenchFleet {
    pub(super) async fn start(git_url: Option<&str>, hands: Hands) -> anyhow::Result<Self> {
        Self::start_with(git_url, hands, &[]).await
    }

    /// The same with more in the environment of every role.
    pub(super) async fn start_with(git_url: Option<&str>, hands: Hands, env: &[(&'static str, String)]) -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("navvy-bench-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&dir).context("make the bench's folder")?;
        let server = Server::start(ServerOptions::in_dir(dir.join("nats"))).await?;
        let bus = Bus::connect(server.connect_options("navvy bench")).await?;
        let http = reqwest::Client::new();
        let mut fleet = Self { bus, url: String::new(), http, dir, server, env: env.to_vec(), roles: BTreeMap::new() };
        let host = git_url.and_then(|url| url.parse::<proto::git::GitUrl>().ok());
        let allowed = host.map(|url| format!("{}:{}", url.host(), url.port_or_default())).unwrap_or_default();
        let migrated = fleet.navvy(&["admin", "migrate"], &allowed)?.status().await?;
        anyhow::ensure!(migrated.success(), "navvy admin migrate: {migrated}");
        fleet.spawn("scheduler", &["scheduler"], &allowed)?;
        if hands == Hands::Worker {
            let slots = SLOTS.to_string();
            fleet.spawn("worker", &["worker", "--name", "bench", "--slots", &slots], &allowed)?;
        }
        fleet.spawn("gateway", &["gateway", "--listen", "127.0.0.1:0"], &allowed)?;
        fleet.url = fleet.ready_url().await?;
        if hands == Hands::Worker {
            fleet.wait_for_worker().await?;
        }
        Ok(fleet)
    }

    /// A connection of a worker of this process.
    pub(super) async fn bus_of(&self, seat: &Seat) -> anyhow::Result<Bus> {
        Ok(Bus::connect(self.server.connect_as("navvy bench", Role::Worker(seat.clone()))).await?)
    }

    /// The process of a role.
    pub(super) fn pid(&self, role: &str) -> anyhow::Result<u32> {
        self.roles.get(role).and_then(Child::id).with_context(|| format!("{role} has ended"))
    }

    fn navvy(&self, args: &[&str], allowed: &str) -> anyhow::Result<Command> {
        let options = self.server.connect_options("bench");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).arg("--data-dir").arg(self.dir.join(args[0])).args(["--log-level", "warn"]);
        command.env("NAVVY__NATS__URL", options.url).env("NAVVY__GATEWAY__ADMIN_TOKEN", TOKEN);
        command.env("NAVVY__SCHEDULER__SEALING_KEY", "5a".repeat(32)).env("NAVVY__GIT__ALLOWED_HOSTS", allowed);
        command.envs(options.user.map(|user| ("NAVVY__NATS__USER", user)));
        command.envs(options.password.map(|password| ("NAVVY__NATS__PASSWORD", password)));
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    fn spawn(&mut self, role: &'static str, args: &[&str], allowed: &str) -> anyhow::Result<()> {
        let mut command = self.navvy(args, allowed)?;
        // Only a gateway says where it serves.
        if role == "gateway" {
            command.stdout(Stdio::piped());
        }
        let child = command.spawn().with_context(|| format!("start {role}"))?;
        self.roles.insert(role, child);
        Ok(())
    }

    async fn ready_url(&mut self) -> anyhow::Result<String> {
        let gateway = self.roles.get_mut("gateway").context("a gateway was started")?;
        let mut lines = BufReader::new(gateway.stdout.take().context("stdout is piped")?).lines();
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await??.context("the gateway ended")?;
        Ok(line.strip_prefix("navvy ready ").context("the gateway said something else than ready")?.to_owned())
    }

    async fn wait_for_worker(&self) -> anyhow::Result<()> {
        let waiting = async {
            while self.bus.fleet().list().await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.context("no worker came")?
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.http.post(format!("{}{path}", self.url)).bearer_auth(TOKEN).json(body).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        Ok(self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN).send().await?.error_for_status()?)
    }

    /// Resident memory of each role after a moment of rest, in MiB.
    pub(super) async fn idle_memory(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut memory = BTreeMap::new();
        for role in self.roles.keys() {
            let pid = self.pid(role)?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read /proc: memory is measured on Linux only")?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
            let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
            memory.insert((*role).to_owned(), kib / 1024.0);
        }
        Ok(memory)
    }

    pub(super) async fn stop(mut self) {
        for child in self.roles.values_mut() {
            // The bench is over and its folder goes: nothing has to be drained.
            let _ = child.kill().await;
        }
        if let Err(error) = self.server.stop().await {
            tracing::warn!(%error, "the bench's nats-server did not end well");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "the bench's folder stays");
        }
    }
}
