//! A nats-server for one test: started on a free port, killed and started again at will, gone with the test.

pub(crate) mod cluster;
pub(crate) mod words;

use bus::{Bus, ConnectOptions, Layout, Server, ServerOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// Long enough for anything on a busy machine; reached only by what hangs.
pub(crate) const GENEROUS: Duration = Duration::from_mins(1);

/// A server with everything on it that Navvy needs, and a connection.
pub(crate) struct Ground {
    server: Option<Server>,
    pub(crate) dir: TempDir,
    pub(crate) bus: Bus,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let bare = Self::bare().await;
        bare.bus.migrate(&Layout::default()).await.unwrap();
        bare
    }

    /// Without any stream.
    pub(crate) async fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(options(dir.path())).await.unwrap();
        let bus = Bus::connect(server.connect_options("test")).await.unwrap();
        Self { server: Some(server), dir, bus }
    }

    /// Another connection.
    pub(crate) async fn connect(&self) -> Bus {
        Bus::connect(self.connect_options()).await.unwrap()
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        self.server.as_ref().expect("the server runs").connect_options("test")
    }

    /// A client as anybody has it, to look and to meddle.
    pub(crate) async fn plain_client(&self) -> async_nats::Client {
        let o = self.connect_options();
        let with = async_nats::ConnectOptions::new().user_and_password(o.user.unwrap(), o.password.unwrap());
        with.connect(o.url).await.unwrap()
    }

    /// Whether an order of the pool is in somebody's hands, taken or not.
    pub(crate) async fn is_handed_out(&self, pool: &proto::PoolName) -> bool {
        let js = async_nats::jetstream::new(self.plain_client().await);
        let consumer = proto::subject::pool_consumer(pool);
        let info = js.get_stream("WORK").await.unwrap().consumer_info(consumer).await.unwrap();
        info.num_ack_pending == 1
    }

    /// SIGKILL, and gone.
    pub(crate) async fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        send(server.pid(), Signal::SIGKILL);
        timeout(GENEROUS, server.wait()).await.unwrap();
    }

    /// Again, on the same port with the same credentials and everything it had stored.
    pub(crate) async fn start_again(&mut self) {
        self.server = Some(Server::start(options(self.dir.path())).await.unwrap());
    }

    pub(crate) async fn kill_and_start_again(&mut self) {
        let before = self.connect_options();
        self.kill().await;
        self.start_again().await;
        assert_eq!(self.connect_options().url, before.url, "clients find it where it was");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            send(server.pid(), Signal::SIGKILL);
        }
    }
}

/// The server program, for those that are started by hand.
pub(crate) fn server_program() -> PathBuf {
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    on_path.chain([tools]).map(|dir| dir.join("nats-server")).find(|program| program.is_file()).expect("run `make tools`")
}

pub(crate) fn options(dir: &Path) -> ServerOptions {
    ServerOptions::in_dir(dir)
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + GENEROUS;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Something that must come, in time.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(GENEROUS, wait).await.unwrap_or_else(|_| panic!("{what} did not come"))
}
