//! The users of `docs/reference/streams.md`: each can do what its role does, and not what another's does.

mod abuse;
mod lists;
mod refusals;

use crate::support::words::{SHARD, attempt, heartbeat, held_by, lock_key, order, output, run, seat, trigger, view, written};
use crate::support::{GENEROUS, eventually, server_program, soon};
use bus::{Bus, BusError, ConnectOptions, Held, Layout, Output, Role};
use bytes::Bytes;
use proto::message::{
    Ask, AskAnswer, AskWhat, CommandAnswer, Heartbeat, InboxMessage, JobOrder, Report, ReportWhat, Sealed, StopMode, StopSignal,
};
use proto::{PoolName, Seat, Timestamp};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// The block as the page shows it: a user for each role, one for the pool `default`, one for the worker `blue` of `gpu`.
fn documented() -> &'static str {
    let page = include_str!("../../../../docs/reference/streams.md");
    let (_, from) = page.split_once("```\nauthorization").expect("the page has the block");
    let (block, _) = from.split_once("```").expect("the block ends");
    block
}

fn both_pools() -> Layout {
    Layout { pools: vec![PoolName::default(), "gpu".parse().unwrap()], ..Layout::default() }
}

/// The worker of the page that has a user of its own.
fn blue() -> Seat {
    Seat::of_tokens("gpu", "blue").unwrap()
}

struct Guarded {
    url: String,
    _server: Child,
    _dir: TempDir,
}

impl Guarded {
    async fn new() -> Self {
        Self::with(documented()).await
    }

    /// With these users, and one who may do everything, to look.
    async fn with(users: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let config = dir.path().join("guarded.conf");
        let head =
            format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\nauthorization", dir.path().join("js").display());
        let users = users.replacen("users: [", "users: [ { user: operator, password: secret }", 1);
        std::fs::write(&config, format!("{head}{users}")).unwrap();
        let mut command = Command::new(server_program());
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        for user in ["ADMIN", "GATEWAY", "SCHEDULER", "WORKER_DEFAULT", "WORKER_GPU_BLUE"] {
            command.env(format!("{user}_PASSWORD"), "secret");
        }
        let guarded = Self { url: format!("nats://127.0.0.1:{port}"), _server: command.spawn().unwrap(), _dir: dir };
        guarded.admin().await.migrate(&both_pools()).await.unwrap();
        guarded
    }

    fn options(&self, user: &str, role: Option<Role>) -> ConnectOptions {
        ConnectOptions {
            url: self.url.clone(),
            user: Some(user.to_owned()),
            password: Some("secret".to_owned()),
            client_name: user.to_owned(),
            role,
            ..ConnectOptions::default()
        }
    }

    async fn connect(&self, user: &str, role: Role) -> Bus {
        Bus::connect(self.options(user, Some(role))).await.unwrap()
    }

    async fn admin(&self) -> Bus {
        self.connect("admin", Role::Admin).await
    }

    async fn gateway(&self) -> Bus {
        self.connect("gateway", Role::Gateway).await
    }

    async fn scheduler(&self) -> Bus {
        self.connect("scheduler", Role::Scheduler).await
    }

    /// Of the pool `default`, as the pool's user.
    async fn worker(&self) -> Bus {
        self.connect("worker.default", Role::Worker(seat("w"))).await
    }

    /// The worker that has a user of its own.
    async fn blue(&self) -> Bus {
        self.connect("worker.gpu.blue", Role::Worker(blue())).await
    }

    /// A client as anybody has it, with this user.
    async fn plain(&self, user: &str) -> async_nats::Client {
        let with = async_nats::ConnectOptions::new().user_and_password(user.to_owned(), "secret".to_owned());
        with.connect(self.url.clone()).await.unwrap()
    }

    /// May do everything.
    async fn operator(&self) -> Bus {
        Bus::connect(self.options("operator", None)).await.unwrap()
    }
}

#[allow(clippy::needless_pass_by_value, reason = "its callers have no other use for it")]
fn denied<T: std::fmt::Debug>(what: &str, result: Result<T, BusError>) {
    assert!(matches!(result, Err(BusError::Denied { .. })), "{what}: {result:?}");
}

