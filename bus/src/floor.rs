//! What the message layer alone can do on this machine: the bare pipeline that every job goes through, without Navvy.
//! Measured by `navvy bench` in the same run as Navvy itself, so that its figures are ratios and not feelings.
//!
//! Request published → taken, lock written by compare-and-swap, order published → taken by a worker, acknowledged →
//! result published → taken, lock written back. Every message is stored and acknowledged; the streams are deleted after.

use crate::connect::Bus;
use crate::error::{BusError, Op};
use crate::link::headers;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    /// Request published → order in a worker's hand, one at a time: the median and the 99th percentile.
    pub start_p50: Duration,
    pub start_p99: Duration,
    /// Whole jobs a second with everything in flight at once.
    pub jobs_per_second: f64,
}

const STREAMS: [(&str, &str, RetentionPolicy); 4] = [
    ("FLOOR_IN", "floor.in.>", RetentionPolicy::Limits),
    ("FLOOR_WORK", "floor.work.>", RetentionPolicy::WorkQueue),
    ("FLOOR_OUT", "floor.out.>", RetentionPolicy::WorkQueue),
    ("FLOOR_LOCKS", "floor.lock.>", RetentionPolicy::Limits),
];
const AT_ONCE: usize = 64;
const PAYLOAD: usize = 512;

impl Bus {
    /// Measures: `paced` jobs one after another, then `jobs` at once with `workers` workers.
    pub async fn floor(&self, paced: usize, jobs: usize, workers: usize) -> Result<Floor, BusError> {
        let measured = self.measure_floor(paced, jobs, workers).await;
        for (name, ..) in STREAMS {
            // A stream that was not made cannot be deleted; one that stays is named FLOOR_ and harmless.
            let _ = self.link.js.delete_stream(name).await;
        }
        measured
    }

    async fn measure_floor(&self, paced: usize, jobs: usize, workers: usize) -> Result<Floor, BusError> {
        for (name, subject, retention) in STREAMS {
            let config = Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                retention,
                storage: StorageType::File,
                max_messages_per_subject: if name == "FLOOR_LOCKS" { 1 } else { -1 },
                ..Config::default()
            };
            self.link.js.create_stream(config).await.map_err(|error| failed("create", name, &error))?;
        }
        let pipeline = Pipeline::start(self, workers).await?;
        let mut starts = Vec::with_capacity(paced);
        let mut pipeline = pipeline;
        for n in 0..paced {
            let began = Instant::now();
            pipeline.submit(n).await?;
            starts.push(pipeline.started.recv().await.map_or(Duration::MAX, |at| at.duration_since(began)));
            pipeline.done.recv().await;
        }
        starts.sort_unstable();
        let began = Instant::now();
        pipeline.submit_all(paced, jobs).await?;
        for _ in 0..jobs {
            pipeline.done.recv().await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let at = |share: f64| {
            starts.get(((starts.len() as f64 * share) as usize).min(starts.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Ok(Floor { start_p50: at(0.5), start_p99: at(0.99), jobs_per_second: jobs as f64 / seconds })
    }
}

struct Pipeline {
    bus: Bus,
    started: mpsc::UnboundedReceiver<Instant>,
    done: mpsc::UnboundedReceiver<()>,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Pipeline {
    async fn start(bus: &Bus, workers: usize) -> Result<Self, BusError> {
        let (start, started) = mpsc::unbounded_channel();
        let (finish, done) = mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        let mut set = tokio::task::JoinSet::new();
        let intake = consumer(bus, "FLOOR_IN").await?;
        let results = consumer(bus, "FLOOR_OUT").await?;
        let work = consumer(bus, "FLOOR_WORK").await?;
        let b = bus.clone();
        tasks.push(set.spawn(serve(intake, move |message| admit(b.clone(), message))));
        let b = bus.clone();
        tasks.push(set.spawn(serve(results, move |message| settle(b.clone(), message, finish.clone()))));
        for _ in 0..workers {
            tasks.push(set.spawn(labour(bus.clone(), work.clone(), start.clone())));
        }
        set.detach_all();
        Ok(Self { bus: bus.clone(), started, done, tasks })
    }

    async fn submit(&self, n: usize) -> Result<(), BusError> {
        let subject = format!("floor.in.{n}");
        self.bus.link.publish(Op("publish to", &subject), headers(&[]), vec![b'x'; PAYLOAD].into()).await.map(|_| ())
    }

    async fn submit_all(&self, from: usize, jobs: usize) -> Result<(), BusError> {
        let mut sent = futures_util::stream::iter((from..from + jobs).map(|n| self.submit(n))).buffer_unordered(AT_ONCE);
        while let Some(sent) = sent.next().await {
            sent?;
        }
        Ok(())
    }
}

async fn consumer(bus: &Bus, stream: &str) -> Result<PullConsumer, BusError> {
    let config = pull::Config {
        durable_name: Some("floor".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    bus.link.js.create_consumer_on_stream(config, stream).await.map_err(|error| failed("consume", stream, &error))
}

/// Handles messages, many at a time.
async fn serve<F, T>(consumer: PullConsumer, handle: F)
where
    F: Fn(Message) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut handling = tokio::task::JoinSet::new();
    let Ok(mut messages) = consumer.stream().max_messages_per_batch(100).messages().await else { return };
    while let Some(Ok(message)) = messages.next().await {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let work = handle(message);
        handling.spawn(async move {
            work.await;
            drop(place);
        });
        while handling.try_join_next().is_some() {}
    }
}

async fn admit(bus: Bus, message: Message) {
    let n = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
    let lock = format!("floor.lock.{n}");
    let expected = headers(&[("Nats-Expected-Last-Subject-Sequence", "0")]);
    if bus.link.publish(Op("lock", &lock), expected, n.clone().into()).await.is_ok() {
        let _ = bus.link.publish(Op("order", &format!("floor.work.{n}")), headers(&[]), message.payload.clone()).await;
    }
    let _ = message.double_ack().await;
}

async fn labour(bus: Bus, work: PullConsumer, started: mpsc::UnboundedSender<Instant>) {
    loop {
        let Ok(mut batch) = work.fetch().max_messages(1).expires(Duration::from_secs(5)).messages().await else { continue };
        while let Some(Ok(message)) = batch.next().await {
            let _ = started.send(Instant::now());
            let _ = message.double_ack().await;
            let n = message.subject.rsplit('.').next().unwrap_or_default();
            let _ = bus.link.publish(Op("result", &format!("floor.out.{n}")), headers(&[]), message.payload.clone()).await;
        }
    }
}

async fn settle(bus: Bus, message: Message, done: mpsc::UnboundedSender<()>) {
    let n = message.subject.rsplit('.').next().unwrap_or_default();
    let _ = bus.link.publish(Op("unlock", &format!("floor.lock.{n}")), headers(&[]), "free".into()).await;
    let _ = message.double_ack().await;
    let _ = done.send(());
}

fn failed(doing: &'static str, what: &str, error: &dyn std::fmt::Display) -> BusError {
    BusError::invalid(Op(doing, what), error.to_string())
}
