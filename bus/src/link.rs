//! One connection to NATS and the few things that are done over it: publish with an acknowledgement, publish without one,
//! request, subscribe. Everything here is bounded in time, tells "not stored" from "unknown", and speaks [`BusError`].
//!
//! Which subject means what is not known here.

use crate::error::{BusError, Op, from_server};
use crate::signs::Signs;
use async_nats::client::{Request, RequestErrorKind};
use async_nats::connection::State;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long anything may take in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How much of it may be spent waiting for a connection, so that enough is left for the answer.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is waited for after the connection it was asked on was lost and another one made.
const AFTER_RECONNECTING: Duration = Duration::from_secs(1);

/// What every place for answers begins with.
const SHARED_INBOX: &str = "_INBOX";

/// A connection; a cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) js: Context,
    pub(crate) signs: Signs,
    /// Answers come in where those of every client do that is none of the roles: there is no telling whose they are.
    pub(crate) shared_inbox: bool,
}

impl Link {
    /// Whether several servers may answer a read.
    pub(crate) fn is_clustered(&self) -> bool {
        self.client.server_info().cluster.is_some()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns when there is a connection. Without one nothing is handed to the client, because it would keep it and
    /// send it whenever the connection comes back, long after the caller was told that it failed.
    pub(crate) async fn ready(&self, op: Op<'_>) -> Result<(), BusError> {
        if self.is_connected() {
            return Ok(());
        }
        let mut epoch = self.signs.epoch();
        let connected = async {
            while !self.is_connected() {
                // The event may have been counted just before we looked.
                let _ = tokio::time::timeout(Duration::from_millis(50), epoch.changed()).await;
            }
        };
        tokio::time::timeout(CONNECTION_PATIENCE, connected).await.map_err(|_| BusError::unavailable(op))
    }

    /// Publishes into a stream and waits for the acknowledgement.
    pub(crate) async fn publish(&self, op: Op<'_>, headers: HeaderMap, payload: Bytes) -> Result<PublishAck, BusError> {
        let deadline = Instant::now() + PATIENCE;
        self.ready(op).await?;
        let acked = async {
            let sent = self.publish_sent(op, headers, payload).await?;
            failpoint::failpoint!("bus.sent", op.1);
            sent.await.map_err(|error| self.publish_failed(op, &error))
        };
        self.bounded(op, deadline, acked).await
    }

    /// Publishes into a stream; the acknowledgement is waited for later. The operation's object is the subject.
    pub(crate) async fn publish_sent(&self, op: Op<'_>, headers: HeaderMap, payload: Bytes) -> Result<PublishAckFuture, BusError> {
        self.ready(op).await?;
        let bytes = payload.len();
        let message = PublishMessage::build().headers(headers).payload(payload);
        let sent = self.js.send_publish(op.1.to_owned(), message);
        match tokio::time::timeout(PATIENCE, sent).await {
            // Waiting for a free place among the unacknowledged: nothing was sent yet.
            Err(_) => Err(BusError::unavailable(op)),
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(BusError::TooLarge { what: op.to_string(), bytes, limit: self.client.max_payload() })
            }
            Ok(sent) => sent.map_err(|error| self.publish_failed(op, &error)),
        }
    }

    pub(crate) fn publish_failed(&self, op: Op<'_>, error: &async_nats::jetstream::context::PublishError) -> BusError {
        let told = std::error::Error::source(error).and_then(|s| s.downcast_ref::<jetstream::Error>());
        match (error.kind(), told) {
            (_, Some(told)) => from_server(op, told),
            (PublishErrorKind::StreamNotFound | PublishErrorKind::MaxAckPending, None) => BusError::unavailable(op),
            (PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId, None) => {
                BusError::Conflict { what: op.to_string() }
            }
            (PublishErrorKind::MaxPayloadExceeded, None) => {
                BusError::TooLarge { what: op.to_string(), bytes: 0, limit: self.client.max_payload() }
            }
            // An answer that cannot be read, or a connection that ended while waiting: nobody knows.
            (PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe | PublishErrorKind::Other, None) => BusError::timeout(op),
        }
    }

    /// Publishes without an acknowledgement. Lost if nobody listens.
    pub(crate) async fn tell(&self, op: Op<'_>, headers: HeaderMap, payload: Bytes) -> Result<(), BusError> {
        self.ready(op).await?;
        let sent = self.client.publish_with_headers(op.1.to_owned(), headers, payload);
        self.bounded(op, Instant::now() + PATIENCE, async { sent.await.map_err(|error| BusError::unavailable_because(op, error)) }).await
    }

