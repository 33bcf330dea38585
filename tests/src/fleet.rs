//! Real processes of Navvy: all roles in one (`navvy up`), or each on its own, to be killed and started again.

use crate::{PATIENCE, client::Client, eventually, program};
use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A fleet of this test alone.
#[derive(Debug)]
pub struct Fleet {
    pub dir: TempDir,
    pub client: Client,
    hosts: Vec<String>,
    settings: Vec<(String, String)>,
    program: &'static str,
    config: Option<PathBuf>,
    nats: Option<bus::Server>,
    processes: BTreeMap<String, Child>,
}

/// What a test wishes of its fleet.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// `HOST:PORT` of git servers that runs may use.
    pub git_hosts: Vec<String>,
    /// Settings as environment variables, such as `NAVVY__WORKER__SLOTS`.
    pub settings: Vec<(&'static str, String)>,
    /// A configuration file.
    pub config: Option<PathBuf>,
    /// Another build of `navvy`.
    pub program: Option<&'static str>,
}

impl Wishes {
    pub fn git(host: &str) -> Self {
        Self { git_hosts: vec![host.to_owned()], ..Self::default() }
    }

    #[must_use]
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }
}

impl Fleet {
    /// Everything in one process.
    pub async fn up(wishes: Wishes) -> anyhow::Result<Self> {
        let mut fleet = Self::prepare(wishes, None)?;
        fleet.start("up").await?;
        Ok(fleet)
    }

