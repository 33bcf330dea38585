//! Signs of life, and stop signals.

use crate::crew::Crew;
use bus::BusError;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Says every few seconds that this worker lives and what it runs, until everything it runs is over.
pub(crate) async fn beat(crew: Arc<Crew>, over: CancellationToken) {
    let mut every = tokio::time::interval(crew.settings.worker.heartbeat.duration());
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(error) = crew.bus.fleet().beat(&crew.heartbeat()).await
            // Said once already, and the worker is finishing because of it.
            && !error.is_denied()
        {
            tracing::warn!(%error, "the scheduler does not hear this worker; going on");
        }
    }
}

/// Passes stop signals on. They are repeated by the scheduler, so a lost one only costs a moment.
pub(crate) async fn listen(crew: Arc<Crew>, over: CancellationToken) -> Result<(), BusError> {
    loop {
        let mut signals = crew.bus.control().signals(&crew.seat).await?;
        loop {
            let signal = tokio::select! {
                () = over.cancelled() => return Ok(()),
                signal = signals.next() => signal,
            };
            let Some(signal) = signal else { break };
            crew.stop(&signal);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
