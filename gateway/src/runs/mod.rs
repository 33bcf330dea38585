//! Runs as `/v1` shows them: the list, one run, its jobs.
//!
//! The list's order and filters come from an [`index`] in memory, what is shown of each run from its view in the store.

mod body;
mod cursor;
pub(crate) mod evidence;
mod filter;
pub(crate) mod index;
mod jobs;
mod outcome;
pub(crate) mod pages;
mod show;
pub(crate) mod waiting;

use crate::answers::{Door, Refusal};
use bus::{Bus, ViewEvent};
use index::Index;
use proto::{RunId, message::Trigger};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use body::{JobsBody, RunBody, RunsBody};
pub(crate) use filter::{Filter, RawPage, RawQuery};
pub(crate) use jobs::jobs;
pub(crate) use outcome::{DoneBody, ResultBody, done, marker, result, summary};
pub(crate) use show::{list, one, page};

/// Reads a run's id. A text that is none names no run.
pub(crate) fn run_id(text: &str, door: Door) -> Result<RunId, Refusal> {
    let id = text.parse::<RunId>().map_err(|_| Refusal::RunNotFound(door))?;
    tracing::Span::current().record("run", tracing::field::display(id));
    Ok(id)
}

/// The index, shared by all requests and fed by one loop.
#[derive(Debug, Default)]
pub(crate) struct RunIndex(RwLock<Index>);

impl RunIndex {
    /// For reading. Never held over an await.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run was accepted here just now; its view will follow.
    pub(crate) fn accepted(&self, trigger: Trigger) {
        self.write().put(&crate::app::accepted(trigger));
    }

    /// Follows the views for ever.
    pub(crate) async fn follow(&self, bus: &Bus) {
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
        /// Only a change of the configuration helps; until then the gateway is not ready, and says why.
        const DENIED_PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
        loop {
            let mut pause = PAUSE;
            match bus.views().watch().await {
                Ok(mut watch) => {
                    while let Some(event) = watch.next().await {
                        self.take(event);
                    }
                }
                Err(error) => {
                    if error.is_denied() {
                        pause = DENIED_PAUSE;
                    }
                    tracing::warn!(error = crate::answers::chain(&error), "the list of runs cannot be followed; trying again");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn take(&self, event: ViewEvent) {
        match event {
            ViewEvent::Put(view) => self.write().put(&view),
            ViewEvent::Gone(id) => self.write().remove(id),
            ViewEvent::CaughtUp => self.write().completed(),
        }
    }
}
