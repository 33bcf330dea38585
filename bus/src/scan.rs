//! Reading much of a stream at once: the last message of every subject under a filter, through a consumer that exists only
//! for the reading; and all messages of one subject.
//!
//! Such a consumer may be served by a follower that lags: good for lists, not for decisions.

use crate::error::{BusError, Op};
use crate::link::Link;
use crate::pull::{Pulled, Puller};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

/// Messages a request; also what is held in memory of a stream that is being read.
pub(crate) const BATCH: usize = 256;
/// How long the server keeps a reading consumer that nobody reads from.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

/// A message as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) seq: u64,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Stored {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub(crate) stream: &'a str,
    pub(crate) subjects: &'a str,
    pub(crate) headers_only: bool,
}

/// A consumer made for reading the last message of each subject: its name, and how many messages are to come.
pub(crate) async fn reading_consumer(link: &Link, filter: Filter<'_>) -> Result<(String, u64), BusError> {
    consumer_from(link, filter, DeliverPolicy::LastPerSubject).await
}

async fn consumer_from(link: &Link, filter: Filter<'_>, deliver_policy: DeliverPolicy) -> Result<(String, u64), BusError> {
    let name = format!("read-{}", uuid::Uuid::new_v4().simple());
    let config = consumer::Config {
        name: Some(name.clone()),
        filter_subject: filter.subjects.to_owned(),
        deliver_policy,
        ack_policy: AckPolicy::None,
        headers_only: filter.headers_only,
        inactive_threshold: FORGOTTEN_AFTER,
        memory_storage: true,
        num_replicas: 1,
        ..consumer::Config::default()
    };
    let subject = format!("CONSUMER.CREATE.{}.{name}.{}", filter.stream, filter.subjects);
    let body = json!({ "stream_name": filter.stream, "config": config, "action": "create" });
    let made: consumer::Info = link.api(Op("read", &subject), &body).await?;
    Ok((name, made.num_pending))
}

/// The last message of every subject that the filter lets through.
pub(crate) async fn last_of_each(link: &Link, filter: Filter<'_>) -> Result<Vec<Stored>, BusError> {
    read_all(link, filter, DeliverPolicy::LastPerSubject).await
}

/// Every message that the filter lets through, from a sequence on.
pub(crate) async fn all_from(link: &Link, filter: Filter<'_>, start_sequence: u64) -> Result<Vec<Stored>, BusError> {
    read_all(link, filter, DeliverPolicy::ByStartSequence { start_sequence }).await
}

async fn read_all(link: &Link, filter: Filter<'_>, deliver_policy: DeliverPolicy) -> Result<Vec<Stored>, BusError> {
    let (name, pending) = consumer_from(link, filter, deliver_policy).await?;
    if pending == 0 {
        forget(link, filter.stream, &name);
        return Ok(Vec::new());
    }
    let mut puller = Puller::reading(link, filter.stream, &name, BATCH).await?;
    let mut found = Vec::with_capacity(usize::try_from(pending.min(1 << 16)).unwrap_or(0));
    loop {
        match puller.next(crate::link::PATIENCE).await? {
            Pulled::Message(message) => {
                let (stored, left) = from_delivery(&message)?;
                found.push(stored);
                if left == 0 {
                    forget(link, filter.stream, &name);
                    return Ok(found);
                }
            }
            // What was to come may have expired meanwhile.
            Pulled::Nothing if nothing_left(link, filter.stream, &name).await? => return Ok(found),
            // The rest was on its way over a connection that is gone, or is not coming.
            Pulled::Reconnected | Pulled::Nothing => return Err(BusError::unavailable(Op("read", filter.subjects))),
        }
    }
}

async fn nothing_left(link: &Link, stream: &str, name: &str) -> Result<bool, BusError> {
    let subject = format!("CONSUMER.INFO.{stream}.{name}");
    let info: consumer::Info = link.api(Op("look at", &subject), &json!({})).await?;
    Ok(info.num_pending == 0)
}

/// Tells the server that the consumer is not needed any more; if it is not told, it forgets by itself.
fn forget(link: &Link, stream: &str, name: &str) {
    let link = link.clone();
    let subject = format!("CONSUMER.DELETE.{stream}.{name}");
    tokio::spawn(async move {
        let gone: Result<serde_json::Value, BusError> = link.api(Op("forget", &subject), &json!({})).await;
        if let Err(error) = gone {
            tracing::debug!(%error, "a reading consumer is left to expire");
        }
    });
}

/// A delivered message and how many come after it.
pub(crate) fn from_delivery(message: &Message) -> Result<(Stored, u64), BusError> {
    let place = Place::of(message).ok_or_else(|| BusError::Corrupt {
        what: format!("message on {}", message.subject),
        source: Some("it does not say where it is stored".into()),
    })?;
    let stored = Stored {
        subject: message.subject.to_string(),
        seq: place.seq,
        headers: message.headers.clone().unwrap_or_default(),
        payload: message.payload.clone(),
    };
    Ok((stored, place.pending))
}

/// What a delivery says about itself in its reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    /// From 1.
    pub(crate) delivered: u64,
    pub(crate) pending: u64,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>`, in newer servers with a domain and
    /// an account before the stream and possibly a token at the end.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let tokens: Vec<&str> = message.reply.as_ref()?.split('.').collect();
        let first = match tokens.len() {
            9 => 4,
            11.. => 6,
            _ => return None,
        };
        if tokens[..2] != ["$JS", "ACK"] {
            return None;
        }
        let number = |at: usize| tokens.get(first + at)?.parse().ok();
        Some(Self { delivered: number(0)?, seq: number(1)?, pending: number(4)? })
    }
}
