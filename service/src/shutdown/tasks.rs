//! The background loops of a process, each with a name.
//!
//! This is the only place that calls `tokio::spawn`: a loop that panics unseen is a role that looks alive and does
//! nothing, so here a panic is logged and stops the process, and the end of the process waits for all of them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{Reason, Shutdown};

/// Starts and counts the background loops of a process. Clones are the same set.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: Shutdown,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    next: AtomicU64,
    names: Mutex<BTreeMap<u64, String>>,
}

/// Strikes a name off when its future ends, is aborted or panics.
struct Entry(Arc<Running>, u64);

impl Running {
    fn enter(self: &Arc<Self>, name: &str) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name.to_owned());
        Entry(Arc::clone(self), id)
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Tasks {
    /// An empty set. A panic in it begins `shutdown`.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { tracker: TaskTracker::new(), shutdown, running: Arc::default() }
    }

    /// The shutdown that a panic begins.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Runs `future` in the background. `name` is for people: no secret, no unbounded id.
    /// A panic is logged and drains the process with [`Reason::Failed`]; so the handle's error is only ever an abort.
    pub fn spawn<F>(&self, name: &str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entry = self.running.enter(name);
        let shutdown = self.shutdown.clone();
        let owned = name.to_owned();
        let guarded = async move {
            let _entry = entry;
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                let message = panic_message(panic.as_ref());
                tracing::error!(name = owned, message, "a background loop panicked");
                shutdown.begin(Reason::Failed(format!("{owned} panicked: {message}")));
            }
        };
        self.tracker.spawn(guarded.in_current_span())
    }

    /// Runs a loop without which the process is useless. Its end before the drain, or an error at any time, is logged
    /// and drains the process with [`Reason::Failed`].
    pub fn spawn_vital<F, E>(&self, name: &str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        let shutdown = self.shutdown.clone();
        let owned = name.to_owned();
        self.spawn(name, async move {
            match future.await {
                Err(error) => {
                    tracing::error!(name = owned, %error, "a vital loop failed");
                    shutdown.begin(Reason::Failed(format!("{owned}: {error}")));
                }
                Ok(()) if shutdown.is_draining() => {}
                Ok(()) => {
                    tracing::error!(name = owned, "a vital loop ended without being asked to");
                    shutdown.begin(Reason::Failed(format!("{owned} ended without being asked to")));
                }
            }
        })
    }

    /// The names of what runs now, in the order of their start.
    pub fn running(&self) -> Vec<String> {
        self.running.names()
    }

    /// Waits for the drain and then for the end of everything. Gives the names of what was left behind because the
    /// process had to hurry; empty is a clean end.
    pub async fn finished(&self) -> Vec<String> {
        self.shutdown.draining().await;
        self.tracker.close();
        let hurry = self.shutdown.hurry_token();
        tokio::select! {
            () = self.tracker.wait() => Vec::new(),
            () = hurry.cancelled() => self.running(),
        }
    }
}

/// For the signal listener, which must outlive every counted loop.
pub(super) fn spawn_uncounted(future: impl Future<Output = ()> + Send + 'static) {
    #[allow(clippy::disallowed_methods, reason = "this module is the one that the rule points to")]
    tokio::spawn(future);
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&'static str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        Tasks::new(Shutdown::new())
    }

    #[tokio::test]
    async fn a_panic_drains_the_process_and_names_the_loop() {
        let tasks = tasks();
        let number = 7;
        let handle = tasks.spawn("log reader", async move { panic!("boom {number}") });
        let reason = tasks.shutdown().draining().await;
        assert_eq!(reason, Reason::Failed("log reader panicked: boom 7".into()));
        assert!(handle.await.is_ok());
        assert_eq!(tasks.finished().await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn vital_loops_may_end_only_when_asked() {
        let table: [(Result<(), &str>, bool, Option<&str>); 4] = [
            (Ok(()), false, Some("sweep ended without being asked to")),
            (Err("no nats"), false, Some("sweep: no nats")),
            (Ok(()), true, None),
            (Err("no nats"), true, None),
        ];
        for (result, asked, failure) in table {
            let tasks = tasks();
            if asked {
                tasks.shutdown().begin(Reason::Requested("test".into()));
            }
            tasks.spawn_vital("sweep", async move { result });
            tasks.finished().await;
            let expected = failure.map_or(Reason::Requested("test".into()), |text| Reason::Failed(text.into()));
            assert_eq!(tasks.shutdown().reason(), Some(expected), "{result:?} {asked}");
        }
    }

    #[tokio::test]
    async fn the_end_waits_for_everyone_unless_it_hurries() {
        let tasks = tasks();
        let drain = tasks.shutdown().drain_token();
        tasks.spawn("polite", async move { drain.cancelled().await });
        let stuck = tasks.spawn("stuck", std::future::pending());
        assert_eq!(tasks.running(), ["polite", "stuck"]);
        tasks.shutdown().begin(Reason::Signal("SIGTERM"));
        let mut finished = Box::pin(tasks.finished());
        while tasks.running().len() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(finished.as_mut().now_or_never().is_none(), "still waits for the stuck one");
        tasks.shutdown().hurry(Reason::Signal("SIGTERM"));
        assert_eq!(finished.await, ["stuck"]);
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        assert_eq!(tasks.running(), Vec::<String>::new());
    }
}
