//! The runner's voice: a thread that writes events to the worker, so that a slow or dead worker never stops the tool.
//!
//! Events wait in a queue (bounded by the capture limit of the spec); of the log's length only the newest value is
//! kept and sent at most every [`PAUSE`]. Once the worker is gone the queue is emptied into nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::frames;
use super::wire::RunnerEvent;

/// Least time between two reports of the log's length: a fast tool must not wake the worker for every line.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Queue {
    events: VecDeque<RunnerEvent>,
    log_len: Option<u64>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Reporter {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Reporter {
    pub(super) fn start(to: File) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || deliver(to, &theirs));
        Self { shared, thread }
    }

    pub(super) fn say(&self, event: RunnerEvent) {
        self.shared.lock().events.push_back(event);
        self.shared.changed.notify_one();
    }

    pub(super) fn log_grew(&self, log_len: u64) {
        self.shared.lock().log_len = Some(log_len);
        self.shared.changed.notify_one();
    }

    /// Says the last event and waits until the worker has it all or is gone.
    pub(super) fn finish(self, last: RunnerEvent) {
        let mut queue = self.shared.lock();
        queue.events.push_back(last);
        queue.closed = true;
        drop(queue);
        self.shared.changed.notify_one();
        // A panic in the thread is the same as a worker that is gone: nobody can be told.
        let _ = self.thread.join();
    }
}

fn deliver(mut to: File, shared: &Shared) {
    let mut pause_until = Instant::now();
    while let Some((batch, grew)) = wait(shared, pause_until) {
        if grew {
            pause_until = Instant::now() + PAUSE;
        }
        for event in batch {
            if frames::write(&mut to, &event).is_err() {
                return discard(shared);
            }
        }
    }
}

/// What to send next, and whether the log's length is in it; `None` when all is said.
fn wait(shared: &Shared, pause_until: Instant) -> Option<(Vec<RunnerEvent>, bool)> {
    let mut queue = shared.lock();
    loop {
        let paused = pause_until.saturating_duration_since(Instant::now());
        let urgent = !queue.events.is_empty();
        if urgent || (queue.log_len.is_some() && paused.is_zero()) {
            let grown = queue.log_len.take().map(|log_len| RunnerEvent::Output { log_len });
            let grew = grown.is_some();
            return Some((grown.into_iter().chain(queue.events.drain(..)).collect(), grew));
        }
        if queue.closed {
            return None;
        }
        queue = if queue.log_len.is_some() {
            shared.changed.wait_timeout(queue, paused).map_or_else(|error| error.into_inner().0, |(queue, _)| queue)
        } else {
            shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
        };
    }
}

fn discard(shared: &Shared) {
    let mut queue = shared.lock();
    while !queue.closed {
        queue.events.clear();
        queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}