async fn object_through(bus: &Bus, pool: &PoolName) {
    let artifacts = bus.artifacts(pool);
    for _ in 0..2 {
        artifacts.put("a", vec![1_u8; 300_000].as_slice()).await.unwrap();
    }
    let mut bytes = Vec::new();
    soon("the object", artifacts.get("a").await.unwrap().read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes.len(), 300_000);
    assert!(artifacts.exists("a").await.unwrap());
    artifacts.delete("a").await.unwrap();
}

#[tokio::test]
async fn a_gateway_can_take_things_in_and_show_things_and_decides_nothing() {
    let server = Guarded::new().await;
    let bus = server.gateway().await;
    let (run, sealed) = (run(), Sealed { key_id: String::new(), encapsulated: String::new(), ciphertext: String::new() });
    bus.probe().await.unwrap();
    bus.check_layout(&both_pools()).await.unwrap();
    bus.sealed().put(run, &sealed).await.unwrap();
    bus.sealed().get(run).await.unwrap();
    bus.sealed().delete(run).await.unwrap();
    bus.inbox().publish(run, &trigger(run), "1", None).await.unwrap();
    assert!(bus.inbox().first_trigger(run).await.unwrap().is_some());
    bus.inbox().reply_box().await.unwrap();
    bus.keys().create("api.1", &1).await.unwrap();
    assert_eq!(bus.keys().list::<u32>("api.").await.unwrap().len(), 1);
    bus.keys().put("used.1", &1).await.unwrap();
    bus.keys().delete("api.1").await.unwrap();
    bus.deliveries().create("platform.0f.9a", &1).await.unwrap();
    bus.deliveries().put("platform.refused.01", &1).await.unwrap();
    assert!(bus.deliveries().last_of::<u32>(&"platform".parse().unwrap(), "0f").await.unwrap().is_some());
    assert_eq!(bus.deliveries().before::<u32>(None, None, 9, |_| true).await.unwrap().found.len(), 2);
    bus.deployments().change("0f", "9a", &1, 0).await.unwrap();
    assert_eq!(bus.deployments().list::<u32>("9a", 0, 9).await.unwrap().found, [1]);
    bus.nonces().take(&"0".repeat(64)).await.unwrap();
    bus.locks().read(&[lock_key("a")]).await.unwrap();
    server.scheduler().await.locks().write_all(&[Held { value: held_by(&lock_key("a"), run), revision: 0 }]).await.unwrap();
    assert_eq!(bus.locks().list().await.unwrap().len(), 1);
    server.worker().await.fleet().beat(&heartbeat("w", 1)).await.unwrap();
    assert_eq!(bus.fleet().list().await.unwrap().len(), 1);
    bus.fleet().watch().await.unwrap().next().await.unwrap();
    bus.views().get(run).await.unwrap();
    bus.views().watch().await.unwrap().next().await.unwrap();
    bus.logs().wake(run).await.unwrap();
    assert_eq!(bus.logs().next(&written(attempt(run)), 0).await.unwrap(), None);
    let decided = server.scheduler().await.run_log().commit(run, 0, b"{}".to_vec(), true).await.unwrap();
    assert_eq!(bus.decisions().first(run).await.unwrap().unwrap().seq, decided);
    assert_eq!(bus.decisions().between(run, 0, decided).await.unwrap().len(), 1);
    bus.views().wake(run).await.unwrap();
    bus.work().depth(&PoolName::default()).await.unwrap();
    server.worker().await.artifacts(&PoolName::default()).put("a", &b"x"[..]).await.unwrap();
    let mut bytes = Vec::new();
    let mut object = bus.artifacts(&PoolName::default()).get("a").await.unwrap();
    soon("the object", object.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"x");

    denied("decide", bus.run_log().commit(run, decided, b"{}".to_vec(), true).await);
    denied("lock", bus.locks().write_all(&[Held { value: held_by(&lock_key("b"), run), revision: 0 }]).await);
    denied("order", bus.work().publish(&order(run)).await);
    denied("show", bus.views().put(&view(run, 1)).await);
    // What is not stored is not answered either: it just does not arrive.
    let worker = seat("w");
    let mut signals = server.worker().await.control().signals(&worker).await.unwrap();
    let [kill, stop] = [StopMode::Kill, StopMode::Interrupt].map(|mode| StopSignal { id: attempt(run), mode });
    bus.control().signal(&worker, &kill).await.unwrap();
    server.scheduler().await.control().signal(&worker, &stop).await.unwrap();
    assert_eq!(soon("the scheduler's signal", signals.next()).await, Some(stop));
    let more = bus.migrate(&Layout { shards: 2, ..both_pools() }).await;
    denied("migrate", more);
}

