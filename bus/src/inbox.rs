//! INBOX: triggers, commands and reports on their way to the scheduler, and the answers to commands on their way back.

use crate::connect::INBOX_PREFIX;
use crate::delivery::{Delivery, traceparent};
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::pull::{Pulled, Puller};
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use proto::codec::{self, CodecError};
use proto::message::{CommandAnswer, InboxMessage, Report, Trigger};
use proto::subject::{self, TRACEPARENT_HEADER};
use proto::{RunId, ShardNo};
use std::time::Duration;

/// Messages a pull; they wait in memory, and their time to be acknowledged runs meanwhile.
const AT_ONCE: usize = 64;
const WAIT: Duration = Duration::from_secs(30);
/// A run's trigger is its first message; a few commands for a run that is not there yet may stand before it.
const LOOK_AT: usize = 32;

/// What the server did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Sequence in the stream; of the first one, for a repeat.
    pub seq: u64,
    /// Whether the same message id was stored before, so that nothing was stored now.
    pub duplicate: bool,
}

/// The way to the scheduler.
#[derive(Debug, Clone)]
pub struct Inbox {
    link: Link,
}

impl Inbox {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Stores a message. A repeat with the same id within a day stores nothing and is a success.
    pub async fn publish(
        &self,
        run: RunId,
        message: &InboxMessage,
        message_id: &str,
        traceparent: Option<&str>,
    ) -> Result<Stored, BusError> {
        let subject = match message {
            InboxMessage::Trigger(_) | InboxMessage::Command(_) => subject::inbox(run),
            InboxMessage::Report(_) => subject::inbox_report(run),
        };
        let op = Op("publish to", &subject);
        if message_id.is_empty() || message_id.chars().any(char::is_control) {
            return Err(BusError::invalid(op, "a message id is a text without control characters"));
        }
        let mut headers = headers(&[("Nats-Msg-Id", message_id)]);
        if let Some(context) = traceparent.filter(|context| context.chars().all(|c| c.is_ascii_graphic())) {
            headers.insert(TRACEPARENT_HEADER, context);
        }
        let payload = codec::encode(message).map_err(|error| BusError::unencodable(op, &error))?;
        let ack = self.link.publish(op, headers, payload.into()).await?;
        Ok(Stored { seq: ack.sequence, duplicate: ack.duplicate })
    }

    /// The trigger that a run began with, if the run was accepted; read from the stream's leader.
    pub async fn first_trigger(&self, run: RunId) -> Result<Option<Trigger>, BusError> {
        let subject = subject::inbox(run);
        let mut from = 1;
        for _ in 0..LOOK_AT {
            let Some(stored) = self.link.first_from(subject::INBOX, &subject, from).await? else { return Ok(None) };
            match codec::decode(&stored.payload) {
                Ok(InboxMessage::Trigger(trigger)) => return Ok(Some(*trigger)),
                Ok(InboxMessage::Command(_) | InboxMessage::Report(_)) => {}
                Err(error) => tracing::warn!(%run, seq = stored.seq, %error, "a message in the inbox cannot be read"),
            }
            from = stored.seq + 1;
        }
        Ok(None)
    }

    /// What a worker told last about a run, whether anybody has read it or not; read from the stream's leader.
    pub async fn last_report(&self, run: RunId) -> Result<Option<Report>, BusError> {
        let Some(stored) = self.link.last(subject::INBOX, &subject::inbox_report(run)).await? else { return Ok(None) };
        match codec::decode(&stored.payload) {
            Ok(InboxMessage::Report(report)) if report.id.run == run => Ok(Some(*report)),
            // Not for its subject, or of a newer version: whoever reads the inbox says so.
            Ok(InboxMessage::Report(_) | InboxMessage::Trigger(_) | InboxMessage::Command(_)) | Err(_) => Ok(None),
        }
    }

    /// What is there for a shard, and whatever comes. Several schedulers may consume one shard; each message goes to one.
    pub async fn consume(&self, shard: ShardNo) -> Result<InboxDeliveries, BusError> {
        let puller = Puller::new(&self.link, subject::INBOX, &subject::shard_consumer(shard), AT_ONCE).await?;
        Ok(InboxDeliveries { link: self.link.clone(), puller })
    }

