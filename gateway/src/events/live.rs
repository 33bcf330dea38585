//! Events as a stream: what has happened, then what happens, until the run is over.

use super::{Shown, place::Place, reading::Reading};
use crate::{
    answers::{Door, Refusal, chain},
    app::App,
    auth::Principal,
    logs::{
        self, frame,
        listener::{FRAME_BYTES, Listener},
    },
};
use bus::BusError;
use bytes::Bytes;
use proto::view::RunView;
use std::sync::Arc;

/// A live reader of events.
#[derive(Debug)]
pub(super) struct Live {
    listener: Listener,
    reading: Reading,
    /// Stays for what is to come.
    follow: bool,
    shown: Shown,
    status: &'static str,
}

impl Live {
    /// Begins to read. The bell is hung up before anything is read, so that nothing falls between.
    pub(super) async fn open(
        app: &Arc<App>,
        caller: Principal,
        place: logs::Place,
        reading: Reading,
        follow: bool,
    ) -> Result<Self, Refusal> {
        let wake = app.bus.views().wake(reading.run).await?;
        let view = app.find_run(reading.run).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
        let listener = Listener::new(app, reading.run, caller, wake, place);
        Ok(Self { listener, reading, follow, shown: Shown::of(&view), status: view.status.as_str() })
    }

    /// The next bytes for the reader; `None` when the stream is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
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
            if let Some(why) = self.listener.must_close().await {
                self.listener.close(&mut out, why);
                break;
            }
            match self.read(&mut out).await {
                Ok(true) => self.listener.clocks.store_good(),
                Ok(false) if self.listener.ended || !out.is_empty() => break,
                Ok(false) => self.wait(&mut out).await,
                Err(error) => self.listener.failed(&mut out, &error).await,
            }
        }
        out
    }

    /// Reads on. `false`: there is nothing more now.
    async fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, BusError> {
        if let Some(some) = self.reading.next(self.shown).await? {
            for told in some {
                frame::told(out, &Place::behind(told.seq, told.n), &told);
            }
            return Ok(true);
        }
        if self.shown.over {
            frame::end(out, self.status);
        }
        self.listener.ended |= self.shown.over || !self.follow;
        Ok(false)
    }

    async fn wait(&mut self, out: &mut Vec<u8>) {
        if !self.listener.wait(out).await {
            return;
        }
        let found = self.listener.app.find_run(self.reading.run).await;
        // If it failed it is looked at again soon; reading the log will tell whether the store stays away.
        self.listener.clocks.viewed(found.is_ok());
        match found {
            Ok(Some(view)) => self.take(&view),
            // Its time is over, and so is that of its log.
            Ok(None) => self.listener.ended = true,
            Err(error) => tracing::debug!(run = %self.reading.run, error = chain(&error), "a live reader cannot look at its run"),
        }
    }

    fn take(&mut self, view: &RunView) {
        self.shown = Shown::of(view);
        self.status = view.status.as_str();
    }
}
