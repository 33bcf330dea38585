//! How a process stops: first gently, then in a hurry.
//!
//! One [`Shutdown`] per process. The first SIGTERM or SIGINT means *drain*: take nothing new, finish or hand over what
//! is in hand. A second one means *hurry*: leave at once. Neither ever means "kill a running terraform"; what a role
//! does about its tools is its own affair. [`Tasks`] starts every background loop and counts them.

mod tasks;

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use tasks::Tasks;

/// Why the process stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// SIGTERM or SIGINT: a clean end.
    Signal(&'static str),
    /// Somebody inside asked for it, in words: a clean end.
    Requested(String),
    /// A background loop panicked or ended with an error: the process must exit with a failure.
    Failed(String),
}

impl Reason {
    /// True when the process must exit with a failure.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::Signal(_) | Self::Requested(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => f.write_str(name),
            Self::Requested(words) | Self::Failed(words) => f.write_str(words),
        }
    }
}

/// The two tokens of a process, and why it stops. Clones are the same shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Its child tokens go to the roles.
    drain: CancellationToken,
    hurry: CancellationToken,
    reason: Arc<OnceLock<Reason>>,
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A child of the drain token: cancelled when the process drains; cancelling it stops only its holder.
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.child_token()
    }

    /// A child of the hurry token: cancelled when there is no more time.
    pub fn hurry_token(&self) -> CancellationToken {
        self.hurry.child_token()
    }

    /// Begins to drain. The first reason counts; later calls change nothing, except that a failure is never lost
    /// behind a clean reason in the log.
    pub fn begin(&self, reason: Reason) {
        let failure = reason.is_failure();
        let said = reason.to_string();
        match self.reason.set(reason) {
            Ok(()) => tracing::info!(reason = said, "shutting down"),
            Err(_) if failure => tracing::error!(reason = said, "failed while shutting down"),
            Err(_) => {}
        }
        self.drain.cancel();
    }

    /// Ends the waiting: whatever still runs is left behind.
    pub fn hurry(&self, reason: Reason) {
        self.begin(reason);
        self.hurry.cancel();
    }

    /// True once [`Shutdown::begin`] was called.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits until the process drains, and says why.
    pub async fn draining(&self) -> Reason {
        self.drain.cancelled().await;
        self.reason().unwrap_or_else(|| Reason::Requested("cancelled".into()))
    }

    /// Why the process stops; `None` while it does not.
    pub fn reason(&self) -> Option<Reason> {
        self.reason.get().cloned()
    }

    /// Listens for SIGTERM and SIGINT for the rest of the process: the first drains, the second hurries. From now on
    /// the default action of these signals (to die at once) is off, so call it before any work starts.
    ///
    /// # Errors
    /// The system refused the handlers.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        // Not among the counted tasks: it has to outlive all of them, to hear the second signal.
        tasks::spawn_uncounted(async move {
            loop {
                let name = tokio::select! {
                    Some(()) = term.recv() => "SIGTERM",
                    Some(()) = interrupt.recv() => "SIGINT",
                    else => return,
                };
                shutdown.signalled(name);
            }
        });
        Ok(())
    }

    fn signalled(&self, name: &'static str) {
        if self.is_draining() {
            tracing::warn!(signal = name, "signal while draining: leaving at once");
            self.hurry(Reason::Signal(name));
        } else {
            self.begin(Reason::Signal(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_drains_and_the_second_hurries() {
        let shutdown = Shutdown::new();
        let (role, hurry) = (shutdown.drain_token(), shutdown.hurry_token());
        shutdown.signalled("SIGTERM");
        assert!(role.is_cancelled() && !hurry.is_cancelled());
        shutdown.signalled("SIGINT");
        assert!(hurry.is_cancelled());
        assert_eq!(shutdown.reason(), Some(Reason::Signal("SIGTERM")));
    }

    #[test]
    fn a_failure_while_idle_drains_too_and_a_late_token_is_cancelled() {
        let shutdown = Shutdown::new();
        shutdown.begin(Reason::Failed("x".into()));
        assert!(shutdown.drain_token().is_cancelled() && !shutdown.hurry_token().is_cancelled());
        assert!(shutdown.reason().is_some_and(|r| r.is_failure()));
    }

    #[test]
    fn cancelling_a_child_stops_only_its_holder() {
        let shutdown = Shutdown::new();
        shutdown.drain_token().cancel();
        assert!(!shutdown.is_draining() && !shutdown.drain_token().is_cancelled());
    }

    #[tokio::test]
    async fn real_signals_arrive() {
        let shutdown = Shutdown::new();
        shutdown.on_signals().unwrap();
        let me = nix::unistd::Pid::this();
        nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(shutdown.draining().await, Reason::Signal("SIGTERM"));
        nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGTERM).unwrap();
        shutdown.hurry_token().cancelled().await;
        assert_eq!(shutdown.reason(), Some(Reason::Signal("SIGTERM")));
    }
}