    /// A place for the answer to one command. Put its subject into the command before publishing it.
    pub async fn reply_box(&self) -> Result<ReplyBox, BusError> {
        let subject = self.link.client.new_inbox();
        let answers = self.link.subscribe(Op("subscribe", &subject), None).await?;
        Ok(ReplyBox { subject, answers })
    }

    /// Answers a command. The subject came from outside, so anything that is not an inbox is refused: it could be a queue.
    pub async fn answer(&self, reply_to: &str, answer: &CommandAnswer) -> Result<(), BusError> {
        let op = Op("answer", reply_to);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !reply_to.starts_with(INBOX_PREFIX) || !reply_to.chars().all(plain) {
            return Err(BusError::invalid(op, "not an inbox"));
        }
        let payload = codec::encode(answer).map_err(|error| BusError::unencodable(op, &error))?;
        self.link.tell(op, headers(&[]), payload.into()).await
    }
}

/// What a shard's schedulers get.
#[derive(Debug)]
pub struct InboxDeliveries {
    link: Link,
    puller: Puller,
}

impl InboxDeliveries {
    /// The next message; waits for one. An error (after which one may go on) says that there is no connection or no
    /// consumer now. Never `None` while the process lives. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<InboxDelivery, BusError>> {
        loop {
            match self.puller.next(WAIT).await {
                Err(error) => return Some(Err(error)),
                Ok(Pulled::Nothing | Pulled::Reconnected) => {}
                Ok(Pulled::Message(message)) => {
                    if let Some(delivery) = self.read(&message).await {
                        return Some(Ok(delivery));
                    }
                }
            }
        }
    }

    async fn read(&self, message: &Message) -> Option<InboxDelivery> {
        let delivery = Delivery::of(&self.link, message)?;
        let tokens: Vec<&str> = message.subject.split('.').collect();
        let place = match tokens[..] {
            [_, _, run] => run.parse().ok().map(|run| (run, false)),
            [_, _, run, subject::REPORT] => run.parse().ok().map(|run| (run, true)),
            _ => None,
        };
        let Some((run, from_worker)) = place else {
            tracing::warn!(subject = %message.subject, "a message for no run is thrown away");
            if let Err(error) = delivery.term("its subject names no run").await {
                tracing::warn!(%error, "it will come again");
            }
            return None;
        };
        Some(InboxDelivery {
            run,
            from_worker,
            message: codec::decode(&message.payload),
            seq: delivery.place.seq,
            delivered: delivery.place.delivered,
            traceparent: traceparent(message),
            delivery,
        })
    }
}

/// One message for the scheduler, to be settled by one of the calls below; else it comes again after 30 s.
#[derive(Debug)]
pub struct InboxDelivery {
    pub run: RunId,
    /// It came over the subject of reports, on which workers may publish; nothing but a report is believed from there.
    pub from_worker: bool,
    /// The error says that these bytes will never be a message: `term` it.
    pub message: Result<InboxMessage, CodecError>,
    /// Sequence in the stream.
    pub seq: u64,
    /// How often it was delivered, this time included.
    pub delivered: u64,
    pub traceparent: Option<String>,
    delivery: Delivery,
}

impl InboxDelivery {
    /// Done; returns once the server has confirmed it. On an error it may come again.
    pub async fn ack(&self) -> Result<(), BusError> {
        self.delivery.double_ack().await
    }

    /// Again, at once or after a while.
    pub async fn nak(&self, delay: Option<Duration>) -> Result<(), BusError> {
        self.delivery.nak(delay).await
    }

    /// Still at it: 30 s more.
    pub async fn progress(&self) -> Result<(), BusError> {
        self.delivery.progress().await
    }

    /// Never again.
    pub async fn term(&self, reason: &str) -> Result<(), BusError> {
        self.delivery.term(reason).await
    }
}

/// Where the answer to a command comes in.
#[derive(Debug)]
pub struct ReplyBox {
    /// For [`proto::message::Command::reply_to`].
    pub subject: String,
    answers: Subscriber,
}

impl ReplyBox {
    /// The answer, or `None` if none came in time: the command is stored all the same and will be decided.
    pub async fn wait(mut self, patience: Duration) -> Option<CommandAnswer> {
        let answer = tokio::time::timeout(patience, self.answers.next()).await.ok().flatten()?;
        codec::decode(&answer.payload).inspect_err(|error| tracing::warn!(%error, "an answer to a command cannot be read")).ok()
    }
}
