//! What each role must not be able to do: at least nineteen things a role, each tried for real.

use super::abuse::{Abuse, all_refused, listen, say, say_with};
use super::{Guarded, blue, both_pools};
use crate::support::words::{attempt, heartbeat, held_by, lock_key, order, output, run, seat, trigger, view};
use bus::{Held, Output};
use bytes::Bytes;
use proto::message::{Ask, AskWhat, Heartbeat, InboxMessage, JobOrder, Report, ReportWhat, Sealed, StopMode, StopSignal};
use proto::{PoolName, RunId, Seat, codec, subject};

/// A server on which everything is to be found: a run of each pool, with orders, output, artifacts, locks and secrets.
async fn furnished() -> (Guarded, RunId) {
    let (server, run) = (Guarded::new().await, run());
    let (gateway, scheduler, worker, other) =
        (server.gateway().await, server.scheduler().await, server.worker().await, server.blue().await);
    gateway.inbox().publish(run, &trigger(run), "1", None).await.unwrap();
    let sealed = Sealed { key_id: String::new(), encapsulated: String::new(), ciphertext: String::new() };
    gateway.sealed().put(run, &sealed).await.unwrap();
    gateway.keys().create("api.1", &1).await.unwrap();
    scheduler.keys().create("sealing.public", &"00").await.unwrap();
    scheduler.run_log().commit(run, 0, b"{}".to_vec(), true).await.unwrap();
    scheduler.locks().write_all(&[Held { value: held_by(&lock_key("a"), run), revision: 0 }]).await.unwrap();
    scheduler.views().put(&view(run, 1)).await.unwrap();
    for pool in both_pools().pools {
        scheduler.work().publish(&JobOrder { pool, ..order(RunId::fresh(run.shard())) }).await.unwrap();
    }
    for (bus, to) in [(&worker, output(attempt(run))), (&other, Output { id: attempt(run), seat: blue() })] {
        bus.logs().publish(&to, 0, "plan", Bytes::from_static(b"x"), None).await.unwrap().wait().await.unwrap();
        bus.artifacts(&to.seat.pool).put("plan", &b"sealed"[..]).await.unwrap();
        bus.fleet().beat(&Heartbeat { pool: to.seat.pool.clone(), ..heartbeat(to.seat.worker.as_str(), 1) }).await.unwrap();
    }
    (server, run)
}

fn json(message: &impl serde::Serialize) -> String {
    String::from_utf8(codec::encode(message).unwrap()).unwrap()
}

