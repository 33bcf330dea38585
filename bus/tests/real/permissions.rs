//! The users of `docs/reference/streams.md`: each can do what its role does, and not what another's does.

use crate::support::words::{SHARD, attempt, heartbeat, held_by, lock_key, order, run, trigger, view};
use crate::support::{GENEROUS, eventually, server_program, soon};
use bus::{Bus, BusError, ConnectOptions, Held, Layout};
use bytes::Bytes;
use proto::message::{Ask, AskAnswer, AskWhat, CommandAnswer, InboxMessage, Report, ReportWhat, Sealed, StopMode, StopSignal};
use proto::{PoolName, Timestamp};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// The block as the page shows it.
fn documented() -> &'static str {
    let page = include_str!("../../../docs/reference/streams.md");
    let (_, from) = page.split_once("```\nauthorization").expect("the page has the block");
    let (block, _) = from.split_once("```").expect("the block ends");
    block
}

struct Guarded {
    url: String,
    _server: Child,
    _dir: TempDir,
}

impl Guarded {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let config = dir.path().join("guarded.conf");
        let store = dir.path().join("js");
        let head = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\nauthorization", store.display());
        std::fs::write(&config, format!("{head}{}", documented())).unwrap();
        let mut command = Command::new(server_program());
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        for role in ["ADMIN", "GATEWAY", "SCHEDULER", "WORKER"] {
            command.env(format!("{role}_PASSWORD"), "secret");
        }
        let guarded = Self { url: format!("nats://127.0.0.1:{port}"), _server: command.spawn().unwrap(), _dir: dir };
        guarded.connect("admin").await.migrate(&Layout::default()).await.unwrap();
        guarded
    }

    async fn connect(&self, user: &str) -> Bus {
        let options = ConnectOptions {
            url: self.url.clone(),
            user: Some(user.to_owned()),
            password: Some("secret".to_owned()),
            client_name: user.to_owned(),
            ..ConnectOptions::default()
        };
        Bus::connect(options).await.unwrap()
    }
}

#[allow(clippy::needless_pass_by_value, reason = "its callers have no other use for it")]
fn denied<T: std::fmt::Debug>(what: &str, result: Result<T, BusError>) {
    assert!(matches!(result, Err(BusError::Denied { .. })), "{what}: {result:?}");
}

async fn object_through(bus: &Bus) {
    let artifacts = bus.artifacts();
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
    let bus = server.connect("gateway").await;
    let (run, sealed) = (run(), Sealed { key_id: String::new(), encapsulated: String::new(), ciphertext: String::new() });
    bus.probe().await.unwrap();
    bus.check_layout(&Layout::default()).await.unwrap();
    bus.sealed().put(run, &sealed).await.unwrap();
    bus.sealed().get(run).await.unwrap();
    bus.sealed().delete(run).await.unwrap();
    bus.inbox().publish(run, &trigger(run), "1", None).await.unwrap();
    assert!(bus.inbox().first_trigger(run).await.unwrap().is_some());
    bus.inbox().reply_box().await.unwrap();
    bus.keys().create("api.1", &1).await.unwrap();
    assert_eq!(bus.keys().list::<u32>("api.").await.unwrap().len(), 1);
    bus.keys().delete("api.1").await.unwrap();
    bus.locks().read(&[lock_key("a")]).await.unwrap();
    server.connect("admin").await.locks().write_all(&[Held { value: held_by(&lock_key("a"), run), revision: 0 }]).await.unwrap();
    assert_eq!(bus.locks().list().await.unwrap().len(), 1);
    server.connect("worker").await.fleet().beat(&heartbeat("w", 1)).await.unwrap();
    assert_eq!(bus.fleet().list().await.unwrap().len(), 1);
    bus.fleet().watch().await.unwrap().next().await.unwrap();
    bus.views().get(run).await.unwrap();
    bus.views().watch().await.unwrap().next().await.unwrap();
    bus.logs().wake(run).await.unwrap();
    assert_eq!(bus.logs().next(attempt(run), 0).await.unwrap(), None);
    bus.work().depth(&PoolName::default()).await.unwrap();
    object_through(&bus).await;
    assert_eq!(bus.dead_letters().list(0).await.unwrap(), []);

    denied("decide", bus.run_log().commit(run, 0, b"{}".to_vec(), true).await);
    denied("lock", bus.locks().write_all(&[Held { value: held_by(&lock_key("b"), run), revision: 0 }]).await);
    denied("order", bus.work().publish(&order(run)).await);
    denied("show", bus.views().put(&view(run, 1)).await);
    // What is not stored is not answered either: it just does not arrive.
    let worker = "w".parse().unwrap();
    let mut signals = server.connect("worker").await.control().signals(&worker).await.unwrap();
    let [kill, stop] = [StopMode::Kill, StopMode::Interrupt].map(|mode| StopSignal { id: attempt(run), mode });
    bus.control().signal(&worker, &kill).await.unwrap();
    bus.probe().await.unwrap();
    server.connect("scheduler").await.control().signal(&worker, &stop).await.unwrap();
    assert_eq!(soon("the scheduler's signal", signals.next()).await, Some(stop));
    let more = bus.migrate(&Layout { shards: 2, ..Layout::default() }).await;
    denied("migrate", more);
}

