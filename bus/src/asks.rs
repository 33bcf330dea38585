//! A worker's two questions to the scheduler, and the answers. Request and reply, not stored.

use crate::error::{BusError, Op};
use crate::layout::SCHEDULER_GROUP;
use crate::link::{Link, headers};
use crate::users::Role;
use async_nats::Subscriber;
use futures_util::StreamExt as _;
use proto::codec;
use proto::message::{Ask, AskAnswer};
use proto::{Seat, ShardNo, subject};
use std::time::Duration;

/// Asking and answering.
#[derive(Debug, Clone)]
pub struct Asks {
    link: Link,
}

impl Asks {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Asks the scheduler of the run's shard. [`BusError::Unavailable`]: there is none just now.
    /// [`BusError::Timeout`]: it may have decided; ask again with the same nonce.
    pub async fn ask(&self, ask: &Ask, timeout: Duration) -> Result<AskAnswer, BusError> {
        let subject = subject::begin(ask.id.run.shard(), &ask.seat());
        let op = Op("ask", &subject);
        let payload = codec::encode(ask).map_err(|error| BusError::unencodable(op, &error))?;
        let answer = self.link.ask(op, payload.into(), timeout).await?;
        codec::decode(&answer.payload).map_err(|error| BusError::corrupt(op, error))
    }

    /// The questions for a shard. Several schedulers may serve one; each question goes to one of them.
    pub async fn serve(&self, shard: ShardNo) -> Result<AskRequests, BusError> {
        let subject = subject::begins_of_shard(shard);
        let requests = self.link.subscribe(Op("serve", &subject), Some(SCHEDULER_GROUP)).await?;
        Ok(AskRequests { link: self.link.clone(), requests })
    }
}

/// Questions as they come.
#[derive(Debug)]
pub struct AskRequests {
    link: Link,
    requests: Subscriber,
}

impl AskRequests {
    /// The next question that can be read and answered; `None` when the connection was closed for good.
    pub async fn next(&mut self) -> Option<AskRequest> {
        loop {
            let message = self.requests.next().await?;
            let tokens: Vec<&str> = message.subject.split('.').collect();
            let seat = if let [_, _, pool, worker] = tokens[..] { Seat::of_tokens(pool, worker) } else { None };
            let (Some(seat), Some(reply)) = (seat, message.reply) else { continue };
            if !self.link.may_answer(&reply, &Role::Worker(seat.clone()).inbox()) {
                tracing::warn!(%seat, "a question wants its answer where its worker has no ear; it stays without one");
                continue;
            }
            match codec::decode(&message.payload) {
                Ok(ask) => return Some(AskRequest { ask, seat, link: self.link.clone(), reply: reply.to_string() }),
                Err(error) => tracing::warn!(%seat, %error, "a question that cannot be read stays without an answer"),
            }
        }
    }
}

/// One question.
#[derive(Debug)]
pub struct AskRequest {
    /// What is asked, and who claims to ask.
    pub ask: Ask,
    /// Where it came from, by its subject: what NATS permitted.
    pub seat: Seat,
    link: Link,
    reply: String,
}

impl AskRequest {
    /// Answers it. Whether the answer arrives nobody knows; the worker asks again with the same nonce.
    pub async fn answer(self, answer: &AskAnswer) -> Result<(), BusError> {
        let op = Op("answer", &self.reply);
        let payload = codec::encode(answer).map_err(|error| BusError::unencodable(op, &error))?;
        self.link.tell(op, headers(&[]), payload.into()).await
    }
}
