//! Puts the gateway together and serves it.

use crate::{
    app::{App, Limits, OrderRules},
    auth::{Auth, keyring::Keyring},
    deploy::sealing::SealingKey,
    door::Origins,
    forge::{
        Forge,
        commenter::Pace,
        github::{BadGitHub, GitHub},
    },
    health::Health,
    hooks::{Hearing, Room, Trace},
    logs::Readers,
    routes,
    runs::RunIndex,
    sources::{SecretStore, Source, SourceFault, Sources},
    status::TailCache,
    syncs::{SyncFault, SyncRules},
    telling::{self, Commenting, Means, Publishing, Sealer, Telling},
};
use axum::Router;
use bus::Bus;
use domain::orders::{GitBase, GitRules};
use proto::{
    Secret,
    git::{AllowedHosts, BadGit},
    ids::BadId,
};
use service::{
    http,
    metrics::Metrics,
    ops::Readiness,
    secret_file::{self, SecretFileError},
    settings::Settings,
    shutdown::Tasks,
};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Live streams of one API key.
const READERS_PER_KEY: u32 = 10;
/// Length of a generated administrator's token, in bytes.
const TOKEN_BYTES: usize = 32;

/// What a gateway is made of.
#[derive(Debug, Clone)]
pub struct GatewayDeps {
    /// The connection. Its layout must be there.
    pub bus: Bus,
    /// Checked settings.
    pub settings: Arc<Settings>,
    /// Of the process.
    pub metrics: Metrics,
    /// Of the process; the gateway adds its probes.
    pub readiness: Readiness,
    /// Of the process; the gateway adds its loops.
    pub tasks: Tasks,
    /// Where secrets are fetched that stand in no file; only asked for sources with a `vault_path`.
    pub secret_store: Option<Arc<dyn SecretStore>>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The administrator's token cannot be read or made.
    #[error("the administrator's token cannot be used")]
    AdminToken(#[source] SecretFileError),
    /// An entry of the list of git hosts is none.
    #[error("git.allowed_hosts cannot be read")]
    GitHosts(#[source] BadGit),
    /// The address that `org/repo` stands on is none.
    #[error("gateway.orders.git_base cannot be read")]
    GitBase(#[source] BadGit),
    /// A pool's name is none.
    #[error("gateway.orders: a pool's name cannot be read")]
    Pool(#[source] BadId),
    /// GitHub cannot be spoken to.
    #[error(transparent)]
    GitHub(BadGitHub),
    /// A repository cannot be followed.
    #[error("[[sources]] cannot be used")]
    Source(#[source] SourceFault),
    /// No sync can be started.
    #[error("[sync] cannot be used")]
    Sync(#[source] SyncFault),
    /// A hook of the settings cannot be used.
    #[error(transparent)]
    Notify(telling::NotifyFault),
    /// No HTTP client can be made.
    #[error("callbacks cannot be sent")]
    Callbacks(#[source] reqwest::Error),
}

/// Serves the gateway until `shutdown` is cancelled; requests in hand may finish, live streams end.
pub async fn run(deps: GatewayDeps, listener: TcpListener, shutdown: CancellationToken) -> Result<(), GatewayError> {
    let limits = http::Limits::of_gateway(&deps.settings.gateway);
    let router = router(&deps, shutdown.clone())?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the gateway serves");
    }
    http::serve(listener, router, limits, shutdown).await;
    Ok(())
}

/// The gateway's routes; starts the loop that feeds the list of runs. The peer's address is taken from the request's
/// `ConnectInfo<SocketAddr>`, where there is one.
pub fn router(deps: &GatewayDeps, stop: CancellationToken) -> Result<Router, GatewayError> {
    let app = Arc::new(app(deps, stop)?);
    watch_runs(&app, &deps.tasks);
    tell_outside(&app, deps)?;
    fetch_secrets(&app, deps)?;
    add_probes(&app);
    Ok(routes::router(&app))
}

fn app(deps: &GatewayDeps, stop: CancellationToken) -> Result<App, GatewayError> {
    let settings = &deps.settings.gateway;
    let gateway_metrics = deps.metrics.gateway();
    let limits = Limits {
        body_bytes: settings.body_limit_bytes,
        orders_body_bytes: settings.max_orders_body,
        request_timeout: *settings.request_timeout,
        heartbeat: *settings.sse_heartbeat,
        trusted_proxies: settings.trusted_proxies.iter().filter_map(|ip| ip.parse().ok()).collect(),
    };
    let token = admin_token(&deps.settings)?;
    Ok(App {
        callbacks: Sealer::new(&token),
        orders: order_rules(&deps.settings)?,
        forge: Arc::new(GitHub::new(&settings.github).map_err(GatewayError::GitHub)?),
        sources: Sources::new(&deps.settings).map_err(GatewayError::Source)?,
        sync: SyncRules::new(&deps.settings).map_err(GatewayError::Sync)?,
        hearing: Hearing::default(),
        room: Room::default(),
        trace: Trace::default(),
        auth: Auth::new(token, settings.anonymous, Keyring::new(deps.bus.keys())),
        index: RunIndex::default(),
        sealing: SealingKey::new(deps.bus.keys()),
        readers: Readers::new(settings.sse_max_readers, READERS_PER_KEY, gateway_metrics.clone()),
        tails: TailCache::default(),
        origins: Origins::new(&settings.allowed_origins),
        hosts: AllowedHosts::parse(&deps.settings.git.allowed_hosts).map_err(GatewayError::GitHosts)?,
        shards: u8::try_from(deps.settings.scheduler.shards).unwrap_or(u8::MAX),
        own_pool: deps.settings.worker.pool.clone(),
        loopback: settings.listen.is_loopback(),
        limits,
        metrics: deps.metrics.clone(),
        gateway_metrics,
        readiness: deps.readiness.clone(),
        health: Health::default(),
        stop,
        bus: deps.bus.clone(),
    })
}

fn order_rules(settings: &Settings) -> Result<OrderRules, GatewayError> {
    let (gateway, orders) = (&settings.gateway, &settings.gateway.orders);
    let limits = domain::orders::Limits {
        max_orders: orders.max_orders as usize,
        max_dependencies: orders.max_dependencies as usize,
        max_order_bytes: orders.max_order_bytes as usize,
        max_commands: orders.max_commands as usize,
        default_parallel: orders.default_parallel,
        max_parallel: orders.max_parallel,
    };
    let hosts = AllowedHosts::parse(&settings.git.allowed_hosts).map_err(GatewayError::GitHosts)?;
    Ok(OrderRules {
        limits,
        short_pool: orders.short_pool.parse().map_err(GatewayError::Pool)?,
        long_pool: orders.long_pool.parse().map_err(GatewayError::Pool)?,
        git: GitRules { base: GitBase::parse(&orders.git_base).map_err(GatewayError::GitBase)?, hosts },
        callback_hosts: gateway.callback_hosts.clone(),
        may_sign: gateway.callback_secret.is_some(),
        public_url: gateway.public_url.clone().unwrap_or_default().trim_end_matches('/').to_owned(),
    })
}

fn admin_token(settings: &Settings) -> Result<Secret, GatewayError> {
    match &settings.gateway.admin_token {
        Some(token) => Ok(Secret::new(token.expose())),
        None => secret_file::read_or_create(&settings.admin_token_path(), TOKEN_BYTES)
            .map(|token| Secret::new(token.expose()))
            .map_err(GatewayError::AdminToken),
    }
}

fn watch_runs(app: &Arc<App>, tasks: &Tasks) {
    let app = Arc::clone(app);
    tasks.spawn("list of runs", async move {
        tokio::select! {
            () = app.index.follow(&app.bus) => {}
            () = app.stop.cancelled() => {}
        }
    });
}

fn tell_outside(app: &Arc<App>, deps: &GatewayDeps) -> Result<(), GatewayError> {
    let settings = &deps.settings.gateway;
    let forge: Arc<dyn Forge> = app.forge.clone();
    let notify = telling::hooks(&deps.settings).map_err(GatewayError::Notify)?;
    let means = Means {
        notify,
        commenting: app.forge.may_comment().then(|| Commenting::new(forge, Pace::new(*settings.github.edit_interval))),
        publishing: app.forge.may_comment().then(|| Publishing::new(Arc::clone(&app.forge))),
        hosts: settings.callback_hosts.clone(),
        secret: settings.callback_secret.as_ref().map(|secret| Secret::new(secret.expose())),
        public_url: app.orders.public_url.clone(),
    };
    let telling = Arc::new(Telling::new(app, means).map_err(GatewayError::Callbacks)?);
    let stop = app.stop.clone();
    deps.tasks.spawn("telling outside", async move {
        tokio::select! {
            () = telling.follow() => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(())
}

fn fetch_secrets(app: &Arc<App>, deps: &GatewayDeps) -> Result<(), GatewayError> {
    for source in app.sources.iter().filter(|source| source.needs_store()) {
        let id = source.id.clone();
        let store = deps.secret_store.clone().ok_or_else(|| GatewayError::Source(SourceFault::NoStore { id: id.to_string() }))?;
        let app = Arc::clone(app);
        deps.tasks.spawn("secrets of webhooks", async move {
            if let Some(source) = app.sources.get(id.as_str()) {
                source.follow_secrets(&*store, &app.stop).await;
            }
        });
    }
    Ok(())
}

fn add_probes(app: &Arc<App>) {
    let bus = app.bus.clone();
    app.readiness.add("nats", move || {
        let bus = bus.clone();
        async move { bus.probe().await.map_err(|error| error.to_string()) }
    });
    let weak = Arc::downgrade(app);
    app.readiness.add("runs", move || {
        let complete = weak.upgrade().is_some_and(|app| app.index.read().is_complete());
        async move { if complete { Ok(()) } else { Err("the list of runs is not read yet".to_owned()) } }
    });
    for source in app.sources.iter() {
        let (weak, id) = (Arc::downgrade(app), source.id.clone());
        let name = format!("source:{id}");
        // Whether the webhook's secret and the login can be read now, and are good: being there says nothing.
        let probe = move || {
            let checked = weak.upgrade().and_then(|app| app.sources.get(id.as_str()).map(Source::check_files));
            async move { checked.unwrap_or(Ok(())) }
        };
        // A Vault that is away is away for every gateway: were none of them ready, nothing else would be served either.
        if source.needs_store() { app.readiness.add_partial(name, probe) } else { app.readiness.add(name, probe) }
    }
    app.readiness.until(app.stop.clone());
}