#[tokio::test]
async fn a_scheduler_and_a_worker_can_turn_the_ring_together() {
    let server = Guarded::new().await;
    let (scheduler, worker) = (server.scheduler().await, server.worker().await);
    let (run, pool, id) = (run(), PoolName::default(), seat("w"));
    worker.check_pool(&pool, &both_pools()).await.unwrap();
    scheduler.check_layout(&both_pools()).await.unwrap();
    let mut inbox = scheduler.inbox().consume(SHARD).await.unwrap();
    let mut asks = scheduler.asks().serve(SHARD).await.unwrap();
    let mut signals = worker.control().signals(&id).await.unwrap();
    let what = ReportWhat::Phase { phase: "plan".to_owned() };
    let report = Report { id: attempt(run), pool: pool.clone(), worker: id.worker.clone(), at: Timestamp::UNIX_EPOCH, what };
    worker.inbox().publish(run, &InboxMessage::Report(Box::new(report)), "2", None).await.unwrap();
    let delivery = soon("the message", inbox.next()).await.unwrap().unwrap();
    assert_eq!(delivery.seat.as_ref(), Some(&id));
    delivery.ack().await.unwrap();
    let seq = scheduler.run_log().commit(run, 0, b"{}".to_vec(), true).await.unwrap();
    assert_eq!(scheduler.run_log().load(run).await.unwrap(), [(seq, b"{}".to_vec())]);
    assert_eq!(scheduler.run_log().open_runs(SHARD).await.unwrap(), [run]);
    let pair = [lock_key("a"), lock_key("b")].map(|key| Held { value: held_by(&key, run), revision: 0 });
    scheduler.locks().write_all(&pair).await.unwrap();
    assert_eq!(scheduler.locks().list().await.unwrap().len(), 2);
    scheduler.views().put(&view(run, seq)).await.unwrap();
    scheduler.keys().create("sealing.public", &"00").await.unwrap();
    assert_eq!(scheduler.sealed().list().await.unwrap(), []);
    scheduler.sealed().delete(run).await.unwrap();
    let ordered = scheduler.work().publish(&order(run)).await.unwrap();
    let mut orders = worker.work().pull(&pool).await.unwrap();
    let taken = orders.next(GENEROUS).await.unwrap().unwrap();
    let ask = Ask {
        id: taken.order.id,
        pool: pool.clone(),
        worker: id.worker.clone(),
        nonce: "n".to_owned(),
        what: AskWhat::StartEffects { serial_before: None },
    };
    let answering = async { soon("the question", asks.next()).await.unwrap().answer(&AskAnswer::Go).await.unwrap() };
    let asking = worker.asks();
    let (answer, ()) = tokio::join!(asking.ask(&ask, GENEROUS), answering);
    assert_eq!(answer.unwrap(), AskAnswer::Go);
    taken.double_ack().await.unwrap();
    assert!(!scheduler.work().is_waiting(ordered.seq).await.unwrap());
    let sent = worker.logs().publish(&output(taken.order.id), 0, "plan", Bytes::from_static(b"x"), None).await.unwrap();
    sent.wait().await.unwrap();
    object_through(&worker, &pool).await;
    let stop = StopSignal { id: taken.order.id, mode: StopMode::Interrupt };
    scheduler.control().signal(&id, &stop).await.unwrap();
    assert_eq!(soon("the signal", signals.next()).await, Some(stop));
    worker.fleet().beat(&heartbeat("w", 1)).await.unwrap();
    let mut fleet = scheduler.fleet().watch().await.unwrap();
    eventually("the worker to be seen", || async { scheduler.work().depth(&pool).await.ok() }).await;
    soon("the worker", fleet.next()).await.unwrap();
    worker.fleet().leave(&id).await.unwrap();
    let reply = server.gateway().await.inbox().reply_box().await.unwrap();
    scheduler.inbox().answer(&reply.subject, &CommandAnswer::Done).await.unwrap();
    assert_eq!(soon("the answer", reply.wait(GENEROUS)).await, Some(CommandAnswer::Done));
}

