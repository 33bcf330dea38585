//! Following a bucket: everything that is there, then every change, for ever.
//!
//! After a lost connection, a restarted server or a forgotten consumer everything is listed again, so that no change is
//! missed; keys that went away meanwhile are told. What is held in memory is one batch of messages and the names of the keys.

use crate::bucket::{Bucket, is_marker};
use crate::error::BusError;
use crate::pull::{Pulled, Puller};
use crate::scan::{BATCH, Filter, Stored, from_delivery, reading_consumer};
use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

/// How long one pull waits; shorter than the server remembers a consumer nobody reads.
const WAIT: Duration = Duration::from_secs(30);
/// The same while listing. Keys that expire while they are listed never come; then this ends the listing.
const LISTING_WAIT: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After a refusal: only a change of the configuration helps, and who watches has been told by the connection.
const DENIED_PAUSE: Duration = Duration::from_secs(30);

/// What a bucket did.
#[derive(Debug)]
pub(crate) enum Change {
    /// A key has this value now.
    Put(Stored),
    /// A key is gone.
    Gone(String),
    /// Everything that was there at the beginning, or at a new listing, has been told.
    CaughtUp,
}

/// A bucket being followed.
#[derive(Debug)]
pub(crate) struct BucketWatch {
    bucket: Bucket,
    /// Which keys: `>` is all.
    keys: &'static str,
    listing: Option<Listing>,
    /// Key to the revision told last.
    known: HashMap<String, u64>,
    ready: VecDeque<Change>,
    pause: Duration,
}

/// One consumer's life.
#[derive(Debug)]
struct Listing {
    puller: Puller,
    /// Whether everything that was there has been told.
    caught_up: bool,
    /// Keys that were known before and have not been listed again yet.
    missing: HashMap<String, u64>,
}

impl BucketWatch {
    /// Fails only if it cannot even begin; later it heals itself.
    pub(crate) async fn start(bucket: Bucket, keys: &'static str) -> Result<Self, BusError> {
        let mut watch = Self { bucket, keys, listing: None, known: HashMap::new(), ready: VecDeque::new(), pause: SHORTEST_PAUSE };
        watch.list().await?;
        Ok(watch)
    }

    /// The next change. May be dropped and called again without losing one.
    pub(crate) async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return change;
            }
            if let Err(error) = self.step().await {
                tracing::debug!(bucket = self.bucket.name, %error, "listing again");
                self.listing = None;
                tokio::time::sleep(if error.is_denied() { DENIED_PAUSE } else { self.pause }).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn step(&mut self) -> Result<(), BusError> {
        let Some(listing) = &mut self.listing else { return self.list().await };
        let wait = if listing.caught_up { WAIT } else { LISTING_WAIT };
        match listing.puller.next(wait).await? {
            Pulled::Nothing => self.caught_up(),
            Pulled::Reconnected => self.listing = None,
            Pulled::Message(message) => {
                let (stored, to_come) = from_delivery(&message)?;
                self.pause = SHORTEST_PAUSE;
                self.tell(stored);
                if to_come == 0 {
                    self.caught_up();
                }
            }
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), BusError> {
        let stream = self.bucket.stream();
        let subjects = self.bucket.subject(self.keys);
        let filter = Filter { stream: &stream, subjects: &subjects, headers_only: false };
        let (name, to_come) = reading_consumer(&self.bucket.link, filter).await?;
        let puller = Puller::reading(&self.bucket.link, &stream, &name, BATCH).await?;
        self.listing = Some(Listing { puller, caught_up: false, missing: self.known.clone() });
        if to_come == 0 {
            self.caught_up();
        }
        Ok(())
    }

    fn tell(&mut self, stored: Stored) {
        let key = self.bucket.key(&stored.subject).to_owned();
        if let Some(listing) = &mut self.listing {
            listing.missing.remove(&key);
        }
        let known = self.known.get(&key).copied();
        if is_marker(&stored) {
            if known.is_some() {
                self.known.remove(&key);
                self.ready.push_back(Change::Gone(key));
            }
        } else if known != Some(stored.seq) {
            self.known.insert(key, stored.seq);
            self.ready.push_back(Change::Put(stored));
        }
    }

    fn caught_up(&mut self) {
        let Some(listing) = self.listing.as_mut().filter(|l| !l.caught_up) else { return };
        listing.caught_up = true;
        for (key, _) in std::mem::take(&mut listing.missing) {
            self.known.remove(&key);
            self.ready.push_back(Change::Gone(key));
        }
        self.ready.push_back(Change::CaughtUp);
    }
}