/// What none of the running roles may do.
fn everyone() -> Vec<Abuse> {
    let stream = r#"{"name":"MINE","subjects":["mine.>"]}"#;
    let consumer = r#"{"stream_name":"INBOX","config":{"durable_name":"mine","ack_policy":"explicit","deliver_subject":"mine"}}"#;
    vec![
        say("make a stream", "$JS.API.STREAM.CREATE.MINE", stream),
        say("change a stream", "$JS.API.STREAM.UPDATE.RUNS", r#"{"name":"RUNS","subjects":["run.>"],"max_msgs":1}"#),
        say("delete a stream", "$JS.API.STREAM.DELETE.RUNS", ""),
        say("purge a stream", "$JS.API.STREAM.PURGE.INBOX", ""),
        say("purge a bucket", "$JS.API.STREAM.PURGE.KV_LOCKS", ""),
        say("purge an object store", "$JS.API.STREAM.PURGE.OBJ_ARTIFACTS_default", ""),
        say("take a message out", "$JS.API.STREAM.MSG.DELETE.INBOX", r#"{"seq":1}"#),
        say("copy a stream away", "$JS.API.STREAM.SNAPSHOT.KV_SECRETS", r#"{"deliver_subject":"mine"}"#),
        say("put a stream back", "$JS.API.STREAM.RESTORE.RUNS", "{}"),
        say("move a stream's leader", "$JS.API.STREAM.LEADER.STEPDOWN.RUNS", ""),
        say("move the leader of all", "$JS.API.META.LEADER.STEPDOWN", ""),
        say("throw a server out", "$JS.API.SERVER.REMOVE", r#"{"peer":"n0"}"#),
        say("purge the account", "$JS.API.ACCOUNT.PURGE.$G", ""),
        say("list the streams", "$JS.API.STREAM.LIST", ""),
        say("name the streams", "$JS.API.STREAM.NAMES", ""),
        say("a consumer in the old way", "$JS.API.CONSUMER.DURABLE.CREATE.INBOX.mine", consumer),
        say("a consumer without a name", "$JS.API.CONSUMER.CREATE.INBOX", consumer),
        say("a consumer of the inbox", "$JS.API.CONSUMER.CREATE.INBOX.mine.inbox.>", consumer),
        say("a consumer of artifacts", "$JS.API.CONSUMER.CREATE.OBJ_ARTIFACTS_default.mine.$O.>", consumer),
        say("delete the scheduler's consumer", "$JS.API.CONSUMER.DELETE.INBOX.scheduler-0", ""),
        say("delete the orders' consumer", "$JS.API.CONSUMER.DELETE.WORK.pool-default", ""),
        say("pause a consumer", "$JS.API.CONSUMER.PAUSE.INBOX.scheduler-0", r#"{"pause_until":"2099-01-01T00:00:00Z"}"#),
        say("ask the servers", "$SYS.REQ.SERVER.PING", ""),
        listen("listen to the system", "$SYS.>", "$SYS.x"),
        listen("listen to everything", ">", "anything"),
        listen("listen to all answers", "_INBOX.>", "_INBOX.x"),
        listen("listen to JetStream's events", "$JS.EVENT.>", "$JS.EVENT.x"),
        listen("listen to acknowledgements", "$JS.ACK.>", "$JS.ACK.x"),
        listen("listen to requests", "$JS.API.>", "$JS.API.x"),
        listen("listen to the admin's answers", "_INBOX_admin.>", "_INBOX_admin.x"),
    ]
}

/// What neither of the two that do not decide may do.
fn who_does_not_decide(run: RunId) -> Vec<Abuse> {
    let lock = format!("$KV.LOCKS.{}", lock_key("a").bucket_key());
    let rolled = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")];
    vec![
        say("decide", subject::run(run), "{}"),
        say("order", subject::work(&PoolName::default()), json(&order(run))),
        say("take a lock", lock.clone(), json(&held_by(&lock_key("a"), run))),
        say_with("free a lock", lock, &rolled, ""),
        say("show a run", format!("$KV.VIEWS.{}", subject::view_key(run)), json(&view(run, 9))),
        say_with("hide a run", format!("$KV.VIEWS.{}", subject::view_key(run)), &rolled, ""),
        say("replace the key for secrets", "$KV.KEYS.sealing.public", "\"00\""),
        say("signal a worker", subject::control(&seat("w")), json(&StopSignal { id: attempt(run), mode: StopMode::Kill })),
        say("ring", subject::changed(run), ""),
        say_with("decide instead of what was decided", subject::run(run), &[("Nats-Rollup", "sub")], "{}"),
        say("take a decision out", "$JS.API.STREAM.MSG.DELETE.RUNS", r#"{"seq":1}"#),
        say("take the decisions about a run out", "$JS.API.STREAM.PURGE.RUNS", format!(r#"{{"filter":"{}"}}"#, subject::run(run))),
        say("copy the decisions away", "$JS.API.STREAM.SNAPSHOT.RUNS", r#"{"deliver_subject":"mine"}"#),
        say("a durable consumer of decisions", "$JS.API.CONSUMER.DURABLE.CREATE.RUNS.mine", "{}"),
        say("a consumer of every decision", "$JS.API.CONSUMER.CREATE.RUNS.mine", "{}"),
        say("read decisions by their subject", format!("$JS.API.DIRECT.GET.RUNS.{}", subject::run(run)), ""),
        say("take from the inbox", "$JS.API.CONSUMER.MSG.NEXT.INBOX.scheduler-0", r#"{"batch":1}"#),
        say("settle the inbox", "$JS.ACK.INBOX.scheduler-0.1.1.1.1.0", "+ACK"),
        listen("answer questions", "begin.*.*.*", "begin.0.default.w"),
        listen("hear the scheduler's answers", "_INBOX_scheduler.>", "_INBOX_scheduler.x"),
    ]
}

fn report(run: RunId, seat: &Seat) -> String {
    let Seat { pool, worker } = seat.clone();
    let what = ReportWhat::Phase { phase: "x".to_owned() };
    json(&InboxMessage::Report(Box::new(Report { id: attempt(run), pool, worker, at: proto::Timestamp::UNIX_EPOCH, what })))
}

fn ask(run: RunId, seat: &Seat) -> String {
    let Seat { pool, worker } = seat.clone();
    json(&Ask { id: attempt(run), pool, worker, nonce: "n".to_owned(), what: AskWhat::StartEffects { serial_before: None } })
}

/// What a worker may not do although it would be another worker's right: speak, write or read in `other`'s seat.
fn in_the_seat_of(other: &Seat, run: RunId) -> Vec<Abuse> {
    let key = format!("$KV.FLEET.{}", subject::worker_key(other));
    vec![
        say("report for another", subject::inbox_report(run, other), report(run, other)),
        say("ask for another", subject::begin(run.shard(), other), ask(run, other)),
        say("write another's output", subject::log(other, attempt(run)), "x"),
        say("be alive for another", key.clone(), json(&heartbeat(other.worker.as_str(), 1))),
        say_with("say goodbye for another", key, &[("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")], ""),
        listen("hear another's stop signals", subject::control(other), subject::control(other)),
        listen("hear another's answers", format!("_INBOX_worker.{other}.>"), format!("_INBOX_worker.{other}.x")),
    ]
}

/// Reading what was decided.
fn reading_decisions() -> Vec<Abuse> {
    vec![
        say("read decisions", "$JS.API.STREAM.MSG.GET.RUNS", r#"{"seq":1}"#),
        say("read decisions nearby", "$JS.API.DIRECT.GET.RUNS", r#"{"seq":1}"#),
    ]
}

/// Following what is decided.
fn following_decisions() -> Vec<Abuse> {
    vec![
        say("follow decisions", "$JS.API.CONSUMER.CREATE.RUNS.mine.run.>", "{}"),
        say("take decisions from a consumer", "$JS.API.CONSUMER.MSG.NEXT.RUNS.mine", r#"{"batch":1}"#),
    ]
}

/// What belongs to another pool.
fn of_the_pool(pool: &PoolName) -> Vec<Abuse> {
    let store = subject::artifacts(pool);
    vec![
        say("take another pool's orders", format!("$JS.API.CONSUMER.MSG.NEXT.WORK.pool-{pool}"), r#"{"batch":1}"#),
        say("settle another pool's orders", format!("$JS.ACK.WORK.pool-{pool}.1.1.1.1.0"), "+TERM"),
        say("see another pool's queue", format!("$JS.API.CONSUMER.INFO.WORK.pool-{pool}"), ""),
        say("read another pool's plans", format!("$JS.API.STREAM.MSG.GET.OBJ_{store}"), r#"{"seq":1}"#),
        say("list another pool's plans", format!("$JS.API.STREAM.INFO.OBJ_{store}"), ""),
        say("write into another pool's plans", format!("$O.{store}.C.x"), "x"),
        say_with("remove another pool's plan", format!("$O.{store}.M.cGxhbg=="), &[("Nats-Rollup", "sub")], "{}"),
        listen("hear another pool's signals", format!("control.{pool}.*"), format!("control.{pool}.w")),
    ]
}

/// What a worker may not do, whichever it is.
fn workers(run: RunId) -> Vec<Abuse> {
    vec![
        say("speak for a gateway", subject::inbox(run), json(&trigger(run))),
        say("replace secrets", format!("$KV.SECRETS.{}", subject::secrets_key(run)), "{}"),
        say("make an API key", "$KV.KEYS.api.1", "{}"),
        say("read secrets", "$JS.API.STREAM.MSG.GET.KV_SECRETS", r#"{"seq":1}"#),
        say("read secrets nearby", format!("$JS.API.DIRECT.GET.KV_SECRETS.$KV.SECRETS.{}", subject::secrets_key(run)), ""),
        say("read API keys", "$JS.API.STREAM.MSG.GET.KV_KEYS", r#"{"seq":1}"#),
        say("read locks", "$JS.API.STREAM.MSG.GET.KV_LOCKS", r#"{"seq":1}"#),
        say("read triggers", "$JS.API.STREAM.MSG.GET.INBOX", r#"{"seq":1}"#),
        say("read any order", "$JS.API.STREAM.MSG.GET.WORK", r#"{"seq":1}"#),
        say("read output", "$JS.API.DIRECT.GET.LOGS", r#"{"seq":1}"#),
        say("look at a stream", "$JS.API.STREAM.INFO.RUNS", ""),
        say("follow the fleet", "$JS.API.CONSUMER.CREATE.KV_FLEET.mine.$KV.FLEET.>", "{}"),
        listen("hear output", "stored.log.>", "stored.log.x"),
        listen("hear what runs change", "changed.*", "changed.x"),
        listen("hear all workers' signals", "control.>", "control.x.y"),
        listen("hear all workers' answers", "_INBOX_worker.>", "_INBOX_worker.gpu.red.x"),
        listen("hear a gateway's answers", "_INBOX_gateway.>", "_INBOX_gateway.x"),
        say("answer a gateway", "_INBOX_gateway.x", "{}"),
    ]
}

fn enough(abuses: &[Abuse]) {
    assert!(abuses.len() >= 19, "{}", abuses.len());
}

#[tokio::test]
async fn a_gateway_gets_nowhere_with_what_is_not_its_business() {
    let (server, run) = furnished().await;
    let mut abuses = everyone();
    abuses.extend(who_does_not_decide(run));
    abuses.extend(following_decisions());
    abuses.extend(in_the_seat_of(&seat("w"), run));
    abuses.extend([
        say("read orders", "$JS.API.STREAM.MSG.GET.WORK", r#"{"seq":1}"#),
        say("take orders", "$JS.API.CONSUMER.MSG.NEXT.WORK.pool-default", r#"{"batch":1}"#),
        say("write a plan", "$O.ARTIFACTS_default.C.x", "x"),
        say("follow API keys", "$JS.API.CONSUMER.CREATE.KV_KEYS.mine.$KV.KEYS.>", "{}"),
        say("answer a worker", "_INBOX_worker.default.w.x", "{}"),
    ]);
    enough(&abuses);
    all_refused(&server, "gateway", "_INBOX_gateway", &abuses).await;
}

#[tokio::test]
async fn a_scheduler_gets_nowhere_with_what_is_not_its_business() {
    let (server, run) = furnished().await;
    let mut abuses = everyone();
    abuses.extend(in_the_seat_of(&seat("w"), run).into_iter().filter(|abuse| !abuse.subject.starts_with("_INBOX")));
    abuses.extend([
        say("accept a run by itself", subject::inbox(run), json(&trigger(run))),
        say("make an API key", "$KV.KEYS.api.2", "{}"),
        say("record a delivery", "$KV.DELIVERIES.a.b.c", "{}"),
        say("say which run a deployment is", "$KV.DEPLOYMENTS.a.b", "{}"),
        say("use up a nonce", "$KV.NONCES.nonce.a", "true"),
        say("write a plan", "$O.ARTIFACTS_default.C.x", "x"),
        say("read a plan", "$JS.API.STREAM.MSG.GET.OBJ_ARTIFACTS_default", r#"{"seq":1}"#),
        say("read output", "$JS.API.DIRECT.GET.LOGS", r#"{"seq":1}"#),
        say("read output from its leader", "$JS.API.STREAM.MSG.GET.LOGS", r#"{"seq":1}"#),
        say("take orders", "$JS.API.CONSUMER.MSG.NEXT.WORK.pool-default", r#"{"batch":1}"#),
        say("settle orders", "$JS.ACK.WORK.pool-default.1.1.1.1.0", "+ACK"),
        listen("hear a gateway's answers", "_INBOX_gateway.>", "_INBOX_gateway.x"),
        listen("hear the workers' answers", "_INBOX_worker.>", "_INBOX_worker.default.w.x"),
        listen("hear output", "stored.log.>", "stored.log.x"),
    ]);
    enough(&abuses);
    all_refused(&server, "scheduler", "_INBOX_scheduler", &abuses).await;
}

#[tokio::test]
async fn a_worker_gets_nowhere_with_what_is_not_its_business() {
    let (server, run) = furnished().await;
    let mut abuses = everyone();
    abuses.extend(who_does_not_decide(run));
    abuses.extend(workers(run));
    abuses.extend(reading_decisions());
    abuses.extend(following_decisions());
    abuses.extend(in_the_seat_of(&blue(), run));
    abuses.extend(of_the_pool(&blue().pool));
    enough(&abuses);
    all_refused(&server, "worker.default", "_INBOX_worker.default.w", &abuses).await;
}

#[tokio::test]
async fn a_worker_with_a_user_of_its_own_gets_nowhere_in_another_pool_nor_in_another_s_name() {
    let (server, run) = furnished().await;
    let red = Seat::of_tokens("gpu", "red").unwrap();
    let mut abuses = everyone();
    abuses.extend(who_does_not_decide(run));
    abuses.extend(workers(run));
    abuses.extend(reading_decisions());
    abuses.extend(following_decisions());
    abuses.extend(in_the_seat_of(&seat("w"), run));
    abuses.extend(in_the_seat_of(&red, run));
    abuses.extend(of_the_pool(&PoolName::default()));
    enough(&abuses);
    all_refused(&server, "worker.gpu.blue", "_INBOX_worker.gpu.blue", &abuses).await;
}

#[tokio::test]
async fn the_admin_brings_about_the_layout_and_touches_nothing_that_is_stored() {
    let (server, run) = furnished().await;
    let creates = ["make a stream", "change a stream", "a consumer of the inbox", "listen to the admin's answers"];
    let mut abuses: Vec<Abuse> = everyone().into_iter().filter(|abuse| !creates.contains(&abuse.what.as_str())).collect();
    abuses.extend(who_does_not_decide(run).into_iter().filter(|abuse| abuse.what != "take from the inbox"));
    abuses.extend(reading_decisions());
    abuses.extend(in_the_seat_of(&seat("w"), run));
    abuses.push(say("take from the inbox", "$JS.API.CONSUMER.MSG.NEXT.INBOX.scheduler-0", r#"{"batch":1}"#));
    enough(&abuses);
    all_refused(&server, "admin", "_INBOX_admin", &abuses).await;
}