#[tokio::test]
async fn a_worker_with_a_user_of_its_own_does_all_of_its_work() {
    let server = Guarded::new().await;
    let (scheduler, worker, pool) = (server.scheduler().await, server.blue().await, blue().pool);
    let run = run();
    worker.check_pool(&pool, &both_pools()).await.unwrap();
    scheduler.work().publish(&JobOrder { pool: pool.clone(), ..order(run) }).await.unwrap();
    let mut asks = scheduler.asks().serve(SHARD).await.unwrap();
    let mut inbox = scheduler.inbox().consume(SHARD).await.unwrap();
    let mut signals = worker.control().signals(&blue()).await.unwrap();
    let taken = worker.work().pull(&pool).await.unwrap().next(GENEROUS).await.unwrap().unwrap();
    let Seat { pool: _, worker: name } = blue();
    let ask = Ask {
        id: taken.order.id,
        pool: pool.clone(),
        worker: name.clone(),
        nonce: "n".to_owned(),
        what: AskWhat::StartEffects { serial_before: None },
    };
    let answering = async { soon("the question", asks.next()).await.unwrap().answer(&AskAnswer::Go).await.unwrap() };
    let asking = worker.asks();
    let (answer, ()) = tokio::join!(asking.ask(&ask, GENEROUS), answering);
    assert_eq!(answer.unwrap(), AskAnswer::Go);
    taken.double_ack().await.unwrap();
    let to = Output { id: taken.order.id, seat: blue() };
    worker.logs().publish(&to, 0, "plan", Bytes::from_static(b"x"), None).await.unwrap().wait().await.unwrap();
    object_through(&worker, &pool).await;
    let what = ReportWhat::Phase { phase: "plan".to_owned() };
    let report = Report { id: to.id, pool: pool.clone(), worker: name.clone(), at: Timestamp::UNIX_EPOCH, what };
    worker.inbox().publish(run, &InboxMessage::Report(Box::new(report)), "1", None).await.unwrap();
    assert_eq!(soon("the report", inbox.next()).await.unwrap().unwrap().seat, Some(blue()));
    worker.fleet().beat(&Heartbeat { pool, ..heartbeat("blue", 1) }).await.unwrap();
    assert_eq!(scheduler.fleet().list().await.unwrap().len(), 1);
    let stop = StopSignal { id: to.id, mode: StopMode::Interrupt };
    scheduler.control().signal(&blue(), &stop).await.unwrap();
    assert_eq!(soon("the signal", signals.next()).await, Some(stop));
    worker.fleet().leave(&blue()).await.unwrap();
    worker.probe().await.unwrap();
}

#[tokio::test]
async fn an_admin_brings_the_layout_about_and_looks_for_open_runs() {
    let server = Guarded::new().await;
    let (admin, run) = (server.admin().await, run());
    server.scheduler().await.run_log().commit(run, 0, b"{}".to_vec(), true).await.unwrap();
    let js = async_nats::jetstream::new(server.plain("operator").await);
    js.delete_stream("KV_LOCKS").await.unwrap();
    let refused = admin.migrate(&both_pools()).await;
    assert!(matches!(refused, Err(BusError::Layout { .. })), "{refused:?}");
    let more = Layout { shards: 2, ..both_pools() };
    server.operator().await.run_log().commit(run, 1, b"{}".to_vec(), false).await.unwrap();
    let done = admin.migrate(&more).await.unwrap();
    assert!(done.iter().any(|what| what.contains("scheduler-1")), "{done:?}");
    admin.check_layout(&more).await.unwrap();
    admin.probe().await.unwrap();
}
