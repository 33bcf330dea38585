//! Stop signals to one worker. Not stored: the scheduler repeats one until the attempt has ended.

use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use async_nats::Subscriber;
use futures_util::StreamExt as _;
use proto::codec;
use proto::message::StopSignal;
use proto::{Seat, subject};

/// Sending and receiving stop signals.
#[derive(Debug, Clone)]
pub struct Control {
    link: Link,
}

impl Control {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Signals a worker. Success does not mean that it is there.
    pub async fn signal(&self, seat: &Seat, signal: &StopSignal) -> Result<(), BusError> {
        let subject = subject::control(seat);
        let op = Op("signal", &subject);
        let payload = codec::encode(signal).map_err(|error| BusError::unencodable(op, &error))?;
        self.link.tell(op, headers(&[]), payload.into()).await
    }

    /// The signals for a worker, from now on.
    pub async fn signals(&self, seat: &Seat) -> Result<StopSignals, BusError> {
        let subject = subject::control(seat);
        Ok(StopSignals { signals: self.link.subscribe(Op("listen to", &subject), None).await? })
    }
}

/// Signals as they come.
#[derive(Debug)]
pub struct StopSignals {
    signals: Subscriber,
}

impl StopSignals {
    /// The next signal; `None` when the connection was closed for good.
    pub async fn next(&mut self) -> Option<StopSignal> {
        loop {
            let message = self.signals.next().await?;
            match codec::decode(&message.payload) {
                Ok(signal) => return Some(signal),
                Err(error) => tracing::warn!(%error, "a stop signal that cannot be read; it is repeated"),
            }
        }
    }
}
