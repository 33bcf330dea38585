//! WORK: job orders. One durable consumer a pool; a worker takes one order at a time when it has a free slot.

use crate::dead_letters::{self, DeadLetters};
use crate::delivery::{self, Delivery};
use crate::error::{BusError, Op};
use crate::inbox::Stored;
use crate::link::{Link, headers};
use crate::pull::{Pulled, Puller};
use async_nats::Message;
use async_nats::jetstream::consumer;
use proto::codec;
use proto::message::JobOrder;
use proto::{PoolName, subject};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// The queues of all pools.
#[derive(Debug, Clone)]
pub struct WorkQueue {
    link: Link,
}

impl WorkQueue {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Queues an order. A repeat for the same attempt within an hour queues nothing and is a success.
    pub async fn publish(&self, order: &JobOrder) -> Result<Stored, BusError> {
        self.publish_as(order, &subject::order_message_id(order.id)).await
    }

    async fn publish_as(&self, order: &JobOrder, message_id: &str) -> Result<Stored, BusError> {
        let subject = subject::work(&order.pool);
        let op = Op("publish to", &subject);
        let payload = codec::encode(order).map_err(|error| BusError::unencodable(op, &error))?;
        let headers = headers(&[("Nats-Msg-Id", message_id)]);
        let ack = self.link.publish(op, headers, payload.into()).await?;
        Ok(Stored { seq: ack.sequence, duplicate: ack.duplicate })
    }

    /// Queues an order again that is known to be gone from the queue although nobody began: under another id, so that it is
    /// not taken for a repeat. `gone` is the sequence it had.
    pub async fn publish_again(&self, order: &JobOrder, gone: u64) -> Result<Stored, BusError> {
        self.publish_as(order, &format!("{}.{gone}", subject::order_message_id(order.id))).await
    }

    /// Whether an order, by the sequence it was stored at, is still in the queue: nobody has acknowledged it.
    pub async fn is_waiting(&self, seq: u64) -> Result<bool, BusError> {
        Ok(self.link.at(subject::WORK, seq).await?.is_some())
    }

    /// How many orders of a pool no worker has taken for good: waiting, or handed out and not acknowledged.
    pub async fn depth(&self, pool: &PoolName) -> Result<u64, BusError> {
        let subject = format!("CONSUMER.INFO.{}.{}", subject::WORK, subject::pool_consumer(pool));
        let info: consumer::Info = self.link.api(Op("look at", &subject), &json!({})).await?;
        Ok(info.num_pending + info.num_ack_pending as u64)
    }

    /// The orders of a pool, for one worker.
    pub async fn pull(&self, pool: &PoolName) -> Result<Orders, BusError> {
        let puller = Puller::new(&self.link, subject::WORK, &subject::pool_consumer(pool), 1).await?;
        Ok(Orders { link: self.link.clone(), puller })
    }
}

/// One worker's place at a pool's queue.
#[derive(Debug)]
pub struct Orders {
    link: Link,
    puller: Puller,
}

impl Orders {
    /// The next order, waiting up to `wait` for one. Dropping the future loses nothing: what it would have brought, the
    /// next call brings. [`Orders::close`] it when no order is wanted any more.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Order>, BusError> {
        let until = Instant::now() + wait;
        loop {
            match self.puller.next(until.saturating_duration_since(Instant::now())).await? {
                Pulled::Nothing => return Ok(None),
                Pulled::Reconnected => {}
                Pulled::Message(message) => {
                    if let Some(order) = self.read(&message).await {
                        return Ok(Some(order));
                    }
                }
            }
        }
    }

    /// No order is wanted any more. One that was on its way goes back at once, instead of waiting for this worker.
    pub async fn close(self) {
        delivery::give_back(&self.link, self.puller.close().await).await;
    }

    async fn read(&self, message: &Message) -> Option<Order> {
        let delivery = Delivery::of(&self.link, message)?;
        match codec::decode(&message.payload) {
            Ok(order) => Some(Order { order, delivered: delivery.place.delivered, delivery }),
            Err(error) => {
                tracing::warn!(seq = delivery.place.seq, %error, "an order that cannot be read is thrown away");
                self.bury(message, &delivery, &error.to_string()).await;
                None
            }
        }
    }
}

impl Orders {
    /// Out of the queue, because nobody can ever take it: kept for people first, or it stays.
    async fn bury(&self, message: &Message, delivery: &Delivery, why: &str) {
        let place = (delivery.place.seq, delivery.place.delivered);
        let about = dead_letters::about(subject::WORK, message, place, why);
        let buried = DeadLetters::new(self.link.clone()).bury(&about, message.payload.clone()).await;
        let settled = match buried {
            Ok(()) => delivery.term("it cannot be read").await,
            Err(error) => {
                tracing::warn!(seq = place.0, %error, "an order that cannot be read could not be kept for people; it stays in the queue");
                delivery.nak(Some(UNREADABLE_AWAY)).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "it will come again");
        }
    }
}

/// How long an order stays away that can be neither read nor buried.
const UNREADABLE_AWAY: Duration = Duration::from_secs(30);

/// An order in a worker's hand, to be settled by one of the calls below; else another worker gets it after 30 s.
#[derive(Debug)]
pub struct Order {
    pub order: JobOrder,
    /// How often it was handed out, this time included.
    pub delivered: u64,
    delivery: Delivery,
}

impl Order {
    /// Taken for good; returns once the server has confirmed it.
    pub async fn double_ack(&self) -> Result<(), BusError> {
        self.delivery.double_ack().await
    }

    /// For somebody else, at once or after a while.
    pub async fn nak(&self, delay: Option<Duration>) -> Result<(), BusError> {
        self.delivery.nak(delay).await
    }

    /// Still preparing: 30 s more.
    pub async fn progress(&self) -> Result<(), BusError> {
        self.delivery.progress().await
    }
}
