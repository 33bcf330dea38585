//! The wish that an attempt stops. It only ever gets stronger.

use proto::message::StopMode;
use tokio::sync::watch;

/// A wish that many may raise and one follows.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Sender<Wish>);

/// What is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// How hard; absent: go on.
    pub(crate) mode: Option<StopMode>,
    /// The worker itself is going away: not a person's wish.
    pub(crate) draining: bool,
}

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(Wish::default()))
    }
}

impl Stop {
    pub(crate) fn raise(&self, mode: StopMode) {
        self.0.send_if_modified(|wish| {
            let stronger = wish.mode.is_none_or(|before| before < mode);
            if stronger {
                wish.mode = Some(mode);
            }
            stronger
        });
    }

    pub(crate) fn raise_drain(&self) {
        self.0.send_if_modified(|wish| {
            wish.draining = true;
            wish.mode.get_or_insert(StopMode::Interrupt);
            true
        });
    }

    pub(crate) fn wish(&self) -> Wish {
        *self.0.borrow()
    }

    /// Waits until the wish is stronger than `seen`.
    pub(crate) async fn stronger_than(&self, seen: Option<StopMode>) -> StopMode {
        let mut wishes = self.0.subscribe();
        let changed = wishes.wait_for(|wish| wish.mode > seen).await.map(|wish| wish.mode);
        match changed {
            Ok(Some(mode)) => mode,
            // The sender lives in `self`, so the channel cannot be closed, and no wish is stronger than none.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