    /// A gateway, a scheduler and these workers, each a process of its own with the NATS user of its role, over a nats-server
    /// of this test.
    pub async fn apart(wishes: Wishes, workers: &[&str]) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let options = bus::ServerOptions::in_dir(dir.path().join("nats"));
        let nats = bus::Server::start(options).await?;
        let mut fleet = Self::prepare(wishes, Some((dir, nats)))?;
        let mut migrate = fleet.navvy(&["admin", "migrate"]);
        fleet.log_in(&mut migrate, bus::Role::Admin);
        let status = migrate.status()?;
        anyhow::ensure!(status.success(), "navvy admin migrate: {status}");
        fleet.start("scheduler").await?;
        fleet.start("gateway").await?;
        for worker in workers {
            fleet.start(worker).await?;
        }
        Ok(fleet)
    }

    /// No process yet, and a NATS that is somebody else's: the settings name it.
    pub fn over(wishes: Wishes) -> anyhow::Result<Self> {
        Self::prepare(wishes, None)
    }

    fn prepare(wishes: Wishes, nats: Option<(TempDir, bus::Server)>) -> anyhow::Result<Self> {
        let (dir, nats) = match nats {
            Some((dir, nats)) => (dir, Some(nats)),
            None => (TempDir::new()?, None),
        };
        let token = "system-test-admin-token-0123456789abcdef";
        let mut settings: Vec<(String, String)> = wishes.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        settings.push(("NAVVY__GATEWAY__ADMIN_TOKEN".into(), token.into()));
        settings.push(("NAVVY__SCHEDULER__SEALING_KEY".into(), "17".repeat(32)));
        settings.push(("NAVVY__GIT__ALLOWED_HOSTS".into(), wishes.git_hosts.join(",")));
        if let Some(nats) = &nats {
            settings.push(("NAVVY__NATS__URL".into(), nats.connect_options("test").url));
        }
        let client = Client::new("", token);
        let program = wishes.program.unwrap_or("navvy");
        Ok(Self { dir, client, hosts: wishes.git_hosts, settings, program, config: wishes.config, nats, processes: BTreeMap::new() })
    }

    /// `navvy` with this fleet's settings and nothing else of the test's environment.
    pub fn navvy(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program(self.program));
        command.args(args).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME"] {
            command.envs(std::env::vars().find(|(key, _)| key == name));
        }
        let tools = crate::root().join(".tools/bin");
        let path = std::env::vars().find(|(key, _)| key == "PATH").map(|(_, path)| path).unwrap_or_default();
        command.env("PATH", format!("{}:{path}", tools.display()));
        command.envs(self.settings.iter().map(|(key, value)| (key, value)));
        command.env("NAVVY_TOKEN", &self.client.token);
        if !self.client.url.is_empty() {
            command.env("NAVVY_URL", &self.client.url);
        }
        command
    }

    /// Gives a process the user of its role, where NATS is this test's own.
    fn log_in(&self, command: &mut Command, role: bus::Role) {
        if let Some(nats) = &self.nats {
            let options = nats.connect_as("test", role);
            command.envs(options.user.map(|user| ("NAVVY__NATS__USER", user)));
            command.envs(options.password.map(|password| ("NAVVY__NATS__PASSWORD", password)));
        }
    }

    /// Starts a process: `up`, `gateway`, `scheduler` (or `scheduler-2` and so on), or a worker of any other name. The gateway keeps its address.
    pub async fn start(&mut self, name: &str) -> anyhow::Result<()> {
        self.start_with(name, &[]).await
    }

    /// The same, with more in its environment.
    pub async fn start_with(&mut self, name: &str, env: &[(&str, &str)]) -> anyhow::Result<()> {
        self.spawn_with(name, env).await?;
        let is_worker = !["up", "gateway"].contains(&name) && !name.starts_with("scheduler");
        if is_worker && !self.client.url.is_empty() {
            self.wait_for_worker(name).await?;
        }
        Ok(())
    }

    /// The same, without waiting for a worker to be heard of.
    pub async fn spawn(&mut self, name: &str) -> anyhow::Result<()> {
        self.spawn_with(name, &[]).await
    }

    async fn spawn_with(&mut self, name: &str, env: &[(&str, &str)]) -> anyhow::Result<()> {
        let data = self.dir.path().join(if ["gateway", "scheduler", "up"].contains(&name) { "data" } else { name });
        let data = data.to_str().context("a readable path")?.to_owned();
        let listen = self.client.url.strip_prefix("http://").unwrap_or("127.0.0.1:0").to_owned();
        let mut args = match name {
            "up" => vec!["up", "--listen", &listen],
            "gateway" => vec!["gateway", "--listen", &listen],
            name if name.starts_with("scheduler") => vec!["scheduler"],
            worker => vec!["worker", "--name", worker],
        };
        args.extend(["--data-dir", &data]);
        if let Some(config) = &self.config {
            args.extend(["--config", config.to_str().context("a readable path")?]);
        }
        let mut command = self.navvy(&args);
        self.log_in(&mut command, role_of(name)?);
        command.envs(env.iter().copied());
        let log = self.log_path(name);
        command.stderr(fs::OpenOptions::new().create(true).append(true).open(&log)?).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        self.processes.insert(name.to_owned(), child);
        if ["up", "gateway"].contains(&name) {
            self.client.url = ready_url(stdout).await.with_context(|| format!("{name}: {}", tail(&log)))?;
        }
        Ok(())
    }

    async fn wait_for_worker(&self, name: &str) -> anyhow::Result<()> {
        eventually(&format!("worker {name} to be in the fleet"), || async {
            let Ok(workers) = self.client.get("/v1/workers").await else { return Ok(None) };
            let here = workers["workers"].as_array().is_some_and(|all| all.iter().any(|worker| worker["worker"] == name));
            Ok(here.then_some(()))
        })
        .await
    }

    /// SIGKILL, and no mercy.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let mut child = self.processes.remove(name).with_context(|| format!("{name} runs"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it stays, and does nothing until it is woken.
    pub fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::SIGSTOP)
    }

    /// SIGCONT after [`Fleet::pause`].
    pub fn wake(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::SIGCONT)
    }

    fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid(name).with_context(|| format!("{name} runs"))?;
        kill(Pid::from_raw(pid.cast_signed()), signal)?;
        Ok(())
    }

    /// SIGTERM; returns whether the process ended well.
    pub async fn stop(&mut self, name: &str) -> anyhow::Result<bool> {
        self.tell_to_stop(name)?;
        self.wait(name).await
    }

    /// SIGTERM, and no waiting.
    pub fn tell_to_stop(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::SIGTERM)
    }

    /// A connection to this test's nats-server, to play this part of the fleet, with what that part may do.
    pub async fn bus_as(&self, role: bus::Role) -> anyhow::Result<bus::Bus> {
        let nats = self.nats.as_ref().context("a server of this test's own")?;
        Ok(bus::Bus::connect(nats.connect_as("test", role)).await?)
    }

    /// Waits until a process that was told to stop has ended; returns whether it ended well.
    pub async fn wait(&mut self, name: &str) -> anyhow::Result<bool> {
        let mut child = self.processes.remove(name).with_context(|| format!("{name} runs"))?;
        let waited = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || child.wait())).await;
        match waited {
            Ok(status) => Ok(status??.success()),
            Err(_) => bail!("{name} did not end"),
        }
    }

    /// Waits until a process ends by itself; returns whether it ended well.
    pub async fn ended(&mut self, name: &str) -> anyhow::Result<bool> {
        let mut child = self.processes.remove(name).with_context(|| format!("{name} runs"))?;
        let waited = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || child.wait())).await;
        Ok(waited.with_context(|| format!("{name} does not end"))???.success())
    }

    /// Takes a line out of what a NATS user may do, while everything runs; returns the configuration as it was.
    pub async fn forbid(&self, user: &str, line: &str) -> anyhow::Result<String> {
        let whole = fs::read_to_string(self.dir.path().join("nats/nats.conf"))?;
        let (before, from) = whole.split_once(&format!("user: \"{user}\"")).context("the user is there")?;
        let shortened = from.replacen(&format!("\"{line}\""), "", 1);
        anyhow::ensure!(shortened != from, "{user} has no line {line}");
        self.reconfigure(&format!("{before}user: \"{user}\"{shortened}")).await?;
        Ok(whole)
    }

    /// Gives the nats-server another configuration while it runs.
    pub async fn reconfigure(&self, text: &str) -> anyhow::Result<()> {
        let nats = self.nats.as_ref().context("a server of this test's own")?;
        let folder = self.dir.path().join("nats");
        let reloads = || fs::read_to_string(folder.join("nats.log")).unwrap_or_default().matches("Reloaded server configuration").count();
        let before = reloads();
        fs::write(folder.join("nats.conf"), text)?;
        kill(Pid::from_raw(nats.pid().cast_signed()), Signal::SIGHUP)?;
        eventually("the server to read its configuration", || async { Ok((reloads() > before).then_some(())) }).await
    }

    /// The process id of a started process.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.processes.get(name).map(Child::id)
    }

    /// The servers' git hosts.
    pub fn git_hosts(&self) -> &[String] {
        &self.hosts
    }

    /// How to look into this test's nats-server.
    pub fn nats(&self) -> anyhow::Result<bus::ConnectOptions> {
        Ok(self.nats.as_ref().context("a server of this test's own")?.connect_options("test"))
    }

    /// SIGKILL for this test's nats-server.
    pub fn kill_nats(&self) -> anyhow::Result<()> {
        let nats = self.nats.as_ref().context("a server of this test's own")?;
        kill(Pid::from_raw(nats.pid().cast_signed()), Signal::SIGKILL)?;
        Ok(())
    }

    /// Starts it again, at the same address, with the same store.
    pub async fn start_nats(&mut self) -> anyhow::Result<()> {
        let url = self.nats.take().context("a server of this test's own")?.connect_options("test").url;
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).context("an address with a port")?;
        let folder = self.dir.path().join("nats");
        // Another port would be a server that nobody finds; who has this one for a moment gives it back.
        let started = eventually("the nats-server to have its port back", || async {
            let options = bus::ServerOptions { port: Some(port), ..bus::ServerOptions::in_dir(&folder) };
            Ok(bus::Server::start(options).await.ok())
        });
        self.nats = Some(started.await?);
        Ok(())
    }

    /// Where a process writes what it says about itself.
    pub fn log_path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (name, mut child) in std::mem::take(&mut self.processes) {
            // Drained first, so that `navvy up` ends its own nats-server. One that is paused would not hear of it.
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGCONT);
            let ended = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                matches!(child.try_wait(), Ok(Some(_)))
            });
            if !ended {
                let _ = child.kill();
                let _ = child.wait();
            }
            if std::thread::panicking() || std::env::var_os("NAVVY_TEST_LOGS").is_some() {
                eprintln!("--- {name} ---\n{}", tail(&self.log_path(&name)));
            }
        }
        if let Some(nats) = &self.nats {
            let _ = kill(Pid::from_raw(nats.pid().cast_signed()), Signal::SIGKILL);
        }
    }
}

fn role_of(name: &str) -> anyhow::Result<bus::Role> {
    Ok(match name {
        "up" => bus::Role::Admin,
        "gateway" => bus::Role::Gateway,
        name if name.starts_with("scheduler") => bus::Role::Scheduler,
        worker => bus::Role::Worker(proto::Seat { pool: proto::PoolName::default(), worker: worker.parse()? }),
    })
}

async fn ready_url(stdout: std::process::ChildStdout) -> anyhow::Result<String> {
    let read = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stdout).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("navvy ready ").map(str::to_owned));
        // Goes on reading, so that the process never writes into a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        url
    });
    tokio::time::timeout(PATIENCE, read).await??.context("no `navvy ready` line")
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
