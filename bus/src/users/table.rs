//! The table: what each role may publish and subscribe to, and what for. A subject that is not here is refused.
//!
//! `$JS.API` is JetStream's own API: each of its requests is a subject with the name of its stream in it. Only the admin's
//! list has one that creates or updates a stream; nobody's has one that deletes or purges one, takes a message out, or moves
//! a leader.

use super::{Permissions, Role};
use crate::layout::{bucket_stream, object_stream};
use proto::{PoolName, Seat, WorkerId, subject};

type Group = (&'static str, Vec<String>);

fn group<const N: usize>(what_for: &'static str, subjects: [&str; N]) -> Group {
    (what_for, subjects.map(str::to_owned).to_vec())
}

/// Requests to JetStream about these streams.
fn api(what_for: &'static str, request: &str, streams: &[String]) -> Group {
    (what_for, streams.iter().map(|stream| format!("$JS.API.{request}.{stream}")).collect())
}

/// Listing a stream through a consumer that exists only for that: see `crate::scan`.
fn listing(stream: &str, subjects: &str) -> Vec<String> {
    vec![
        format!("$JS.API.CONSUMER.CREATE.{stream}.*.{subjects}"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"),
        format!("$JS.API.CONSUMER.INFO.{stream}.*"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.*"),
    ]
}

fn listing_buckets(what_for: &'static str, buckets: &[&str]) -> Group {
    (what_for, buckets.iter().flat_map(|bucket| listing(&bucket_stream(bucket), &format!("$KV.{bucket}.>"))).collect())
}

fn inbox(of: &str) -> Group {
    ("its own answers", vec![format!("{of}.>")])
}

fn buckets<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(bucket_stream).to_vec()
}

fn stores(pools: &[PoolName]) -> Vec<String> {
    pools.iter().map(|pool| object_stream(&subject::artifacts(pool))).collect()
}

fn joined(parts: &[Vec<String>]) -> Vec<String> {
    parts.concat()
}

/// `navvy admin migrate`: creates and updates, and looks whether runs are open.
pub(super) fn admin() -> Permissions {
    let runs = listing(subject::RUNS, "run.>");
    Permissions {
        publish: vec![
            group("look at the layout", ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"]),
            group("bring it about", ["$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*"]),
            group("its consumers", ["$JS.API.CONSUMER.CREATE.INBOX.>", "$JS.API.CONSUMER.CREATE.WORK.>"]),
            ("see which runs are open", runs),
        ],
        subscribe: vec![inbox(&Role::Admin.inbox())],
    }
}

pub(super) fn gateway(pools: &[PoolName]) -> Permissions {
    let streams = [subject::INBOX, subject::RUNS, subject::WORK, subject::LOGS, subject::DEAD].map(str::to_owned).to_vec();
    let own = buckets([subject::DELIVERIES, subject::DEPLOYMENTS, subject::NONCES]);
    let shared =
        buckets([subject::LOCKS, subject::VIEWS, subject::FLEET, subject::SECRETS, subject::KEYS, subject::NOTICES, subject::SERVICES]);
    let kept = joined(&[shared, own]);
    let read = buckets([
        subject::LOCKS,
        subject::VIEWS,
        subject::SECRETS,
        subject::KEYS,
        subject::NOTICES,
        subject::SERVICES,
        subject::DELIVERIES,
        subject::DEPLOYMENTS,
    ]);
    let read_from = [subject::INBOX, subject::RUNS, subject::LOGS].map(str::to_owned).to_vec();
    Permissions {
        publish: vec![
            group("triggers and commands", ["inbox.*.*"]),
            group("sealed secrets, API keys and their last use", ["$KV.SECRETS.run.*", "$KV.KEYS.api.*", "$KV.KEYS.used.*"]),
            group("what was told outside", ["$KV.NOTICES.*.*"]),
            group(
                "what webhooks brought, which run a deployment is, nonces",
                ["$KV.DELIVERIES.*.*.*", "$KV.DEPLOYMENTS.*.*", "$KV.NONCES.nonce.*"],
            ),
            group("is NATS there", ["$JS.API.INFO"]),
            api("look at the layout", "STREAM.INFO", &joined(&[streams, kept, stores(pools)])),
            group("how long are the queues", ["$JS.API.CONSUMER.INFO.INBOX.*", "$JS.API.CONSUMER.INFO.WORK.*"]),
            api("read", "STREAM.MSG.GET", &joined(&[read_from, read, stores(pools)])),
            group(
                "read output, decisions, what nobody could handle, and lists of what is its own",
                [
                    "$JS.API.DIRECT.GET.LOGS",
                    "$JS.API.DIRECT.GET.RUNS",
                    "$JS.API.DIRECT.GET.DEAD",
                    "$JS.API.DIRECT.GET.KV_DELIVERIES",
                    "$JS.API.DIRECT.GET.KV_DEPLOYMENTS",
                ],
            ),
            listing_buckets("list and follow", &[subject::VIEWS, subject::FLEET, subject::LOCKS, subject::NOTICES, subject::SERVICES]),
        ],
        subscribe: vec![inbox(&Role::Gateway.inbox()), group("something is new", ["stored.log.>", "changed.*"])],
    }
}

pub(super) fn scheduler(pools: &[PoolName]) -> Permissions {
    let read = joined(&[
        [subject::INBOX, subject::RUNS, subject::WORK].map(str::to_owned).to_vec(),
        buckets([subject::LOCKS, subject::VIEWS, subject::SECRETS, subject::KEYS, subject::SERVICES]),
    ]);
    let streams = joined(&[
        [subject::INBOX, subject::RUNS, subject::WORK, subject::LOGS, subject::DEAD].map(str::to_owned).to_vec(),
        buckets([subject::LOCKS, subject::VIEWS, subject::FLEET, subject::SECRETS, subject::KEYS, subject::NOTICES, subject::SERVICES]),
        buckets([subject::DELIVERIES, subject::DEPLOYMENTS, subject::NONCES]),
        stores(pools),
    ]);
    let mut list = listing_buckets("list and follow", &[subject::LOCKS, subject::VIEWS, subject::FLEET, subject::SECRETS]);
    list.1.extend(listing(subject::RUNS, "run.*.*"));
    Permissions {
        publish: vec![
            group("decisions, orders, stop signals, bells", ["run.*.*", "work.*.*", "control.*.*", "changed.*"]),
            group("answers", ["_INBOX_gateway.>", "_INBOX_worker.>"]),
            group(
                "locks, views, the end of secrets, its key, how services stand",
                ["$KV.LOCKS.>", "$KV.VIEWS.run.*", "$KV.VIEWS.jobs.*.*", "$KV.SECRETS.run.*", "$KV.KEYS.sealing.public", "$KV.SERVICES.>"],
            ),
            group("what nobody could handle", ["dead.INBOX"]),
            group("its inbox", ["$JS.API.CONSUMER.MSG.NEXT.INBOX.*", "$JS.ACK.INBOX.*.>"]),
            group("is NATS there", ["$JS.API.INFO"]),
            api("look at the layout", "STREAM.INFO", &streams),
            group("how long are the queues", ["$JS.API.CONSUMER.INFO.INBOX.*", "$JS.API.CONSUMER.INFO.WORK.*"]),
            api("read", "STREAM.MSG.GET", &read),
            group("read decisions", ["$JS.API.DIRECT.GET.RUNS"]),
            list,
        ],
        subscribe: vec![inbox(&Role::Scheduler.inbox()), group("questions of workers", ["begin.*.*.*"])],
    }
}

/// A worker of a pool: of any name, or of this one.
pub(super) fn worker(pool: &PoolName, name: Option<&WorkerId>) -> Permissions {
    let seat = match name {
        Some(worker) => Seat { pool: pool.clone(), worker: worker.clone() }.to_string(),
        None => format!("{pool}.*"),
    };
    let (store, consumer) = (subject::artifacts(pool), subject::pool_consumer(pool));
    let inbox_of_seats = match name {
        Some(_) => format!("_INBOX_worker.{seat}.>"),
        None => format!("_INBOX_worker.{pool}.>"),
    };
    let one = |what_for, subject: String| (what_for, vec![subject]);
    Permissions {
        publish: vec![
            one("its reports", format!("inbox.*.*.{}.{seat}", subject::REPORT)),
            one("its questions", format!("begin.*.{seat}")),
            one("its output", format!("log.{seat}.*.*.*")),
            one("its sign of life", format!("$KV.FLEET.worker.{seat}")),
            ("the pool's plans and archived logs", vec![format!("$O.{store}.C.*"), format!("$O.{store}.M.*")]),
            (
                "read them",
                vec![format!("$JS.API.STREAM.MSG.GET.{}", object_stream(&store)), format!("$JS.API.STREAM.INFO.{}", object_stream(&store))],
            ),
            (
                "the pool's orders, and those that cannot be read",
                vec![
                    "dead.WORK".to_owned(),
                    format!("$JS.API.CONSUMER.MSG.NEXT.WORK.{consumer}"),
                    format!("$JS.ACK.WORK.{consumer}.>"),
                    format!("$JS.API.CONSUMER.INFO.WORK.{consumer}"),
                ],
            ),
            group("is NATS there", ["$JS.API.INFO"]),
        ],
        subscribe: vec![("its own answers", vec![inbox_of_seats]), one("its stop signals", format!("control.{seat}"))],
    }
}
