//! One reader of a run's log, live: a stream that reads the store at its reader's own pace.
//!
//! No task and no queue stand behind it. It reads the next chunk when the reader has taken the last one, so a slow reader
//! costs a chunk, a line and a frame, and slows nobody. What rings is only a bell ([`bus::Wake`]); what is sent comes from
//! the store, and so does what a bell that was missed had to tell: it looks again by itself after a while.

use super::{
    clocks::Clocks,
    frame,
    lines::Lines,
    readers::Place,
    walk::{Step, Walk},
};
use crate::{
    answers::{Refusal, chain, report::Closing},
    app::App,
    auth::{Principal, Standing},
};
use bus::{BusError, Wake};
use bytes::Bytes;
use proto::{RunId, log::LogPosition, message::JobAttempt, view::RunStatus, view::RunView};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Events are gathered until they are at least this long, or there is nothing more now.
const FRAME_BYTES: usize = 16 * 1024;
/// What is handed to the connection at a time. It queues sixteen such pieces for a reader that does not take them; with a
/// chunk, a line and a frame that is what one reader can hold: about 230 KiB, whatever the job prints and however slow it is.
const PIECE_BYTES: usize = 8 * 1024;
/// A reader who is further behind what is stored is told.
const LAGGED_BYTES: u64 = 8 * 1024 * 1024;
/// How long after a failed read the store is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a reader asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) run: RunId,
    /// Resume behind this line.
    pub(crate) after: Option<LogPosition>,
    /// Stay for what is to come.
    pub(crate) follow: bool,
}

/// A live reader.
#[derive(Debug)]
pub(crate) struct Live {
    app: Arc<App>,
    caller: Principal,
    wish: Wish,
    walk: Walk,
    wake: Wake,
    /// Counted as long as it lives.
    _place: Place,
    lines: Lines,
    at: Option<JobAttempt>,
    /// Bytes that were read and not cut into lines yet; never more than a chunk.
    pending: Bytes,
    /// Events that were not handed to the connection yet.
    ready: Bytes,
    /// What was told last.
    told: Option<(RunStatus, String)>,
    status: (RunStatus, String),
    lagging: bool,
    clocks: Clocks,
    ended: bool,
}

impl Live {
    /// Begins to read. The bell is hung up before anything is read, so that nothing falls between.
    pub(crate) async fn open(app: &Arc<App>, caller: Principal, wish: Wish, place: Place) -> Result<Option<Self>, Refusal> {
        let wake = app.bus.logs().wake(wish.run).await?;
        let Some(view) = app.find_run(wish.run).await? else { return Ok(None) };
        let walk = Walk::new(app.bus.clone(), &view, wish.after);
        let walk = if wish.follow { walk } else { walk.impatient() };
        Ok(Some(Self {
            app: Arc::clone(app),
            caller,
            wish,
            walk,
            wake,
            _place: place,
            lines: Lines::at(0),
            at: None,
            pending: Bytes::new(),
            ready: Bytes::new(),
            told: None,
            status: (view.status, view.phase),
            lagging: false,
            clocks: Clocks::start(app.limits.heartbeat),
            ended: false,
        }))
    }

