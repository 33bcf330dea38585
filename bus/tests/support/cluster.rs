//! Three nats-servers on loopback that can be killed, started again, and made to stand still.

use super::{GENEROUS, eventually, send, server_program};
use async_nats::jetstream;
use bus::{Bus, ConnectOptions};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const SERVERS: usize = 3;

pub(crate) struct Cluster {
    servers: Vec<Option<Child>>,
    configs: Vec<PathBuf>,
    pub(crate) url: String,
    _dir: TempDir,
}

fn ports(n: usize) -> Vec<u16> {
    // All held at once, so that no two are the same.
    let held: Vec<TcpListener> = (0..n).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

impl Cluster {
    /// `jetstream` is what stands in that block beside the folder.
    pub(crate) fn start(jetstream: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clients, routes) = (ports(SERVERS), ports(SERVERS));
        let all_routes: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let configs = (0..SERVERS).map(|n| {
            let config = dir.path().join(format!("{n}.conf"));
            let text = format!(
                "server_name: n{n}\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: \"{}\", {jetstream} }}\n\
                 cluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
                clients[n],
                dir.path().join(format!("js{n}")).display(),
                routes[n],
                all_routes.join(", "),
            );
            std::fs::write(&config, text).unwrap();
            config
        });
        let configs: Vec<PathBuf> = configs.collect();
        let url = clients.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        let mut cluster = Self { servers: (0..SERVERS).map(|_| None).collect(), configs, url, _dir: dir };
        (0..SERVERS).for_each(|n| cluster.start_again(n));
        cluster
    }

    pub(crate) fn start_again(&mut self, n: usize) {
        let mut command = Command::new(server_program());
        command.arg("--config").arg(&self.configs[n]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers[n] = Some(command.kill_on_drop(true).spawn().unwrap());
    }

    /// SIGKILL, and gone.
    pub(crate) async fn kill(&mut self, n: usize) {
        let mut server = self.servers[n].take().expect("the server runs");
        server.kill().await.unwrap();
    }

    /// It stands still, and goes on where it stood.
    pub(crate) fn pause(&self, n: usize) {
        self.signal(n, Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self, n: usize) {
        self.signal(n, Signal::SIGCONT);
    }

    fn signal(&self, n: usize, signal: Signal) {
        let pid = self.servers[n].as_ref().and_then(Child::id).expect("the server runs");
        send(pid, signal);
    }

    pub(crate) async fn connect(&self) -> Bus {
        let options = ConnectOptions { url: self.url.clone(), client_name: "test".to_owned(), ..ConnectOptions::default() };
        eventually("a connection", || async { Bus::connect(options.clone()).await.ok() }).await
    }

    /// A client as anybody has it.
    pub(crate) async fn plain_client(&self) -> async_nats::Client {
        let servers: Vec<&str> = self.url.split(',').collect();
        eventually("a connection", || async { async_nats::connect(&servers[..]).await.ok() }).await
    }

    /// The number of the server that leads a stream.
    pub(crate) async fn leader_of(&self, client: &async_nats::Client, stream: &str) -> usize {
        let js = jetstream::new(client.clone());
        let leader = eventually("a leader", || async { js.get_stream(stream).await.ok()?.cached_info().cluster.clone()?.leader }).await;
        leader.strip_prefix('n').unwrap().parse().unwrap()
    }

    /// Returns once a stream has a leader and both followers have everything it has.
    pub(crate) async fn until_whole(&self, client: &async_nats::Client, stream: &str) {
        let js = jetstream::new(client.clone());
        let deadline = tokio::time::Instant::now() + GENEROUS;
        let whole = || async {
            let info = js.get_stream(stream).await.ok()?.cached_info().clone();
            let cluster = info.cluster?;
            let all = cluster.replicas.len() == SERVERS - 1 && cluster.replicas.iter().all(|one| one.current && !one.offline);
            (cluster.leader.is_some() && all).then_some(())
        };
        eventually("a whole cluster", whole).await;
        assert!(tokio::time::Instant::now() < deadline);
    }
}
