//! What the API shows, published beside the turns: a run's next decision never waits for its picture, and of several
//! decisions in a row only the last is painted. A picture that was not published costs nothing but sight, and is found:
//! open runs by the sweep, ended ones because their view still says that they go on.

use crate::{pages, shard::Shard};
use bus::{BusError, ViewEvent};
use domain::run;
use proto::RunId;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Views written at a time.
pub(crate) const PAINTERS: usize = 8;

/// Runs whose view is to be published.
#[derive(Debug)]
pub(crate) struct Pictures {
    waiting: Mutex<BTreeSet<RunId>>,
    sender: mpsc::UnboundedSender<RunId>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<RunId>>,
}

impl Default for Pictures {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { waiting: Mutex::default(), sender, receiver: tokio::sync::Mutex::new(receiver) }
    }
}

impl Pictures {
    /// Asks for a run's view to be published; asked twice before it was, it is published once.
    pub(crate) fn ask(&self, run: RunId) {
        if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(run) {
            // The receiver lives beside the sender.
            let _ = self.sender.send(run);
        }
    }

    async fn next(&self) -> Option<RunId> {
        let run = self.receiver.lock().await.recv().await?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        Some(run)
    }
}

/// Publishes views until told to drain.
pub(crate) async fn paint(shard: Arc<Shard>, drain: CancellationToken) -> Result<(), BusError> {
    loop {
        let next = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            next = shard.pictures.next() => next,
        };
        let Some(run) = next else { return Ok(()) };
        show(&shard, run).await;
    }
}

/// Publishes a run's view when it does not show the newest decision.
pub(crate) async fn show(shard: &Shard, run: RunId) {
    let slot = shard.slot(run);
    let (view, pages) = {
        let mut slot = slot.lock().await;
        let view = slot.run.as_ref().filter(|_| slot.shown < slot.seq).map(|run| run::view(run, slot.seq));
        (view, pages::due(&mut slot))
    };
    let Some(view) = view else { return };
    failpoint::failpoint!("scheduler.view.due", view.status);
    // The pages first: who sees the view finds them.
    let shown = match pages::show(shard, &slot, pages).await {
        Ok(()) => {
            failpoint::failpoint!("scheduler.pages.shown", view.status);
            shard.bus.views().put(&view).await
        }
        Err(error) => Err(error),
    };
    match shown {
        Ok(()) => {
            let mut slot = slot.lock().await;
            slot.shown = slot.shown.max(view.seq);
        }
        Err(error) => tracing::warn!(%run, %error, "the view was not published; it will be tried again"),
    }
}

/// Follows the views, to know which of them say that their run goes on.
pub(crate) async fn follow(shard: Arc<Shard>, drain: CancellationToken) -> Result<(), BusError> {
    let mut views = shard.bus.views().watch().await?;
    loop {
        let event = tokio::select! {
            () = drain.cancelled() => return Ok(()),
            event = views.next() => event,
        };
        match event {
            Some(ViewEvent::Put(view)) if view.id.shard() == shard.number && !view.status.is_terminal() => {
                shard.index().unfinished.insert(view.id);
            }
            Some(ViewEvent::Put(view)) => {
                shard.index().unfinished.remove(&view.id);
            }
            Some(ViewEvent::Gone(run)) => {
                shard.index().unfinished.remove(&run);
            }
            Some(ViewEvent::CaughtUp) => show_ended(&shard).await,
            None => return Ok(()),
        }
    }
}

/// A scheduler that died between a run's last decision and its view left a view that says it goes on.
pub(crate) async fn show_ended(shard: &Shard) {
    let stale: Vec<RunId> = {
        let index = shard.index();
        index.unfinished.difference(&index.open).copied().collect()
    };
    for run in stale {
        let slot = shard.slot(run);
        let read = slot.lock().await.refresh(shard, run).await;
        match read {
            Ok(()) => show(shard, run).await,
            Err(error) => tracing::warn!(%run, %error, "a run with an old view could not be read; the next sweep tries again"),
        }
    }
}
