//! Pulling from a consumer: one request at a time for up to N messages, asked again when it is used up, has expired, or
//! died with the connection.
//!
//! Our own, because both ways of the client lose time or messages with small batches and heartbeats, and because only
//! here is it known that a request died with the connection it was made on.

use crate::delivery;
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The server says that it is still there this often while a request waits.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Missing so long, the request is taken for lost. More than two heartbeats.
const SILENCE: Duration = Duration::from_secs(12);
/// After an answer that would come again at once.
const PAUSE: Duration = Duration::from_millis(250);

/// How long the server may take to send what was under way when the pulling ended.
const CLOSING: Duration = Duration::from_secs(1);

/// What a wait brought.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// A message.
    Message(Box<Message>),
    /// The wait is over and there was none.
    Nothing,
    /// The connection is another one: what was asked for on the old one is lost, and so is what was under way. What had
    /// come over it and nobody had taken was given back.
    Reconnected,
}

/// One consumer, pulled by one reader.
#[derive(Debug)]
pub(crate) struct Puller {
    link: Link,
    name: String,
    request_subject: String,
    answer_subject: String,
    answers: Subscriber,
    epoch: watch::Receiver<u64>,
    batch: usize,
    /// How many messages the server still owes us for the request under way.
    owed: usize,
    asked_at: Instant,
    silent_at: Instant,
    not_before: Instant,
    /// Whether the server waits for an acknowledgement of each message. Only then may one be given back.
    acknowledged: bool,
}

impl Puller {
    /// A reader of a consumer that must exist, whose messages are acknowledged.
    pub(crate) async fn new(link: &Link, stream: &str, consumer: &str, batch: usize) -> Result<Self, BusError> {
        Ok(Self { acknowledged: true, ..Self::reading(link, stream, consumer, batch).await? })
    }

    /// A reader of a consumer that asks for no acknowledgement.
    pub(crate) async fn reading(link: &Link, stream: &str, consumer: &str, batch: usize) -> Result<Self, BusError> {
        let answer_subject = link.client.new_inbox();
        let epoch = link.signs.epoch();
        let answers = link.subscribe(Op("subscribe", &answer_subject), None).await?;
        let now = Instant::now();
        Ok(Self {
            link: link.clone(),
            name: format!("{consumer} of {stream}"),
            request_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            answer_subject,
            answers,
            epoch,
            batch,
            owed: 0,
            asked_at: now,
            silent_at: now,
            not_before: now,
            acknowledged: false,
        })
    }

