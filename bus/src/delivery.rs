//! A message handed out by a consumer, to be settled: done, back, or never again.

use crate::error::{BusError, Op};
use crate::link::{Link, PATIENCE, headers};
use crate::scan::Place;
use async_nats::Message;
use bytes::Bytes;
use proto::subject::TRACEPARENT_HEADER;
use std::time::Duration;

/// The part of a delivery that settles it.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    link: Link,
    reply: String,
    pub(crate) place: Place,
}

impl Delivery {
    /// `None` for a message that no consumer delivered.
    pub(crate) fn of(link: &Link, message: &Message) -> Option<Self> {
        let place = Place::of(message)?;
        Some(Self { link: link.clone(), reply: message.reply.as_ref()?.to_string(), place })
    }

    /// Settled, and the server has said so. [`BusError::Timeout`]: it may be delivered again.
    pub(crate) async fn double_ack(&self) -> Result<(), BusError> {
        self.settle("acknowledge", Bytes::from_static(b"+ACK")).await
    }

    /// Never again, whatever it was.
    pub(crate) async fn term(&self, reason: &str) -> Result<(), BusError> {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
        self.settle("give up", format!("+TERM {reason}").into()).await
    }

    async fn settle(&self, verb: &'static str, word: Bytes) -> Result<(), BusError> {
        self.link.ask(Op(verb, &self.reply), word, PATIENCE).await.map(|_| ())
    }

    /// To be delivered again, at once or after a while.
    pub(crate) async fn nak(&self, delay: Option<Duration>) -> Result<(), BusError> {
        let word = match delay {
            None => Bytes::from_static(b"-NAK"),
            Some(delay) => format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into(),
        };
        self.link.tell(Op("give back", &self.reply), headers(&[]), word).await
    }

    /// Still being worked on: the time to acknowledge begins anew.
    pub(crate) async fn progress(&self) -> Result<(), BusError> {
        self.link.tell(Op("keep", &self.reply), headers(&[]), Bytes::from_static(b"+WPI")).await
    }
}

/// Gives back what a reader never took: at once somebody's. Without a connection, the rest comes again by itself.
pub(crate) async fn give_back(link: &Link, messages: Vec<Message>) {
    for message in messages {
        let Some(delivery) = Delivery::of(link, &message) else { continue };
        if let Err(error) = delivery.nak(None).await {
            tracing::debug!(%error, "not given back; it comes again by itself");
            return;
        }
    }
}

/// The trace context that came along.
pub(crate) fn traceparent(message: &Message) -> Option<String> {
    message.headers.as_ref()?.get(TRACEPARENT_HEADER).map(|value| value.as_str().to_owned())
}
