//! Reading single messages: from the stream's leader where a decision hangs on it, and many of one subject at a time.

use crate::error::{BusError, Op, from_server};
use crate::link::{Link, headers};
use crate::scan::Stored;
use async_nats::StatusCode;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// How much one request for many brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtOnce {
    pub(crate) messages: usize,
    /// At least one message comes, however long it is.
    pub(crate) bytes: Option<usize>,
}

impl AtOnce {
    /// As many as a request may bring.
    pub(crate) const MANY: Self = Self { messages: 1000, bytes: None };
}

#[derive(Deserialize)]
struct Got {
    message: RawMessage,
}

impl Link {
    /// The last message of a subject, from the stream's leader.
    pub(crate) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Stored>, BusError> {
        self.leader_get(stream, subject, json!({ "last_by_subj": subject })).await
    }

    /// The first message of a subject at or after a sequence, from the stream's leader.
    pub(crate) async fn first_from(&self, stream: &str, subject: &str, seq: u64) -> Result<Option<Stored>, BusError> {
        self.leader_get(stream, subject, json!({ "seq": seq.max(1), "next_by_subj": subject })).await
    }

    /// The message at a sequence, from the stream's leader.
    pub(crate) async fn at(&self, stream: &str, seq: u64) -> Result<Option<Stored>, BusError> {
        self.leader_get(stream, stream, json!({ "seq": seq })).await
    }

    async fn leader_get(&self, stream: &str, about: &str, request: Value) -> Result<Option<Stored>, BusError> {
        let subject = format!("STREAM.MSG.GET.{stream}");
        let op = Op("read", &subject);
        let got: Got = match self.api_answer(op, &request).await? {
            Ok(got) => got,
            // "No such message" is an answer; "no such stream" is a fault, and must never look like "nothing is stored".
            Err(told) if told.error_code() == ErrorCode::NO_MESSAGE_FOUND => return Ok(None),
            Err(told) => return Err(from_server(op, &told)),
        };
        let message = StreamMessage::try_from(got.message).map_err(|e| BusError::corrupt(Op("read", about), e))?;
        Ok(Some(Stored { subject: message.subject.to_string(), seq: message.sequence, headers: message.headers, payload: message.payload }))
    }

    /// The first message of a subject at or after a sequence, from whichever server is near. One that lags may say that
    /// there is none.
    pub(crate) async fn near(&self, stream: &str, subject: &str, seq: u64) -> Result<Option<Stored>, BusError> {
        let request = json!({ "seq": seq.max(1), "next_by_subj": subject });
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        let op = Op("read", &asked);
        let answer = self.ask(op, request.to_string().into(), crate::link::PATIENCE).await?;
        match answer.status {
            None | Some(StatusCode::OK) => direct(op, answer).map(Some),
            Some(StatusCode::NOT_FOUND) => Ok(None),
            Some(status) => Err(BusError::unavailable_because(op, status.to_string())),
        }
    }

    /// Some messages of a subject from a sequence on, oldest first, from whichever server is near.
    pub(crate) async fn many(&self, stream: &str, subject: &str, seq: u64, at_once: AtOnce) -> Result<Vec<Stored>, BusError> {
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        let op = Op("read", &asked);
        self.ready(op).await?;
        let inbox = self.client.new_inbox();
        let deadline = tokio::time::Instant::now() + crate::link::PATIENCE;
        let mut request = json!({ "batch": at_once.messages, "seq": seq.max(1), "next_by_subj": subject });
        if let Some(bytes) = at_once.bytes {
            request["max_bytes"] = bytes.into();
        }
        let request = request.to_string();
        let all = async {
            let unavailable = |e: async_nats::SubscribeError| BusError::unavailable_because(op, e);
            let mut answers = self.client.subscribe(inbox.clone()).await.map_err(unavailable)?;
            let sent = self.client.publish_with_reply_and_headers(asked.clone(), inbox.clone(), headers(&[]), request.into());
            sent.await.map_err(|e| BusError::unavailable_because(op, e))?;
            let mut found = Vec::new();
            while let Some(answer) = answers.next().await {
                match answer.status {
                    None | Some(StatusCode::OK) => found.push(direct(op, answer)?),
                    // 204: that was all; 404: there is none.
                    Some(status) if status.as_u16() == 204 || status == StatusCode::NOT_FOUND => return Ok(found),
                    Some(status) => return Err(BusError::unavailable_because(op, status.to_string())),
                }
            }
            Err(BusError::unavailable(op))
        };
        self.bounded(op, deadline, all).await
    }
}

/// A message that was read directly says in its headers where it is stored.
fn direct(op: Op<'_>, answer: async_nats::Message) -> Result<Stored, BusError> {
    let headers = answer.headers.unwrap_or_default();
    let of = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let place = of("Nats-Sequence").and_then(|seq| seq.parse().ok()).zip(of("Nats-Subject"));
    let (seq, subject) = place.ok_or_else(|| BusError::corrupt(op, "the answer does not say where it is stored"))?;
    Ok(Stored { subject, seq, headers, payload: answer.payload })
}
