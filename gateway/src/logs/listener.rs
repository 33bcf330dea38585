//! What every live reader has, whatever it reads: a counted place, a key that is checked again and again, a bell, clocks,
//! and the bytes that the connection has not taken yet.
//!
//! No task and no queue stand behind it: a reader reads on when its client has taken what was read before, so a slow one
//! costs little and slows nobody. What rings is only a bell; what is sent comes from the store.

use super::{clocks::Clocks, frame, readers::Place};
use crate::{
    answers::{chain, report::Closing},
    app::App,
    auth::{Principal, Standing},
};
use bus::{BusError, Wake};
use bytes::Bytes;
use proto::RunId;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Events are gathered until they are at least this long, or there is nothing more now.
pub(crate) const FRAME_BYTES: usize = 16 * 1024;
/// What is handed to the connection at a time. It queues sixteen such pieces for a reader that does not take them; with a
/// chunk, a line and a frame that is what one reader can hold: about 230 KiB, whatever the job prints and however slow it is.
const PIECE_BYTES: usize = 8 * 1024;
/// How long after a failed read the store is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A live reader, but for what it reads.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) app: Arc<App>,
    pub(crate) run: RunId,
    caller: Principal,
    wake: Wake,
    /// Counted as long as it lives.
    _place: Place,
    pub(crate) clocks: Clocks,
    /// Events that were not handed to the connection yet.
    ready: Bytes,
    /// The stream ends when what is ready has been handed over.
    pub(crate) ended: bool,
}

impl Listener {
    pub(crate) fn new(app: &Arc<App>, run: RunId, caller: Principal, wake: Wake, place: Place) -> Self {
        let clocks = Clocks::start(app.limits.heartbeat);
        Self { app: Arc::clone(app), run, caller, wake, _place: place, clocks, ready: Bytes::new(), ended: false }
    }

    /// Whether everything was handed over, and more is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Takes what is to be handed over next.
    pub(crate) fn fill(&mut self, events: Vec<u8>) {
        self.clocks.sent();
        self.ready = Bytes::from(events);
    }

    /// The next bytes for the connection; `None` when there are none.
    pub(crate) fn piece(&mut self) -> Option<Bytes> {
        let piece = self.ready.len().min(PIECE_BYTES);
        (piece > 0).then(|| self.ready.split_to(piece))
    }

    /// Waits for the bell, for the next look, or for the next heartbeat. Says whether it is time to look at the run.
    pub(crate) async fn wait(&mut self, out: &mut Vec<u8>) -> bool {
        let stop = self.app.stop.clone();
        tokio::select! {
            () = self.wake.notified() => if self.wake.run_changed() { self.clocks.run_changed() } else { self.clocks.rang() },
            () = tokio::time::sleep(self.clocks.idle()) => {}
            () = stop.cancelled() => return false,
        }
        if self.clocks.heartbeat_due() {
            frame::heartbeat(out);
            self.clocks.sent();
        }
        self.clocks.view_due()
    }

    /// Why the stream must end here, if it must.
    pub(crate) async fn must_close(&mut self) -> Option<Closing> {
        if self.app.stop.is_cancelled() {
            return Some(Closing::Shutdown);
        }
        if !self.clocks.key_due() {
            return None;
        }
        match self.app.auth.standing(&self.caller).await {
            Standing::Good => self.clocks.key_good(),
            Standing::Gone => return Some(Closing::Key),
            Standing::Unknown if self.clocks.key_doubtful() => return Some(Closing::Key),
            Standing::Unknown => {}
        }
        None
    }

    /// Ends the stream although its run goes on.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>, why: Closing) {
        frame::closing(out, why);
        self.ended = true;
    }

    /// The store could not be read: waits a moment and lets the reader see that we live, unless it has been too long.
    pub(crate) async fn failed(&mut self, out: &mut Vec<u8>, error: &BusError) {
        tracing::debug!(run = %self.run, error = chain(error), "a live reader waits for the store");
        if self.clocks.store_failed() || !error.retryable() {
            tracing::warn!(run = %self.run, error = chain(error), "a live reader is sent away");
            return self.close(out, Closing::Store);
        }
        let _ = timeout(TRY_AGAIN, self.app.stop.cancelled()).await;
        frame::heartbeat(out);
    }
}
