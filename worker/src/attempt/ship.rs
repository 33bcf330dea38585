//! Sends an attempt's log while it grows. The file is the buffer: the tool never waits for the network, a lost connection
//! loses nothing, and memory stays flat. A chunk whose answer was lost is sent again; readers know it by its offset.

use super::folder::{Folder, PhaseMark, phase_at};
use crate::crew::Crew;
use bus::{Bus, BusError, Output, PendingAck};
use bytes::Bytes;
use proto::log::CHUNK_BYTES;
use service::metrics::WorkerMetrics;
use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Chunks on their way at a time (`nats.md` section 4).
const WINDOW: usize = 8;
/// A quiet log is sent at once; a busy one in chunks of up to this much time.
const LINGER: Duration = Duration::from_millis(25);
/// The file is looked at even if nobody says that it has grown.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// While a log is busy, how far it is stored is written down only so often, in bytes: a worker that starts again sends at
/// most this much twice.
const NOTE_EVERY: u64 = 1 << 20;

/// What the shipper and those who write the log tell one another.
#[derive(Debug, Default)]
pub(crate) struct Shipping {
    grown: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    marks: Vec<PhaseMark>,
    /// The log's final length, once it is known.
    end: Option<u64>,
}

impl Shipping {
    pub(crate) fn resumed(marks: Vec<PhaseMark>) -> Self {
        Self { grown: Notify::new(), state: Mutex::new(State { marks, end: None }) }
    }

    pub(crate) fn grown(&self) {
        self.grown.notify_one();
    }

    pub(crate) fn mark(&self, mark: PhaseMark) {
        self.lock().marks.push(mark);
    }

    pub(crate) fn marks(&self) -> Vec<PhaseMark> {
        self.lock().marks.clone()
    }

    /// Nothing will be written any more.
    pub(crate) fn end(&self, len: u64) {
        self.lock().end = Some(len);
        self.grown.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends one attempt's log.
#[derive(Debug)]
pub(crate) struct Shipper {
    bus: Bus,
    to: Output,
    metrics: WorkerMetrics,
    folder: Folder,
    shipping: Arc<Shipping>,
}

impl Shipper {
    pub(crate) fn new(crew: &Crew, folder: &Folder, shipping: Arc<Shipping>) -> Self {
        let to = Output { id: folder.id, seat: crew.seat.clone() };
        Self { bus: crew.bus.clone(), to, metrics: crew.metrics.clone(), folder: folder.clone(), shipping }
    }

    /// Sends until the end has been sent and everything is stored. Where NATS does not permit it, the log stays in its file
    /// and is archived with the end of the attempt: it never holds up a result.
    pub(crate) async fn run(self) {
        let id = self.folder.id;
        let mut acked = self.folder.shipped();
        loop {
            match self.send_from(acked, &mut acked).await {
                Ok(()) => return,
                Err(ShipError::Bus(error)) if error.is_denied() => {
                    tracing::error!(attempt = %id, %error, "the log may not be sent; it is in the attempt's folder");
                    return;
                }
                Err(error) => {
                    tracing::debug!(attempt = %id, %error, "the log could not be sent; trying again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// Sends everything from `from` on; `acked` is how far it is stored.
    async fn send_from(&self, from: u64, acked: &mut u64) -> Result<(), ShipError> {
        let mut sent = from;
        let mut window: VecDeque<(u64, PendingAck)> = VecDeque::new();
        let mut last_sent: Option<Instant> = None;
        let mut log = None;
        loop {
            let len = self.length(&mut log)?;
            let end = self.shipping.lock().end;
            if sent < len {
                let full = len - sent >= CHUNK_BYTES as u64;
                if let (false, None, Some(last)) = (full, end, last_sent)
                    && last.elapsed() < LINGER
                {
                    tokio::time::sleep_until(last + LINGER).await;
                    continue;
                }
                let (phase, bytes) = self.read(log.as_ref(), sent, len)?;
                let next = sent + bytes.len() as u64;
                self.metrics.logged(bytes.len() as u64);
                window.push_back((next, self.publish(sent, &phase, bytes, None).await?));
                sent = next;
                last_sent = Some(Instant::now());
                if window.len() >= WINDOW {
                    self.settle(&mut window, acked, WINDOW / 2).await?;
                }
                continue;
            }
            self.settle(&mut window, acked, 0).await?;
            if end.is_some_and(|end| sent >= end) {
                let (phase, _) = owned(phase_at(&self.shipping.marks(), sent));
                return Ok(self.publish(sent, &phase, Bytes::new(), Some(sent)).await?.wait().await?);
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.shipping.grown.notified()).await;
        }
    }

    async fn publish(&self, offset: u64, phase: &str, bytes: Bytes, end: Option<u64>) -> Result<PendingAck, BusError> {
        self.bus.logs().publish(&self.to, offset, phase, bytes, end).await
    }

    /// Waits until no more than `keep` chunks are on their way.
    async fn settle(&self, window: &mut VecDeque<(u64, PendingAck)>, acked: &mut u64, keep: usize) -> Result<(), ShipError> {
        if window.len() <= keep {
            return Ok(());
        }
        let before = *acked;
        while window.len() > keep {
            let Some((offset, pending)) = window.pop_front() else { break };
            pending.wait().await?;
            *acked = offset;
        }
        if window.is_empty() || before / NOTE_EVERY != *acked / NOTE_EVERY {
            self.folder.note_shipped(*acked);
        }
        Ok(())
    }

    /// The log's length; opens it as soon as it is there. It is only ever appended to, so one handle serves to the end.
    fn length(&self, log: &mut Option<File>) -> io::Result<u64> {
        if log.is_none() {
            *log = match File::open(self.folder.log()) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        log.as_ref().map_or(Ok(0), |log| Ok(log.metadata()?.len()))
    }

    /// The next chunk: up to the chunk size, and not across a phase.
    fn read(&self, log: Option<&File>, from: u64, len: u64) -> io::Result<(String, Bytes)> {
        let (phase, next) = owned(phase_at(&self.shipping.marks(), from));
        let until = next.unwrap_or(u64::MAX).min(len).min(from + CHUNK_BYTES as u64).max(from + 1);
        let mut bytes = vec![0; (until - from) as usize];
        log.ok_or(io::ErrorKind::NotFound)?.read_exact_at(&mut bytes, from)?;
        Ok((phase, Bytes::from(bytes)))
    }
}

fn owned((phase, next): (&str, Option<u64>)) -> (String, Option<u64>) {
    (phase.to_owned(), next)
}

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("the log file cannot be read")]
    File(#[from] io::Error),
    #[error("the message layer refused")]
    Bus(#[from] BusError),
}
