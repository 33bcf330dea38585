//! When a live reader does what: heartbeats, looks at the run, at the key, at how far behind it is.
//!
//! Only times; what is done then is in [`super::live`].

use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether a reader lags.
const LAG_CHECK: Duration = Duration::from_secs(1);
/// Changes of a run are looked at no more often than this.
const VIEW_PAUSE: Duration = Duration::from_millis(200);
/// Without a bell, it is looked again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How often the key is checked.
const KEY_CHECK: Duration = Duration::from_secs(15);
/// How long a key that cannot be checked is believed.
const KEY_BELIEVED: Duration = Duration::from_secs(45);
/// How long a store that cannot be read is waited for.
const STORE_PATIENCE: Duration = Duration::from_mins(1);

/// When what was done last.
#[derive(Debug)]
pub(crate) struct Clocks {
    heartbeat: Duration,
    sent: Instant,
    /// Absent: never.
    lag_checked: Option<Instant>,
    key_checked: Instant,
    key_good: Instant,
    view_read: Instant,
    /// Something rang since the view was read.
    view_due: bool,
    /// The run itself has changed since the view was read.
    view_now: bool,
    /// Since when the store has not been readable.
    failing: Option<Instant>,
}

impl Clocks {
    /// Everything was done now.
    pub(crate) fn start(heartbeat: Duration) -> Self {
        let now = Instant::now();
        Self {
            heartbeat,
            sent: now,
            lag_checked: None,
            key_checked: now,
            key_good: now,
            view_read: now,
            view_due: false,
            view_now: false,
            failing: None,
        }
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self) {
        self.sent = Instant::now();
    }

    /// Whether nothing was sent for so long that the reader wants a sign of life.
    pub(crate) fn heartbeat_due(&self) -> bool {
        self.sent.elapsed() >= self.heartbeat
    }

    /// The run may have changed.
    pub(crate) fn rang(&mut self) {
        self.view_due = true;
    }

    /// The run has changed.
    pub(crate) fn run_changed(&mut self) {
        self.view_now = true;
    }

    /// Whether to look at the run now.
    pub(crate) fn view_due(&self) -> bool {
        let age = self.view_read.elapsed();
        self.view_now || age >= LOOK_AGAIN || (self.view_due && age >= VIEW_PAUSE)
    }

    /// The run is looked at; `done` says whether it was seen.
    pub(crate) fn viewed(&mut self, done: bool) {
        self.view_read = Instant::now();
        // What could not be seen is looked at again soon, not at once.
        self.view_due = !done && (self.view_due || self.view_now);
        self.view_now = false;
    }

    /// Whether to look how far behind the reader is; counts as looked.
    pub(crate) fn lag_due(&mut self) -> bool {
        let due = self.lag_checked.is_none_or(|at| at.elapsed() >= LAG_CHECK);
        if due {
            self.lag_checked = Some(Instant::now());
        }
        due
    }

    /// Whether to check the key; counts as checked.
    pub(crate) fn key_due(&mut self) -> bool {
        let due = self.key_checked.elapsed() >= KEY_CHECK;
        if due {
            self.key_checked = Instant::now();
        }
        due
    }

    /// The key was found good.
    pub(crate) fn key_good(&mut self) {
        self.key_good = Instant::now();
    }

    /// Whether a key that cannot be checked is no longer believed.
    pub(crate) fn key_doubtful(&self) -> bool {
        self.key_good.elapsed() >= KEY_BELIEVED
    }

    /// The store was read.
    pub(crate) fn store_good(&mut self) {
        self.failing = None;
    }

    /// The store could not be read. Says whether that has been so for too long.
    pub(crate) fn store_failed(&mut self) -> bool {
        self.failing.get_or_insert_with(Instant::now).elapsed() >= STORE_PATIENCE
    }

    /// How long there is nothing to do, if nothing rings.
    pub(crate) fn idle(&self) -> Duration {
        if self.view_now {
            return Duration::ZERO;
        }
        let heartbeat = self.heartbeat.saturating_sub(self.sent.elapsed());
        let view = if self.view_due { VIEW_PAUSE } else { LOOK_AGAIN }.saturating_sub(self.view_read.elapsed());
        let key = KEY_CHECK.saturating_sub(self.key_checked.elapsed());
        heartbeat.min(view).min(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bell_is_followed_soon_and_a_missed_one_after_a_while() {
        let mut clocks = Clocks::start(Duration::from_secs(15));
        assert!(!clocks.view_due());
        clocks.rang();
        assert_eq!(clocks.idle(), VIEW_PAUSE);
        tokio::time::advance(VIEW_PAUSE).await;
        assert!(clocks.view_due());
        clocks.viewed(true);
        assert_eq!(clocks.idle(), LOOK_AGAIN);
        tokio::time::advance(LOOK_AGAIN).await;
        assert!(clocks.view_due());
        clocks.viewed(false);
        assert!(!clocks.heartbeat_due());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(clocks.heartbeat_due() && clocks.key_due() && !clocks.key_due());
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_and_failure_have_an_end() {
        let mut clocks = Clocks::start(Duration::from_secs(15));
        assert!(!clocks.store_failed() && !clocks.key_doubtful() && clocks.lag_due() && !clocks.lag_due());
        tokio::time::advance(STORE_PATIENCE).await;
        assert!(clocks.store_failed() && clocks.key_doubtful() && clocks.lag_due());
        clocks.store_good();
        clocks.key_good();
        assert!(!clocks.store_failed() && !clocks.key_doubtful());
    }
}
