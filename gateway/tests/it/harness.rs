//! One gateway over its own nats-server, and a client for it.

use bus::{Bus, Layout, Role, Server, ServerOptions};
use futures_util::future::LocalBoxFuture;
use gateway::{GatewayDeps, SecretStore};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use service::{
    metrics::Metrics,
    ops::Readiness,
    settings::{Secret, Settings},
    shutdown::{Shutdown, Tasks},
};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "the-administrator-s-token-of-these-tests";
/// Long enough for any machine; nothing is asserted about how much of it is needed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A store.
pub(crate) struct Store {
    pub(crate) bus: Bus,
    server: Option<Server>,
    dir: TempDir,
}

/// A gateway that serves.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    client: Client,
}

/// Both.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) gateway: Gateway,
}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Asks again until the answer is yes.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(mut yes: F) {
    soon(async {
        while !yes().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

impl Store {
    pub(crate) fn start() -> LocalBoxFuture<'static, Self> {
        Box::pin(async {
            let dir = tempfile::tempdir().expect("a folder");
            let server = Box::pin(serve(&dir)).await;
            let bus = Bus::connect(server.connect_options("test")).await.expect("a connection");
            bus.migrate(&Layout::default()).await.expect("a layout");
            Self { bus, server: Some(server), dir }
        })
    }

    /// SIGKILL, and gone.
    pub(crate) async fn kill(&mut self) {
        let mut server = self.server.take().expect("it runs");
        end(&server);
        soon(server.wait()).await;
    }

    /// Again, at the same port, with what it had stored.
    pub(crate) async fn start_again(&mut self) {
        self.server = Some(Box::pin(serve(&self.dir)).await);
        Box::pin(until(async || self.bus.probe().await.is_ok())).await;
    }

    /// Bounds a stream's bytes, while the server runs; -1: no bound. Tells how many messages it holds.
    pub(crate) async fn bound(&self, stream: &str, max_bytes: i64) -> u64 {
        let options = self.server.as_ref().expect("it runs").connect_options("operator");
        let login = (options.user.expect("a user"), options.password.expect("a password"));
        let client =
            async_nats::ConnectOptions::new().user_and_password(login.0, login.1).connect(options.url).await.expect("a connection");
        let jetstream = async_nats::jetstream::new(client);
        let found = jetstream.get_stream(stream).await.expect("the stream").cached_info().clone();
        let (messages, found) = (found.state.messages, found.config);
        assert_eq!(found.discard, async_nats::jetstream::stream::DiscardPolicy::New, "a full stream takes nothing, and drops nothing");
        jetstream.update_stream(async_nats::jetstream::stream::Config { max_bytes, ..found }).await.expect("updated");
        messages
    }

    /// Takes a line out of what the gateways' user may do, while the server runs.
    pub(crate) async fn forbid(&self, line: &str) {
        let folder = self.dir.path().join("nats");
        let text = std::fs::read_to_string(folder.join("nats.conf")).expect("a configuration");
        let (before, from) = text.split_once("user: \"gateway\"").expect("the user");
        let shortened = from.replacen(&format!("\"{line}\""), "", 1);
        assert_ne!(shortened, from, "{line} is one of its lines");
        std::fs::write(folder.join("nats.conf"), format!("{before}user: \"gateway\"{shortened}")).expect("written");
        send(self.server.as_ref().expect("it runs"), nix::sys::signal::Signal::SIGHUP);
        let reloaded = || std::fs::read_to_string(folder.join("nats.log")).is_ok_and(|log| log.contains("Reloaded server configuration"));
        Box::pin(until(async || reloaded())).await;
    }

    /// A gateway over this store, with a gateway's rights. Several may serve at a time.
    pub(crate) async fn gateway(&self, change: impl FnOnce(&mut Settings)) -> Gateway {
        let options = self.server.as_ref().expect("it runs").connect_as("gateway", Role::Gateway);
        self.gateway_over(Bus::connect(options).await.expect("a connection"), change).await
    }

    /// A gateway over this connection.
    pub(crate) async fn gateway_over(&self, bus: Bus, change: impl FnOnce(&mut Settings)) -> Gateway {
        self.gateway_with(bus, None, change).await
    }

    /// A gateway over this connection, that fetches secrets here.
    pub(crate) async fn gateway_with(
        &self,
        bus: Bus,
        secret_store: Option<Arc<dyn SecretStore>>,
        change: impl FnOnce(&mut Settings),
    ) -> Gateway {
        let mut settings = Settings { data_dir: self.dir.path().join("data"), ..Settings::default() };
        settings.gateway.admin_token = Some(Secret::new(TOKEN));
        settings.git.allowed_hosts = vec!["git.example".to_owned()];
        change(&mut settings);
        let shutdown = Shutdown::new();
        let deps = GatewayDeps {
            bus,
            settings: Arc::new(settings),
            metrics: Metrics::new("0.0.0", "test"),
            readiness: Readiness::new(),
            tasks: Tasks::new(shutdown),
            secret_store,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(gateway::run(deps, listener, stop.clone()));
        let client = Client::builder().no_proxy().build().expect("a client");
        let gateway = Gateway { address, stop, client };
        until(async || gateway.get("/readyz").send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)).await;
        gateway
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            end(server);
        }
    }
}

async fn serve(dir: &TempDir) -> Server {
    let options = ServerOptions::in_dir(dir.path().join("nats"));
    Box::pin(soon(Server::start(options))).await.expect("a nats-server")
}

fn end(server: &Server) {
    send(server, nix::sys::signal::Signal::SIGKILL);
}

fn send(server: &Server, signal: nix::sys::signal::Signal) {
    let pid = i32::try_from(server.pid()).expect("a process id");
    // It may be gone already.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

impl World {
    pub(crate) fn start() -> LocalBoxFuture<'static, Self> {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings) + 'static) -> LocalBoxFuture<'static, Self> {
        Box::pin(async {
            let store = Store::start().await;
            crate::scheduler::publish_key(&store.bus).await;
            let gateway = store.gateway(change).await;
            Self { store, gateway }
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Gateway {
    /// A request with the administrator's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(TOKEN)
    }

    /// A request without a token.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }
}

/// Status and JSON of an answer.
pub(crate) async fn told(request: RequestBuilder) -> (u16, Value) {
    let answer = soon(request.send()).await.expect("an answer");
    let status = answer.status().as_u16();
    (status, json(answer).await)
}

pub(crate) async fn json(answer: Response) -> Value {
    let text = soon(answer.text()).await.expect("a body");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")) }
}

/// A request body that is valid.
pub(crate) fn request() -> Value {
    serde_json::json!({
        "tool": "terraform",
        "git_url": "https://git.example/acme/infra.git",
        "git_ref": "main",
        "env_vars": { "TF_VAR_password": "canary-secret" },
    })
}