    /// The next bytes for the reader; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.ready = Bytes::from(self.events().await);
        }
        let piece = self.ready.len().min(PIECE_BYTES);
        (piece > 0).then(|| self.ready.split_to(piece))
    }

    /// The next events; empty when the stream is over.
    async fn events(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.ended && out.len() < FRAME_BYTES {
            self.tell_status(&mut out);
            if let Some(why) = self.must_close().await {
                self.close(&mut out, why);
            } else if !self.cut_lines(&mut out) {
                match self.read(&mut out).await {
                    Ok(true) => self.clocks.store_good(),
                    Ok(false) if self.ended || !out.is_empty() => break,
                    Ok(false) => self.wait(&mut out).await,
                    Err(error) => self.failed(&mut out, &error).await,
                }
            }
        }
        self.clocks.sent();
        out
    }

    fn tell_status(&mut self, out: &mut Vec<u8>) {
        if self.told.as_ref() != Some(&self.status) {
            frame::status(out, self.status.0, &self.status.1);
            self.told = Some(self.status.clone());
        }
    }

    /// Cuts what was read into lines until the frame is full. Says whether there was anything to cut.
    fn cut_lines(&mut self, out: &mut Vec<u8>) -> bool {
        let (Some(at), false) = (self.at, self.pending.is_empty()) else { return false };
        while out.len() < FRAME_BYTES {
            let Some(line) = self.lines.next(&mut self.pending) else { break };
            frame::log(out, at, &line);
        }
        true
    }

    /// What stands behind the last line end, when nothing follows.
    fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some((at, line)) = self.at.zip(self.lines.finish()) {
            frame::log(out, at, &line);
        }
    }

    /// Reads on. `false`: there is nothing more now.
    async fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, BusError> {
        match self.walk.step().await? {
            Step::Bytes { at, offset, bytes } => {
                if self.at != Some(at) || self.lines.position() != offset {
                    self.flush(out);
                    self.at = Some(at);
                    self.lines.skip_to(offset);
                }
                self.pending = bytes;
                self.check_lag(out).await?;
            }
            Step::Gap { at, missing, offset } => {
                self.flush(out);
                frame::gap(out, missing);
                self.at = Some(at);
                self.lines.skip_to(offset);
            }
            Step::SegmentOver => self.flush(out),
            Step::Dry { whole, straggling } => {
                if whole {
                    self.flush(out);
                }
                self.lagging = false;
                if straggling {
                    self.clocks.rang();
                }
                self.ended |= !self.wish.follow;
                return Ok(false);
            }
            Step::Done => {
                self.flush(out);
                frame::end(out, self.status.0);
                self.ended = true;
            }
        }
        Ok(true)
    }

    async fn check_lag(&mut self, out: &mut Vec<u8>) -> Result<(), BusError> {
        if self.lagging || !self.clocks.lag_due() {
            return Ok(());
        }
        let behind = self.walk.behind().await?;
        if behind > LAGGED_BYTES {
            self.lagging = true;
            frame::lagged(out, behind);
        }
        Ok(())
    }

    /// Waits for the bell, for the next look, or for the next heartbeat; then looks at the run.
    async fn wait(&mut self, out: &mut Vec<u8>) {
        let stop = self.app.stop.clone();
        tokio::select! {
            () = self.wake.notified() => if self.wake.run_changed() { self.clocks.run_changed() } else { self.clocks.rang() },
            () = tokio::time::sleep(self.clocks.idle()) => {}
            () = stop.cancelled() => return,
        }
        if self.clocks.heartbeat_due() {
            frame::heartbeat(out);
            self.clocks.sent();
        }
        if self.clocks.view_due() {
            self.look().await;
        }
    }

    /// Reads the run's view again.
    async fn look(&mut self) {
        let found = self.app.find_run(self.wish.run).await;
        // If it failed it is looked at again soon; reading the log will tell whether the store stays away.
        self.clocks.viewed(found.is_ok());
        match found {
            Ok(Some(view)) => self.take(view),
            // Its time is over, and so is that of its log.
            Ok(None) => self.ended = true,
            Err(error) => tracing::debug!(run = %self.wish.run, error = chain(&error), "a live reader cannot look at its run"),
        }
    }

    fn take(&mut self, view: RunView) {
        self.walk.refresh(&view);
        self.status = (view.status, view.phase);
    }

    /// Why the stream must end here, if it must.
    async fn must_close(&mut self) -> Option<Closing> {
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

    fn close(&mut self, out: &mut Vec<u8>, why: Closing) {
        frame::closing(out, why);
        self.ended = true;
    }

    /// The store could not be read: waits a moment and lets the reader see that we live, unless it has been too long.
    async fn failed(&mut self, out: &mut Vec<u8>, error: &BusError) {
        tracing::debug!(run = %self.wish.run, error = chain(error), "a live reader waits for the store");
        if self.clocks.store_failed() || !error.retryable() {
            tracing::warn!(run = %self.wish.run, error = chain(error), "a live reader is sent away");
            return self.close(out, Closing::Store);
        }
        let _ = timeout(TRY_AGAIN, self.app.stop.cancelled()).await;
        frame::heartbeat(out);
    }
}
