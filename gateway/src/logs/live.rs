//! One reader of a run's log, live: a stream that reads the store at its reader's own pace.
//!
//! It reads the next chunk when the reader has taken the last one. What a bell that was missed had to tell comes from the
//! store all the same: it looks again by itself after a while. What all live readers have in common is in
//! [`super::listener`].

use super::{
    frame,
    lines::Lines,
    listener::{FRAME_BYTES, Listener},
    part::Part,
    readers::Place,
    walk::{Step, Walk},
};
use crate::{answers::Refusal, app::App, auth::Principal};
use bus::BusError;
use bytes::Bytes;
use proto::{RunId, log::LogPosition, message::JobAttempt, view::RunStatus, view::RunView};
use std::sync::Arc;

/// A reader who is further behind what is stored is told.
const LAGGED_BYTES: u64 = 8 * 1024 * 1024;

/// What a reader asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) run: RunId,
    pub(crate) part: Part,
    /// Resume behind this line.
    pub(crate) after: Option<LogPosition>,
    /// Stay for what is to come.
    pub(crate) follow: bool,
}

/// A live reader.
#[derive(Debug)]
pub(crate) struct Live {
    listener: Listener,
    wish: Wish,
    walk: Walk,
    lines: Lines,
    at: Option<JobAttempt>,
    /// Bytes that were read and not cut into lines yet; never more than a chunk.
    pending: Bytes,
    /// What was told last.
    told: Option<(RunStatus, String)>,
    status: (RunStatus, String),
    /// How the part that is read stands, in one word.
    part_status: String,
    lagging: bool,
}

impl Live {
    /// Begins to read. The bell is hung up before anything is read, so that nothing falls between.
    pub(crate) async fn open(app: &Arc<App>, caller: Principal, wish: Wish, place: Place) -> Result<Option<Self>, Refusal> {
        let wake = app.bus.logs().wake(wish.run).await?;
        let Some(view) = wish.part.view(app, wish.run).await? else { return Ok(None) };
        let walk = Walk::new(app.bus.clone(), &view, wish.part, wish.after, wish.follow);
        Ok(Some(Self {
            listener: Listener::new(app, wish.run, caller, wake, place),
            part_status: wish.part.status(&view),
            wish,
            walk,
            lines: Lines::at(0),
            at: None,
            pending: Bytes::new(),
            told: None,
            status: (view.status, view.phase),
            lagging: false,
        }))
    }

    /// The next bytes for the reader; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if self.listener.is_empty() {
            let events = self.events().await;
            self.listener.fill(events);
        }
        self.listener.piece()
    }

    /// The next events; empty when the stream is over.
    async fn events(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.listener.ended && out.len() < FRAME_BYTES {
            self.tell_status(&mut out);
            if let Some(why) = self.listener.must_close().await {
                self.listener.close(&mut out, why);
            } else if !self.cut_lines(&mut out) {
                match self.read(&mut out).await {
                    Ok(true) => self.listener.clocks.store_good(),
                    Ok(false) if self.listener.ended || !out.is_empty() => break,
                    Ok(false) => self.wait(&mut out).await,
                    Err(error) => self.listener.failed(&mut out, &error).await,
                }
            }
        }
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
                    self.listener.clocks.rang();
                }
                self.listener.ended |= !self.wish.follow;
                return Ok(false);
            }
            Step::Done => {
                self.flush(out);
                frame::end(out, &self.part_status);
                self.listener.ended = true;
            }
        }
        Ok(true)
    }

    async fn check_lag(&mut self, out: &mut Vec<u8>) -> Result<(), BusError> {
        if self.lagging || !self.listener.clocks.lag_due() {
            return Ok(());
        }
        let behind = self.walk.behind().await?;
        if behind > LAGGED_BYTES {
            self.lagging = true;
            frame::lagged(out, behind);
        }
        Ok(())
    }

    async fn wait(&mut self, out: &mut Vec<u8>) {
        if self.listener.wait(out).await {
            self.look().await;
        }
    }

    /// Reads the run's view again.
    async fn look(&mut self) {
        let found = self.wish.part.view(&self.listener.app, self.wish.run).await;
        // If it failed it is looked at again soon; reading the log will tell whether the store stays away.
        self.listener.clocks.viewed(found.is_ok());
        match found {
            Ok(Some(view)) => self.take(view),
            // Its time is over, and so is that of its log.
            Ok(None) => self.listener.ended = true,
            Err(refusal) => tracing::debug!(run = %self.wish.run, why = refusal.text(), "a live reader cannot look at its run"),
        }
    }

    fn take(&mut self, view: RunView) {
        self.walk.refresh(&view);
        self.part_status = self.wish.part.status(&view);
        self.status = (view.status, view.phase);
    }
}
