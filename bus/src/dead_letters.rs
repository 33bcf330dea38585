//! DEAD: messages that nobody could handle, as they were, with what is known about them. Something for people: nothing is
//! ever decided by it. Whoever buries a message may do so twice; it is stored once.

use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::read::AtOnce;
use async_nats::Message;
use async_nats::jetstream::stream::Info;
use bytes::Bytes;
use proto::codec;
use proto::message::DeadLetter;
use proto::subject;
use serde_json::json;

/// Header: what is known about the message, as JSON.
const ABOUT_HEADER: &str = "Navvy-Dead";

/// Messages that nobody could handle.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    link: Link,
}

/// A dead letter as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// Sequence in the stream: where to go on from.
    pub seq: u64,
    pub about: DeadLetter,
    /// The message itself.
    pub payload: Bytes,
}

impl DeadLetters {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Keeps a message for people. Repeats, as long as the message itself can come again, store nothing.
    pub(crate) async fn bury(&self, about: &DeadLetter, payload: Bytes) -> Result<(), BusError> {
        let subject = subject::dead(&about.stream);
        let op = Op("bury in", &subject);
        let told = codec::encode(about).map_err(|error| BusError::unencodable(op, &error))?;
        let told = String::from_utf8(told).map_err(|error| BusError::invalid(op, error.to_string()))?;
        let id = format!("{}.{}", about.stream, about.seq);
        self.link.publish(op, headers(&[("Nats-Msg-Id", &id), (ABOUT_HEADER, &told)]), payload).await.map(|_| ())
    }

    /// Dead letters behind a sequence (0: from the first one), oldest first, as many as one request brings.
    pub async fn list(&self, after_seq: u64) -> Result<Vec<Buried>, BusError> {
        let found = self.link.many(subject::DEAD, "dead.>", after_seq.saturating_add(1), AtOnce::MANY).await?;
        let read = |stored: crate::scan::Stored| {
            let about = stored.header(ABOUT_HEADER).and_then(|text| codec::decode(text.as_bytes()).ok());
            if about.is_none() {
                tracing::warn!(seq = stored.seq, "a dead letter does not say what it is");
            }
            about.map(|about| Buried { seq: stored.seq, about, payload: stored.payload })
        };
        Ok(found.into_iter().filter_map(read).collect())
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64, BusError> {
        let info: Info = self.link.api(Op("look at", "STREAM.INFO.DEAD"), &json!({})).await?;
        Ok(info.state.messages)
    }
}

/// What is known about a message that was delivered and cannot be handled.
pub(crate) fn about(stream: &str, message: &Message, (seq, deliveries): (u64, u64), why: &str) -> DeadLetter {
    DeadLetter {
        stream: stream.to_owned(),
        subject: message.subject.to_string(),
        seq,
        deliveries,
        at: proto::Timestamp::now(),
        why: why.chars().filter(|c| !c.is_control()).take(500).collect(),
    }
}
