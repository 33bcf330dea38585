//! NATS: one server, or three that are a cluster, each with a directory of its own. `sync_interval: always`, as production
//! has it.

use crate::disk::SmallDisk;
use anyhow::Context as _;
use bus::{Bus, ConnectOptions};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use system_tests::eventually;

/// Enough for minutes of chaos, and soon full when somebody fills it.
const STORE_MEGABYTES: u32 = 512;

/// The servers, running or not.
#[derive(Debug)]
pub(crate) struct Servers {
    nodes: Vec<Node>,
    url: String,
}

#[derive(Debug)]
struct Node {
    config: PathBuf,
    child: Option<Child>,
    disk: Option<SmallDisk>,
}

fn ports(n: u8) -> anyhow::Result<Vec<u16>> {
    // All held at once, so that no two are the same.
    let held = (0..n).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

impl Servers {
    pub(crate) async fn start(dir: &Path, count: u8) -> anyhow::Result<Self> {
        let (clients, routes) = (ports(count)?, ports(count)?);
        let mut nodes = Vec::new();
        for (n, (client, route)) in clients.iter().zip(&routes).enumerate() {
            let store = dir.join(format!("nats-{n}"));
            std::fs::create_dir_all(&store)?;
            let disk = SmallDisk::mount(&store, STORE_MEGABYTES);
            let mut text = format!(
                "server_name: n{n}\nlisten: \"127.0.0.1:{client}\"\njetstream {{ store_dir: \"{}\", sync_interval: always, max_file_store: 10GB }}\n",
                store.display()
            );
            if count > 1 {
                let all: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
                let peers = all.join(", ");
                let _ = writeln!(text, "cluster {{ name: c, listen: \"127.0.0.1:{route}\", routes: [{peers}] }}");
            }
            let config = dir.join(format!("nats-{n}.conf"));
            std::fs::write(&config, text)?;
            nodes.push(Node { config, child: None, disk });
        }
        let url = clients.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        let mut servers = Self { nodes, url };
        for n in 0..servers.count() {
            servers.revive(n)?;
        }
        let options = servers.connect_options();
        eventually("NATS to answer", || async {
            let Ok(bus) = Bus::connect(options.clone()).await else { return Ok(None) };
            Ok(bus.probe().await.is_ok().then_some(()))
        })
        .await?;
        Ok(servers)
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions { url: self.url.clone(), client_name: "chaos".to_owned(), ..ConnectOptions::default() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn kill(&mut self, n: usize) -> anyhow::Result<()> {
        if let Some(mut child) = self.nodes[n].child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts one that was killed, on what it has stored.
    pub(crate) fn revive(&mut self, n: usize) -> anyhow::Result<()> {
        let node = &mut self.nodes[n];
        if node.child.is_none() {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(node.config.with_extension("log"))?;
            let tools = system_tests::root().join(".tools/bin/nats-server");
            let program = if tools.exists() { tools } else { "nats-server".into() };
            let mut command = Command::new(program);
            command.arg("--config").arg(&node.config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            node.child = Some(command.spawn().context("nats-server")?);
        }
        Ok(())
    }

    pub(crate) fn signal(&self, n: usize, signal: Signal) {
        if let Some(child) = &self.nodes[n].child {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    pub(crate) fn disk(&mut self, n: usize) -> Option<&mut SmallDisk> {
        self.nodes[n].disk.as_mut()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for n in 0..self.count() {
            let _ = self.kill(n);
        }
    }
}