    /// Asks whoever listens on the operation's object and waits for one answer.
    pub(crate) async fn ask(&self, op: Op<'_>, payload: Bytes, patience: Duration) -> Result<Message, BusError> {
        let deadline = Instant::now() + patience;
        self.ready(op).await?;
        let answered = async {
            let request = Request::new().payload(payload).timeout(Some(patience + PATIENCE));
            self.client.send_request(op.1.to_owned(), request).await.map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => BusError::unavailable(op),
                RequestErrorKind::TimedOut | RequestErrorKind::Other => BusError::timeout(op),
                RequestErrorKind::InvalidSubject => BusError::invalid(op, "not a subject"),
                RequestErrorKind::MaxPayloadExceeded => {
                    BusError::TooLarge { what: op.to_string(), bytes: 0, limit: self.client.max_payload() }
                }
            })
        };
        self.bounded(op, deadline, answered).await
    }

    /// A request to the JetStream API; the operation's object is its subject without the prefix.
    pub(crate) async fn api<T: Serialize, A: DeserializeOwned>(&self, op: Op<'_>, body: &T) -> Result<A, BusError> {
        self.api_answer(op, body).await?.map_err(|told| from_server(op, &told))
    }

    /// The same, with the server's own words when it says no.
    pub(crate) async fn api_answer<T: Serialize, A: DeserializeOwned>(
        &self,
        op: Op<'_>,
        body: &T,
    ) -> Result<Result<A, jetstream::Error>, BusError> {
        let subject = format!("$JS.API.{}", op.1);
        let body = serde_json::to_vec(body).map_err(|e| BusError::invalid(op, e.to_string()))?;
        let answer = self.ask(Op(op.0, &subject), body.into(), PATIENCE).await?;
        Ok(match serde_json::from_slice(&answer.payload).map_err(|e| BusError::corrupt(op, e))? {
            Response::Ok(answer) => Ok(answer),
            Response::Err { error } => Err(error),
        })
    }

    /// Subscribes, and returns once the server knows of it.
    pub(crate) async fn subscribe(&self, op: Op<'_>, queue: Option<&str>) -> Result<Subscriber, BusError> {
        self.ready(op).await?;
        let began = Instant::now();
        let subscribed = async {
            let made = match queue {
                None => self.client.subscribe(op.1.to_owned()).await,
                Some(queue) => self.client.queue_subscribe(op.1.to_owned(), queue.to_owned()).await,
            };
            let subscriber = made.map_err(|error| BusError::unavailable_because(op, error))?;
            // A flush only writes; an answer proves that what was written before it was read. A refusal comes before the
            // answer, but by another way through this process: the second answer is later than that.
            self.round_trip().await?;
            self.round_trip().await?;
            Ok(subscriber)
        };
        self.bounded(op, began + PATIENCE, subscribed).await
    }

    /// Whether a place for an answer, named by whoever asked, is theirs: in `inbox`, which is where a user of their kind
    /// hears answers. Anything else could be a queue, or another role's ear; the answer would be ours, not theirs.
    pub(crate) fn may_answer(&self, place: &str, inbox: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let inside = |inbox: &str| place.strip_prefix(inbox).is_some_and(|rest| rest.starts_with('.'));
        place.chars().all(plain) && (inside(inbox) || (self.shared_inbox && place.starts_with(SHARED_INBOX)))
    }

    /// A real round trip to JetStream.
    pub(crate) async fn round_trip(&self) -> Result<(), BusError> {
        let _: serde_json::Value = self.api(Op("ask", "INFO"), &serde_json::json!({})).await?;
        Ok(())
    }

    /// Ends a wait at its deadline; at once when the server refuses the operation's object for want of a permission; and
    /// soon after the connection was made anew, because an answer to what was asked on the old one hardly comes any more.
    pub(crate) fn bounded<T>(
        &self,
        op: Op<'_>,
        deadline: Instant,
        work: impl Future<Output = Result<T, BusError>>,
    ) -> impl Future<Output = Result<T, BusError>> {
        self.bounded_since(op, Instant::now(), deadline, work)
    }

    /// The same for something that began before: its refusal may have come already.
    pub(crate) async fn bounded_since<T>(
        &self,
        op: Op<'_>,
        began: Instant,
        deadline: Instant,
        work: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        let mut epoch = self.signs.epoch();
        let connection_lost = async {
            if epoch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(AFTER_RECONNECTING).await;
        };
        tokio::select! {
            biased;
            () = self.signs.denied(op.1, began) => Err(BusError::denied(op, op.1, &self.signs.who)),
            done = timeout_at(deadline, work) => done.unwrap_or_else(|_| Err(BusError::timeout(op))),
            () = connection_lost => Err(BusError::timeout(op)),
        }
    }
}

/// Headers from pairs.
pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.insert(*name, *value);
    }
    map
}
