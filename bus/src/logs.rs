//! LOGS: output of attempts, in chunks that know their offset. Written without waiting, read one chunk after the other;
//! readers are woken when something new has been stored.

use crate::error::{BusError, Op};
use crate::layout::STORED_PREFIX;
use crate::link::{Link, PATIENCE, headers};
use crate::scan::Stored;
use async_nats::Subscriber;
use async_nats::jetstream::context::PublishAckFuture;
use bytes::Bytes;
use futures_util::StreamExt as _;
use proto::ids::AttemptId;
use proto::log::{END_HEADER, OFFSET_HEADER, PHASE_HEADER};
use proto::{PoolName, RunId, Seat, WorkerId, subject};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Output of attempts.
#[derive(Debug, Clone)]
pub struct Logs {
    link: Link,
}

/// Whose output is written: the attempt, and the worker that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub id: AttemptId,
    pub seat: Seat,
}

/// Whose output is read: the attempt, the pool of its run, and the worker that has its permit, once that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub id: AttemptId,
    pub pool: PoolName,
    pub worker: Option<WorkerId>,
}

/// A part of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Sequence in the stream: where to go on from.
    pub seq: u64,
    /// Offset of the first byte in the attempt's log. Chunks may overlap when one was sent again: go by the offset.
    pub offset: u64,
    /// The phase that wrote it.
    pub phase: String,
    pub bytes: Bytes,
    /// On the last one: the length of the whole log in bytes.
    pub end: Option<u64>,
}

impl Logs {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Sends a chunk and returns before it is stored. How many may be under way is the caller's to say.
    pub async fn publish(&self, to: &Output, offset: u64, phase: &str, bytes: Bytes, end: Option<u64>) -> Result<PendingAck, BusError> {
        let subject = subject::log(&to.seat, to.id);
        let op = Op("publish to", &subject);
        if phase.chars().any(char::is_control) {
            return Err(BusError::invalid(op, "a phase is a text without control characters"));
        }
        let mut headers = headers(&[(OFFSET_HEADER, &offset.to_string()), (PHASE_HEADER, phase)]);
        if let Some(end) = end {
            headers.insert(END_HEADER, end.to_string().as_str());
        }
        let sent_at = Instant::now();
        let sent = self.link.publish_sent(op, headers, bytes).await?;
        Ok(PendingAck { link: self.link.clone(), subject, sent, sent_at })
    }

    /// The next chunk of an attempt after a stream sequence (0: from the beginning), or `None` if nothing newer is stored.
    /// `None` is the leader's word, so that a reader who was woken does not fall asleep over a follower that lags.
    ///
    /// Only what the attempt's own worker wrote is found; where it is not known yet, what any worker of its pool wrote.
    pub async fn next(&self, of: &Written, after_seq: u64) -> Result<Option<LogChunk>, BusError> {
        let subject = match &of.worker {
            Some(worker) => subject::log(&Seat { pool: of.pool.clone(), worker: worker.clone() }, of.id),
            None => subject::log_of_pool(&of.pool, of.id),
        };
        let from = after_seq.saturating_add(1);
        let stored = match self.link.near(subject::LOGS, &subject, from).await? {
            Some(stored) => Some(stored),
            None if self.link.is_clustered() => self.link.first_from(subject::LOGS, &subject, from).await?,
            None => None,
        };
        stored.map(chunk).transpose()
    }

    /// Wakes whenever something of a run was stored: output, or what the API shows of it.
    pub async fn wake(&self, run: RunId) -> Result<Wake, BusError> {
        let stored = format!("{STORED_PREFIX}{}", subject::logs_of_run(run));
        let output = self.link.subscribe(Op("listen to", &stored), None).await?;
        let changed = subject::changed(run);
        let views = self.link.subscribe(Op("listen to", &changed), None).await?;
        Ok(Wake::start(Some(output), views, self.link.clone()))
    }
}

fn chunk(stored: Stored) -> Result<LogChunk, BusError> {
    let number = |name: &str| stored.header(name).map(str::parse::<u64>);
    let corrupt = || BusError::corrupt(Op("read", &stored.subject), format!("the headers of the chunk at {} are wrong", stored.seq));
    let offset = number(OFFSET_HEADER).and_then(Result::ok).ok_or_else(corrupt)?;
    let end = number(END_HEADER).transpose().map_err(|_| corrupt())?;
    let phase = stored.header(PHASE_HEADER).unwrap_or_default().to_owned();
    Ok(LogChunk { seq: stored.seq, offset, phase, bytes: stored.payload, end })
}

/// A chunk that was sent.
pub struct PendingAck {
    link: Link,
    subject: String,
    sent: PublishAckFuture,
    sent_at: Instant,
}

impl fmt::Debug for PendingAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAck").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl PendingAck {
    /// Stored. [`BusError::Timeout`]: perhaps; sending it again is harmless, readers go by the offset.
    pub async fn wait(self) -> Result<(), BusError> {
        let op = Op("publish to", &self.subject);
        let acked = async { self.sent.await.map(|_| ()).map_err(|error| self.link.publish_failed(op, &error)) };
        self.link.bounded_since(op, self.sent_at, self.sent_at + PATIENCE, acked).await
    }
}

/// A bell that rings when something of a run was stored, and after a reconnection, because what rang meanwhile is lost.
/// Several rings before anybody listens are one.
#[derive(Debug)]
pub struct Wake {
    bell: Arc<Notify>,
    /// What the API shows of the run may have changed since it was last asked.
    changed: Arc<AtomicBool>,
    ringers: [JoinHandle<()>; 2],
}

impl Wake {
    /// Without `output` it rings only when what the API shows has changed.
    pub(crate) fn start(output: Option<Subscriber>, views: Subscriber, link: Link) -> Self {
        let bell = Arc::new(Notify::new());
        let changed = Arc::new(AtomicBool::new(false));
        let stored = tokio::spawn(ring_when_stored(output, views, Arc::clone(&bell), Arc::clone(&changed)));
        let reconnected = tokio::spawn(ring_when_reconnected(link, Arc::clone(&bell), Arc::clone(&changed)));
        Self { bell, changed, ringers: [stored, reconnected] }
    }

    /// Whether what the API shows of the run may have changed since this was last asked; else only output was stored.
    pub fn run_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Returns at the next ring, or at once if it rang since the last call.
    pub async fn notified(&mut self) {
        self.bell.notified().await;
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        for ringer in &self.ringers {
            ringer.abort();
        }
    }
}

/// Reads at once, whoever listens or not: nothing may pile up.
async fn ring_when_stored(mut output: Option<Subscriber>, mut views: Subscriber, bell: Arc<Notify>, changed: Arc<AtomicBool>) {
    loop {
        let more = tokio::select! {
            message = next_of(&mut output) => message.is_some(),
            message = views.next() => {
                changed.store(true, Ordering::Relaxed);
                message.is_some()
            }
        };
        bell.notify_one();
        if !more {
            return;
        }
    }
}

async fn next_of(output: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match output {
        Some(output) => output.next().await,
        None => std::future::pending().await,
    }
}

async fn ring_when_reconnected(link: Link, bell: Arc<Notify>, changed: Arc<AtomicBool>) {
    let mut epoch = link.signs.epoch();
    while epoch.changed().await.is_ok() {
        // The connection is told before the subscriptions on it are made again. Only an answer that comes after them
        // says that from now on nothing is missed; what came before is looked for after the ring.
        while let Err(error) = link.round_trip().await {
            if error.is_denied() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        changed.store(true, Ordering::Relaxed);
        bell.notify_one();
    }
}
