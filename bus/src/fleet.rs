//! FLEET: live workers. A heartbeat stays for a minute; a worker that is silent for longer is gone from the list.

use crate::bucket::{Bucket, value_of};
use crate::error::BusError;
use crate::link::Link;
use crate::watch::{BucketWatch, Change};
use proto::message::Heartbeat;
use proto::{WorkerId, subject};

/// The live workers.
#[derive(Debug, Clone)]
pub struct Fleet {
    bucket: Bucket,
}

impl Fleet {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::FLEET) }
    }

    /// A sign of life.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), BusError> {
        self.bucket.put(&subject::worker_key(&heartbeat.worker), heartbeat).await.map(|_| ())
    }

    /// Says goodbye, so that nobody waits for the next heartbeat.
    pub async fn leave(&self, worker: &WorkerId) -> Result<(), BusError> {
        self.bucket.remove(&subject::worker_key(worker), Some("1m")).await
    }

    /// Every worker heard of within the last minute.
    pub async fn list(&self) -> Result<Vec<Heartbeat>, BusError> {
        let mut found: Vec<Heartbeat> = Vec::new();
        for stored in self.bucket.all().await? {
            match value_of(&stored) {
                Ok(heartbeat) => found.extend(heartbeat),
                Err(error) => tracing::warn!(%error, "a heartbeat that cannot be read"),
            }
        }
        Ok(found)
    }

    /// Every worker, then every heartbeat.
    pub async fn watch(&self) -> Result<FleetWatch, BusError> {
        Ok(FleetWatch { watch: BucketWatch::start(self.bucket.clone()).await? })
    }
}

/// What happened in the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// A worker lives.
    Put(Heartbeat),
    /// A worker has left, or was silent for a minute.
    Gone(WorkerId),
    /// Everyone who is there has been told; comes again after a lost connection.
    CaughtUp,
}

/// The fleet being followed.
#[derive(Debug)]
pub struct FleetWatch {
    watch: BucketWatch,
}

impl FleetWatch {
    /// The next event; waits for one, over reconnections. Never `None` while the process lives.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        loop {
            match self.watch.next().await {
                Change::CaughtUp => return Some(FleetEvent::CaughtUp),
                Change::Gone(key) => {
                    if let Some(worker) = key.strip_prefix("worker.").and_then(|name| name.parse().ok()) {
                        return Some(FleetEvent::Gone(worker));
                    }
                }
                Change::Put(stored) => match value_of(&stored) {
                    Ok(Some(heartbeat)) => return Some(FleetEvent::Put(heartbeat)),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "a heartbeat that cannot be read"),
                },
            }
        }
    }
}
