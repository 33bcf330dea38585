//! The writers, and what each of them was told.

use super::{GATHERED, KEYS, WRITERS};
use crate::support::cluster::Cluster;
use crate::support::words::SHARD;
use bus::{Bus, BusError};
use proto::RunId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// What is written: who wrote it, how many he had written before, and what he expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) writer: usize,
    pub(super) counter: u64,
    pub(super) expected: u64,
}

/// What a writer was told of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Stored, at this sequence.
    Won(u64),
    /// Somebody else was faster; not stored.
    Lost,
    /// Nobody knows.
    Unknown,
    /// Not stored, for another reason.
    NotStored,
}

/// One write and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) key: RunId,
    pub(super) entry: Entry,
    pub(super) answer: Answer,
}

pub(super) struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Told>>>,
}

pub(super) fn key(n: u32) -> RunId {
    RunId::from_repeatable(&["cas", &n.to_string()], SHARD)
}

impl Writers {
    /// Some share a connection, the others have one each.
    pub(super) async fn start(cluster: &Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = cluster.connect().await;
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let bus = if writer < GATHERED { shared.clone() } else { cluster.connect().await };
            tasks.push(tokio::spawn(write(bus, writer, Arc::clone(&stop))));
        }
        Self { stop, tasks }
    }

    pub(super) async fn stop(self) -> Vec<Told> {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Vec::new();
        for task in self.tasks {
            told.extend(task.await.unwrap());
        }
        told
    }
}

async fn write(bus: Bus, writer: usize, stop: Arc<AtomicBool>) -> Vec<Told> {
    let log = bus.run_log();
    let mut told = Vec::new();
    let mut random = super::faults::Random::new(writer as u64 + 1);
    for counter in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Half of all writes want the same key.
        let key = key(if random.below(2) == 0 { 0 } else { 1 + random.below(KEYS) });
        let Ok(expected) = log.last_seq(key).await else { continue };
        let entry = Entry { writer, counter, expected };
        let answer = match log.commit(key, expected, serde_json::to_vec(&entry).unwrap(), true).await {
            Ok(seq) => Answer::Won(seq),
            Err(BusError::Conflict { .. }) => Answer::Lost,
            Err(BusError::Timeout { .. }) => Answer::Unknown,
            Err(BusError::Unavailable { .. }) => Answer::NotStored,
            Err(other) => panic!("an answer that no writer is prepared for: {other:?}"),
        };
        told.push(Told { key, entry, answer });
    }
    told
}
