//! The processes of Navvy, looked after as systemd does: who ends is started again, unless a fault keeps it down.

use crate::{disk::SmallDisk, servers::Servers};
use crash_tests::{family, lane::Ground};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    process::{Child, Stdio},
};
use system_tests::{client::Client, eventually, fleet::Fleet};

/// Room for a few attempts.
const WORKER_MEGABYTES: u32 = 64;

/// Everybody there is.
pub(crate) const ROLES: [&str; 5] = ["gateway", "scheduler", "scheduler-2", "w1", "w2"];
pub(crate) const WORKERS: [&str; 2] = ["w1", "w2"];

/// The processes.
#[derive(Debug)]
pub(crate) struct Processes {
    disks: BTreeMap<&'static str, SmallDisk>,
    children: BTreeMap<&'static str, Child>,
    down: BTreeSet<&'static str>,
    /// Processes that ended by themselves and were started again.
    pub(crate) restarts: usize,
    fleet: Fleet,
}

impl Processes {
    pub(crate) async fn start(ground: &Ground, servers: &Servers) -> anyhow::Result<Self> {
        let wishes = ground.wishes().set("NAVVY__NATS__URL", servers.url()).set("NAVVY__NATS__REPLICAS", servers.count().to_string());
        let mut fleet = Fleet::over(wishes)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        fleet.client.url = format!("http://127.0.0.1:{port}");
        let fleet_ref = &fleet;
        // A cluster that has just come up may still be choosing its leaders.
        eventually("the streams to be there", || async {
            Ok(fleet_ref.navvy(&["admin", "migrate"]).stdout(Stdio::null()).status()?.success().then_some(()))
        })
        .await?;
        let mut disks = BTreeMap::new();
        for worker in WORKERS {
            let dir = fleet.dir.path().join(worker);
            fs::create_dir_all(&dir)?;
            if let Some(disk) = SmallDisk::mount(&dir, WORKER_MEGABYTES) {
                disks.insert(worker, disk);
            }
        }
        let mut processes = Self { disks, children: BTreeMap::new(), down: BTreeSet::new(), restarts: 0, fleet };
        processes.look_after()?;
        let client = processes.client();
        eventually("the fleet to be there", || async {
            let Ok(workers) = client.get("/v1/workers").await else { return Ok(None) };
            Ok(workers["workers"].as_array().is_some_and(|all| all.len() == WORKERS.len()).then_some(()))
        })
        .await?;
        Ok(processes)
    }

    pub(crate) fn client(&self) -> Client {
        self.fleet.client.clone()
    }

    /// Starts everybody who is not there and may be.
    pub(crate) fn look_after(&mut self) -> anyhow::Result<()> {
        for role in ROLES {
            let ended = self.children.get_mut(role).is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended {
                self.children.remove(role);
                self.restarts += usize::from(!self.down.contains(role));
            }
            if !self.children.contains_key(role) && !self.down.contains(role) {
                let child = self.spawn(role)?;
                self.children.insert(role, child);
            }
        }
        Ok(())
    }

    fn spawn(&self, role: &'static str) -> anyhow::Result<Child> {
        let data = self.fleet.dir.path().join(role);
        let data = data.to_str().unwrap_or_default();
        let listen = self.fleet.client.url.trim_start_matches("http://").to_owned();
        let mut args = match role {
            "gateway" => vec!["gateway", "--listen", &listen],
            role if role.starts_with("scheduler") => vec!["scheduler"],
            worker => vec!["worker", "--name", worker],
        };
        args.extend(["--data-dir", data]);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.fleet.log_path(role))?;
        Ok(self.fleet.navvy(&args).stdout(Stdio::null()).stderr(log).spawn()?)
    }

    /// SIGKILL, and it stays down until it is let up again.
    pub(crate) fn kill(&mut self, role: &'static str) -> anyhow::Result<()> {
        self.down.insert(role);
        if let Some(mut child) = self.children.remove(role) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The worker, its runners and their tools: what a power failure takes.
    pub(crate) fn kill_machine(&mut self, role: &'static str) -> anyhow::Result<()> {
        let family = self.children.get(role).map(|child| family::below(child.id())).unwrap_or_default();
        self.kill(role)?;
        family::kill_all(&family);
        Ok(())
    }

    pub(crate) fn let_up(&mut self, role: &'static str) {
        self.down.remove(role);
    }

    pub(crate) fn signal(&self, role: &str, signal: Signal) {
        if let Some(child) = self.children.get(role) {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    pub(crate) fn disk(&mut self, worker: &str) -> Option<&mut SmallDisk> {
        self.disks.get_mut(worker)
    }

    /// The end of what everybody said.
    pub(crate) fn show_logs(&self) {
        for role in ROLES {
            let text = fs::read_to_string(self.fleet.log_path(role)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- {role} ---\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGCONT);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