#[tokio::test]
async fn a_scheduler_and_a_worker_can_turn_the_ring_together() {
    let server = Guarded::new().await;
    let (scheduler, worker) = (server.connect("scheduler").await, server.connect("worker").await);
    let (run, pool, id) = (run(), PoolName::default(), "w".parse().unwrap());
    worker.check_layout(&Layout::default()).await.unwrap();
    scheduler.check_layout(&Layout::default()).await.unwrap();
    let mut inbox = scheduler.inbox().consume(SHARD).await.unwrap();
    let mut asks = scheduler.asks().serve(SHARD).await.unwrap();
    let mut signals = worker.control().signals(&id).await.unwrap();
    // A worker reports; it cannot speak for a gateway, whose triggers and commands are believed.
    denied("a worker's trigger", worker.inbox().publish(run, &trigger(run), "1", None).await);
    let what = ReportWhat::Phase { phase: "plan".to_owned() };
    let report = Report { id: attempt(run), worker: "w".parse().unwrap(), at: Timestamp::UNIX_EPOCH, what };
    worker.inbox().publish(run, &InboxMessage::Report(Box::new(report)), "2", None).await.unwrap();
    let delivery = soon("the message", inbox.next()).await.unwrap().unwrap();
    delivery.bury("a test").await.unwrap();
    delivery.ack().await.unwrap();
    assert_eq!((scheduler.dead_letters().count().await.unwrap(), scheduler.inbox().depth(SHARD).await.unwrap()), (1, 0));
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
    let ask = Ask { id: taken.order.id, worker: id.clone(), nonce: "n".to_owned(), what: AskWhat::StartEffects { serial_before: None } };
    let answering = async { soon("the question", asks.next()).await.unwrap().answer(&AskAnswer::Go).await.unwrap() };
    let asking = worker.asks();
    let (answer, ()) = tokio::join!(asking.ask(&ask, GENEROUS), answering);
    assert_eq!(answer.unwrap(), AskAnswer::Go);
    taken.double_ack().await.unwrap();
    assert!(!scheduler.work().is_waiting(ordered.seq).await.unwrap());
    let sent = worker.logs().publish(taken.order.id, 0, "plan", Bytes::from_static(b"x"), None).await.unwrap();
    sent.wait().await.unwrap();
    object_through(&worker).await;
    let stop = StopSignal { id: taken.order.id, mode: StopMode::Interrupt };
    scheduler.control().signal(&id, &stop).await.unwrap();
    assert_eq!(soon("the signal", signals.next()).await, Some(stop));
    worker.fleet().beat(&heartbeat("w", 1)).await.unwrap();
    let mut fleet = scheduler.fleet().watch().await.unwrap();
    eventually("the worker to be seen", || async { scheduler.work().depth(&pool).await.ok() }).await;
    soon("the worker", fleet.next()).await.unwrap();
    worker.fleet().leave(&id).await.unwrap();
    let reply = server.connect("gateway").await.inbox().reply_box().await.unwrap();
    scheduler.inbox().answer(&reply.subject, &CommandAnswer::Done).await.unwrap();
    assert_eq!(soon("the answer", reply.wait(GENEROUS)).await, Some(CommandAnswer::Done));
}

#[tokio::test]
async fn a_worker_cannot_decide_lock_order_or_read_what_is_not_its_business() {
    let server = Guarded::new().await;
    let bus = server.connect("worker").await;
    let run = run();
    denied("decide", bus.run_log().commit(run, 0, b"{}".to_vec(), true).await);
    denied("read decisions", bus.run_log().load(run).await);
    denied("lock", bus.locks().write_all(&[Held { value: held_by(&lock_key("a"), run), revision: 0 }]).await);
    denied("order", bus.work().publish(&order(run)).await);
    denied("read secrets", bus.sealed().get(run).await);
    denied("read keys", bus.keys().get::<u32>("api.1").await);
    denied("write keys", bus.keys().put("sealing.public", &"00").await);
    denied("answer questions", bus.asks().serve(SHARD).await);
    denied("take messages", take_one(&bus).await);
    denied("read logs", bus.logs().next(attempt(run), 0).await);
}

/// A pull is never answered when it is not permitted; it must not look like an empty queue.
async fn take_one(bus: &Bus) -> Result<(), BusError> {
    let mut inbox = bus.inbox().consume(SHARD).await?;
    soon("a refusal", inbox.next()).await.unwrap().map(|_| ())
}
