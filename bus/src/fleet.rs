//! FLEET: live workers. A heartbeat stays for a minute; a worker that is silent for longer is gone from the list.

use crate::bucket::{Bucket, value_of};
use crate::error::BusError;
use crate::link::Link;
use crate::scan::Stored;
use crate::watch::{BucketWatch, Change};
use proto::message::Heartbeat;
use proto::{Seat, subject};

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
        self.bucket.put(&subject::worker_key(&heartbeat.seat()), heartbeat).await.map(|_| ())
    }

    /// Says goodbye, so that nobody waits for the next heartbeat.
    pub async fn leave(&self, seat: &Seat) -> Result<(), BusError> {
        self.bucket.remove(&subject::worker_key(seat), Some("1m")).await
    }

    /// Every worker heard of within the last minute.
    pub async fn list(&self) -> Result<Vec<Heartbeat>, BusError> {
        Ok(self.bucket.all().await?.iter().filter_map(|stored| self.bucket.heartbeat(stored)).collect())
    }

    /// Every worker, then every heartbeat.
    pub async fn watch(&self) -> Result<FleetWatch, BusError> {
        Ok(FleetWatch { watch: BucketWatch::start(self.bucket.clone(), ">").await?, bucket: self.bucket.clone() })
    }
}

/// What happened in the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// A worker lives.
    Put(Heartbeat),
    /// A worker has left, or was silent for a minute.
    Gone(Seat),
    /// Everyone who is there has been told; comes again after a lost connection.
    CaughtUp,
}

/// The fleet being followed.
#[derive(Debug)]
pub struct FleetWatch {
    watch: BucketWatch,
    bucket: Bucket,
}

impl Bucket {
    /// A worker's heartbeat. One that stands under another worker's key is a forgery and counts for nothing: NATS permits a
    /// worker to write only its own key.
    fn heartbeat(&self, stored: &Stored) -> Option<Heartbeat> {
        match value_of::<Heartbeat>(stored) {
            Ok(Some(heartbeat)) if subject::worker_key(&heartbeat.seat()) == self.key(&stored.subject) => Some(heartbeat),
            Ok(Some(_)) => {
                tracing::warn!(subject = stored.subject, "a heartbeat under another worker's key counts for nothing");
                None
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "a heartbeat that cannot be read");
                None
            }
        }
    }
}

impl FleetWatch {
    /// The next event; waits for one, over reconnections. Never `None` while the process lives.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        loop {
            match self.watch.next().await {
                Change::CaughtUp => return Some(FleetEvent::CaughtUp),
                Change::Gone(key) => {
                    if let Some(seat) = subject::seat_of_worker_key(&key) {
                        return Some(FleetEvent::Gone(seat));
                    }
                }
                Change::Put(stored) => {
                    if let Some(heartbeat) = self.bucket.heartbeat(&stored) {
                        return Some(FleetEvent::Put(heartbeat));
                    }
                }
            }
        }
    }
}
