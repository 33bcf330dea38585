//! Runs that want overlapping sets of locks, over a real nats-server and two schedulers: every set is taken all or none, in
//! one commit, and everybody comes to their turn. What stood in the store is read back write by write.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_debug_implementations,
    dead_code,
    reason = "a test's helpers may give up, are nobody's interface, and serve other tests too"
)]

mod ground;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use bus::Held;
use domain::run::{Entry, Event, Policy, accept};
use futures_util::StreamExt as _;
use ground::{CALM, Ground, once, terraform};
use jiff::Timestamp;
use proto::{
    RunId, codec,
    lock::{LockKey, LockRecord},
    message::Trigger,
    view::RunStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// The bucket's stream.
const STREAM: &str = "KV_LOCKS";

fn key(name: &str) -> LockKey {
    serde_json::from_value(serde_json::json!(format!("git.example/acme/infra/{name}/default"))).unwrap()
}

/// Writes the beginning of a run that wants this set, as a scheduler that died right afterwards would have left it. No
/// request names several directories yet; the run's log can.
async fn wrote(ground: &Ground, trigger: &Trigger, wants: &[LockKey]) {
    let (run, mut events) = accept(trigger, Timestamp::now(), &Policy::default());
    for event in &mut events {
        if let Event::Accepted { locks, .. } = event {
            *locks = wants.to_vec();
        }
    }
    let entry = Entry::new(uuid::Uuid::new_v4().to_string(), Timestamp::now(), events);
    ground.bus.run_log().commit(run.id, 0, codec::encode(&entry).unwrap(), true).await.unwrap();
}

/// Everything that was ever written to the records, one commit after the other.
async fn commits(ground: &Ground) -> Vec<Vec<LockRecord>> {
    let mut stream = ground.raw().await.get_stream(STREAM).await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let mut commits: Vec<(Option<String>, Vec<LockRecord>)> = Vec::new();
    let mut expected = 1;
    while expected <= last {
        let message = messages.next().await.unwrap().unwrap();
        assert_eq!(message.info().unwrap().stream_sequence, expected, "the whole history is there");
        expected += 1;
        let batch = message.headers.as_ref().and_then(|headers| headers.get("Nats-Batch-Id")).map(ToString::to_string);
        let record: LockRecord = serde_json::from_slice(&message.payload).unwrap();
        // The mark that the bucket is whole is no lock.
        if record.key.as_str().starts_with("mark-") {
            continue;
        }
        match commits.last_mut() {
            Some((open, records)) if batch.is_some() && *open == batch => records.push(record),
            _ => commits.push((batch, vec![record])),
        }
    }
    commits.into_iter().map(|(_, records)| records).collect()
}

/// Nobody ever holds a part of what they want, or stands in a part of the lines.
fn all_or_none(commits: &[Vec<LockRecord>], wants: &BTreeMap<RunId, BTreeSet<LockKey>>) {
    let mut now: BTreeMap<LockKey, LockRecord> = BTreeMap::new();
    for records in commits {
        now.extend(records.iter().map(|record| (record.key.clone(), record.clone())));
        for (run, set) in wants {
            let places = |is_there: &dyn Fn(&LockRecord) -> bool| {
                now.values().filter(|record| is_there(record)).map(|record| record.key.clone()).collect::<BTreeSet<_>>()
            };
            let held = places(&|record| record.holder.as_ref().is_some_and(|holder| holder.run == *run));
            let lined = places(&|record| record.queue.iter().any(|waiter| waiter.run == *run));
            for (what, part) in [("holds", &held), ("waits for", &lined)] {
                assert!(part.is_empty() || part == set, "{run} {what} {part:?} of {set:?} after {records:?}");
            }
            assert!(held.is_empty() || lined.is_empty(), "{run} holds and waits after {records:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_sets_are_taken_all_or_none_and_everybody_comes_to_their_turn() {
    let ground = Ground::new().await;
    let raw = ground.raw().await;
    let mut config = raw.get_stream(STREAM).await.unwrap().cached_info().config.clone();
    // So that every write can be read back.
    config.max_messages_per_subject = -1;
    raw.update_stream(config).await.unwrap();

    let sets = [["a", "b"].as_slice(), &["b", "c"], &["c", "a"], &["a", "b", "c"], &["d"], &["d", "a"]];
    let mut wants = BTreeMap::new();
    let mut runs = Vec::new();
    for n in 0..18 {
        let (trigger, set) = (terraform(&format!("w{n}")), sets[n % sets.len()].iter().map(|name| key(name)).collect::<Vec<_>>());
        wrote(&ground, &trigger, &set).await;
        wants.insert(trigger.run, set.into_iter().collect::<BTreeSet<_>>());
        runs.push(trigger);
    }
    let _both = [ground.scheduler(CALM), ground.scheduler(CALM)];
    let work = async { tokio::join!(ground.labour("w1"), ground.labour("w2"), ground.labour("w3")) };
    let story = async {
        for trigger in &runs {
            ground.until_status(trigger.run, RunStatus::Success).await;
        }
    };
    tokio::select! { _ = work => {}, () = story => {} }
    for trigger in &runs {
        let log = ground.log(trigger.run).await;
        once(&log);
        assert_eq!(log.iter().filter(|event| **event == Event::LocksGranted).count(), 1);
    }

    let keys: Vec<LockKey> = ["a", "b", "c", "d"].map(key).to_vec();
    ground::eventually("every lock to be free", || async {
        let records = ground.bus.locks().read(&keys).await.unwrap();
        let is_free = |held: &Held<LockRecord>| held.value.holder.is_none() && held.value.queue.is_empty();
        records.iter().all(is_free).then_some(())
    })
    .await;
    let commits = commits(&ground).await;
    assert!(commits.iter().any(|records| records.len() == 3), "a set of three is one commit");
    all_or_none(&commits, &wants);
}