    /// The next message, waiting up to `wait` on the server's clock. Dropping the future loses nothing: the request stays
    /// under way and the next call takes what it brings.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Pulled, BusError> {
        let until = Instant::now() + wait;
        loop {
            if self.epoch.has_changed().unwrap_or(false) {
                self.start_over().await;
                return Ok(Pulled::Reconnected);
            }
            if self.owed == 0
                && let Some(done) = self.request(until).await?
            {
                return Ok(done);
            }
            // A little later than the server, so that its last word is heard.
            let patience = self.silent_at.min(until + Duration::from_millis(500));
            tokio::select! {
                biased;
                message = self.answers.next() => match message {
                    Some(message) => if let Some(pulled) = self.take(message)? { return Ok(pulled) },
                    None => return Err(BusError::unavailable(Op("pull from", &self.name))),
                },
                () = self.link.signs.denied(&self.request_subject, self.asked_at) => {
                    self.owed = 0;
                    self.not_before = Instant::now() + PAUSE;
                    return Err(BusError::denied(Op("pull from", &self.name), &self.request_subject, &self.link.signs.who));
                }
                _ = self.epoch.changed() => {
                    self.start_over().await;
                    return Ok(Pulled::Reconnected);
                }
                () = tokio::time::sleep_until(patience) => {
                    if Instant::now() >= self.silent_at {
                        self.owed = 0;
                    }
                    if Instant::now() >= until {
                        return Ok(Pulled::Nothing);
                    }
                }
            }
        }
    }

    /// The connection is another one. What came over the old one and was not taken yet is given back instead of used: a
    /// server that was killed may not know any more that it handed it out, and then no acknowledgement is ever answered,
    /// each for as long as one is waited for. It sends it anew; and so does a server that does know, at once.
    async fn start_over(&mut self) {
        self.epoch.mark_unchanged();
        self.owed = 0;
        let mut stale = Vec::new();
        while let Some(Some(message)) = self.answers.next().now_or_never() {
            if matches!(message.status, None | Some(StatusCode::OK)) {
                stale.push(message);
            }
        }
        if self.acknowledged {
            // Dropped half-way, or not heard: it comes again when its time to be acknowledged is over.
            delivery::give_back(&self.link, stale).await;
        }
    }

    /// Ends the pulling, and gives what was sent to it and never taken. Without this the server may send one more message to
    /// the request under way, where nobody reads it, and miss it only when its time to be acknowledged is over.
    pub(crate) async fn close(mut self) -> Vec<Message> {
        let mut left = Vec::new();
        // Not heard of by the server, or not in time: what it sends meanwhile comes back by itself.
        if self.answers.drain().await.is_ok() {
            while let Ok(Some(message)) = tokio::time::timeout(CLOSING, self.answers.next()).await {
                if matches!(message.status, None | Some(StatusCode::OK)) {
                    left.push(message);
                }
            }
        }
        left
    }

    /// Sends a request for what is left of the wait; none left is the end of it.
    async fn request(&mut self, until: Instant) -> Result<Option<Pulled>, BusError> {
        if self.not_before > Instant::now() {
            tokio::time::sleep_until(self.not_before.min(until)).await;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Ok(Some(Pulled::Nothing));
        }
        let mut body = json!({ "batch": self.batch, "expires": nanos(left) });
        if left >= HEARTBEAT * 2 {
            body["idle_heartbeat"] = nanos(HEARTBEAT).into();
            self.silent_at = Instant::now() + SILENCE;
        } else {
            self.silent_at = Instant::now() + left + Duration::from_secs(1);
        }
        let op = Op("pull from", &self.name);
        self.link.ready(op).await?;
        self.asked_at = Instant::now();
        let sent = self.link.client.publish_with_reply_and_headers(
            self.request_subject.clone(),
            self.answer_subject.clone(),
            headers(&[]),
            body.to_string().into(),
        );
        match tokio::time::timeout(crate::link::PATIENCE, sent).await {
            Ok(Ok(())) => self.owed = self.batch,
            Ok(Err(error)) => return Err(BusError::unavailable_because(op, error)),
            Err(_) => return Err(BusError::unavailable(op)),
        }
        Ok(None)
    }

    /// A message, or what the server says about the request; `None`: go on.
    fn take(&mut self, message: Message) -> Result<Option<Pulled>, BusError> {
        self.silent_at = self.silent_at.max(Instant::now() + SILENCE);
        let op = Op("pull from", &self.name);
        match message.status {
            None | Some(StatusCode::OK) => {
                self.owed = self.owed.saturating_sub(1);
                Ok(Some(Pulled::Message(Box::new(message))))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(None),
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.owed = 0;
                Ok(Some(Pulled::Nothing))
            }
            Some(status) => {
                self.owed = 0;
                self.not_before = Instant::now() + PAUSE;
                let why = message.description.as_deref().unwrap_or_default();
                if status == StatusCode::NO_RESPONDERS {
                    return Err(BusError::unavailable(op));
                }
                if why.contains("Deleted") {
                    return Err(BusError::not_found(op));
                }
                // Leadership change, server shutdown, too many waiting: it passes.
                tracing::debug!(consumer = self.name, %status, why, "pull ended early");
                Err(BusError::unavailable_because(op, format!("{status} {why}")))
            }
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
