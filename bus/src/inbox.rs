//! INBOX: triggers, commands and reports on their way to the scheduler, and the answers to commands on their way back.

use crate::dead_letters::{self, DeadLetters};
use crate::delivery::{self, Delivery, traceparent};
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::pull::{Pulled, Puller};
use crate::users::Role;
use async_nats::jetstream::consumer;
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use proto::codec::{self, CodecError};
use proto::ids::AttemptId;
use proto::message::{CommandAnswer, InboxMessage, Report, ReportWhat, Trigger};
use proto::subject::{self, TRACEPARENT_HEADER};
use proto::{RunId, Seat, ShardNo};
use serde_json::json;
use std::time::Duration;

/// Messages a pull; they wait in memory, and their time to be acknowledged runs meanwhile.
const AT_ONCE: usize = 64;
const MESSAGE_ID: &str = "Nats-Msg-Id";
const WAIT: Duration = Duration::from_secs(30);
/// A run's trigger is its first message; a few commands for a run that is not there yet may stand before it.
const LOOK_AT: usize = 32;
/// Reports of one worker about one run that may stand behind a message that nobody acknowledges for as long as that takes.
const LOOK_AT_REPORTS: usize = 4096;

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
            InboxMessage::Report(report) => subject::inbox_report(run, &report.seat()),
        };
        let op = Op("publish to", &subject);
        if message_id.is_empty() || message_id.chars().any(char::is_control) {
            return Err(BusError::invalid(op, "a message id is a text without control characters"));
        }
        let mut headers = headers(&[(MESSAGE_ID, message_id)]);
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

    /// The end of an attempt as the worker in a seat told it, if nobody has acknowledged that yet; read from the stream's
    /// leader. Looked for from where the consumer's acknowledgements have a first gap, among the worker's reports about the
    /// run, which may be about many of its jobs.
    pub async fn unsettled_end(&self, id: AttemptId, seat: &Seat) -> Result<Option<Report>, BusError> {
        let subject = subject::inbox_report(id.run, seat);
        let mut from = self.info(id.run.shard()).await?.ack_floor.stream_sequence + 1;
        for _ in 0..LOOK_AT_REPORTS {
            let Some(stored) = self.link.first_from(subject::INBOX, &subject, from).await? else { return Ok(None) };
            from = stored.seq + 1;
            // What is not for its subject, or of a newer version: whoever reads the inbox says so.
            if let Ok(InboxMessage::Report(report)) = codec::decode(&stored.payload)
                && report.id == id
                && report.seat() == *seat
                && matches!(report.what, ReportWhat::Ended(_))
            {
                return Ok(Some(*report));
            }
        }
        Ok(None)
    }

    /// What is there for a shard, and whatever comes. Several schedulers may consume one shard; each message goes to one.
    pub async fn consume(&self, shard: ShardNo) -> Result<InboxDeliveries, BusError> {
        let puller = Puller::new(&self.link, subject::INBOX, &subject::shard_consumer(shard), AT_ONCE).await?;
        Ok(InboxDeliveries { link: self.link.clone(), puller })
    }

    /// How many messages of a shard nobody has been given yet. Fails when the stream or its consumer is not there.
    pub async fn depth(&self, shard: ShardNo) -> Result<u64, BusError> {
        Ok(self.info(shard).await?.num_pending)
    }

    async fn info(&self, shard: ShardNo) -> Result<consumer::Info, BusError> {
        let subject = format!("CONSUMER.INFO.{}.{}", subject::INBOX, subject::shard_consumer(shard));
        self.link.api(Op("look at", &subject), &json!({})).await
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
        if !self.link.may_answer(reply_to, &Role::Gateway.inbox()) {
            return Err(BusError::invalid(op, "not an inbox of a gateway"));
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

    /// Nothing more is wanted. What was on its way goes back at once, for whoever consumes after this.
    pub async fn close(self) {
        delivery::give_back(&self.link, self.puller.close().await).await;
    }

    async fn read(&self, message: &Message) -> Option<InboxDelivery> {
        let delivery = Delivery::of(&self.link, message)?;
        let tokens: Vec<&str> = message.subject.split('.').collect();
        let place = match tokens[..] {
            [_, _, run] => run.parse().ok().map(|run| (run, None)),
            [_, _, run, subject::REPORT, pool, worker] => {
                run.parse().ok().zip(Seat::of_tokens(pool, worker)).map(|(run, seat)| (run, Some(seat)))
            }
            _ => None,
        };
        let Some((run, seat)) = place else {
            let why = "its subject names no run";
            tracing::error!(subject = %message.subject, why, "a message is thrown away");
            let about = dead_letters::about(subject::INBOX, message, (delivery.place.seq, delivery.place.delivered), why);
            if let Err(error) = DeadLetters::new(self.link.clone()).bury(&about, message.payload.clone()).await {
                tracing::warn!(%error, "a message that is thrown away could not be kept for people");
            }
            if let Err(error) = delivery.term(why).await {
                tracing::warn!(%error, "it will come again");
            }
            return None;
        };
        Some(InboxDelivery {
            run,
            seat,
            message: codec::decode(&message.payload),
            seq: delivery.place.seq,
            delivered: delivery.place.delivered,
            traceparent: traceparent(message),
            message_id: message.headers.as_ref().and_then(|headers| headers.get(MESSAGE_ID)).map(|id| id.as_str().to_owned()),
            link: self.link.clone(),
            raw: message.clone(),
            delivery,
        })
    }
}

/// One message for the scheduler, to be settled by one of the calls below; else it comes again after 30 s.
#[derive(Debug)]
pub struct InboxDelivery {
    pub run: RunId,
    /// The worker it came from, by its subject; `None`: a gateway. Nothing but that worker's own reports is believed from
    /// there.
    pub seat: Option<Seat>,
    /// The error says that these bytes will never be a message: `term` it.
    pub message: Result<InboxMessage, CodecError>,
    /// Sequence in the stream.
    pub seq: u64,
    /// How often it was delivered, this time included.
    pub delivered: u64,
    pub traceparent: Option<String>,
    /// The id it was stored under: the same for every delivery of one message, and for no other message.
    pub message_id: Option<String>,
    link: Link,
    raw: Message,
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

    /// Keeps it for people, because it could not be handled: in DEAD, once. It is not settled by this.
    pub async fn bury(&self, why: &str) -> Result<(), BusError> {
        let place = (self.seq, self.delivered);
        let about = dead_letters::about(subject::INBOX, &self.raw, place, why);
        DeadLetters::new(self.link.clone()).bury(&about, self.raw.payload.clone()).await
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
