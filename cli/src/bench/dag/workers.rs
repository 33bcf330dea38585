//! Workers without processes: they take an order, ask for both words, tell the phases that a real worker tells, and report.

use crate::bench::fleet::BenchFleet;
use anyhow::Context as _;
use bus::{Bus, KeyPair};
use jiff::Timestamp;
use proto::{
    PoolName, Seat,
    ids::AttemptId,
    message::{Ask, AskAnswer, AskWhat, AttemptOutcome, InboxMessage, JobResult, Report, ReportWhat},
    orders::OrderResult,
};
use std::time::Duration;
use tokio::task::JoinSet;

/// What a worker tells of an order on its way; see `worker::action::shell`.
const PHASES: [&str; 3] = ["credentials", "cloning", "run"];
const PULL_WAIT: Duration = Duration::from_secs(30);
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Hires one worker with so many slots, which works until this is dropped.
pub(super) async fn hire(fleet: &BenchFleet, slots: usize) -> anyhow::Result<JoinSet<()>> {
    let seat = Seat { pool: PoolName::default(), worker: "bench".parse()? };
    let bus = fleet.bus_of(&seat).await?;
    let mut at_work = JoinSet::new();
    for _ in 0..slots {
        let (bus, seat) = (bus.clone(), seat.clone());
        at_work.spawn(async move {
            loop {
                if let Err(error) = work(&bus, &seat).await {
                    tracing::warn!(%error, "an order of the bench was not done; it comes again");
                }
            }
        });
    }
    Ok(at_work)
}

async fn work(bus: &Bus, seat: &Seat) -> anyhow::Result<()> {
    let mut orders = bus.work().pull(&seat.pool).await?;
    loop {
        let Some(order) = orders.next(PULL_WAIT).await? else { continue };
        let asking = Asking { bus, seat, id: order.order.id, nonce: uuid::Uuid::new_v4().simple().to_string() };
        let public_key = KeyPair::generate().public_hex();
        let begun = asking.ask(AskWhat::Begin { public_key }).await?;
        order.double_ack().await?;
        if matches!(begun, AskAnswer::Permit(_)) {
            asking.perform().await?;
        }
    }
}

/// An attempt that has been taken.
struct Asking<'a> {
    bus: &'a Bus,
    seat: &'a Seat,
    id: AttemptId,
    nonce: String,
}

impl Asking<'_> {
    async fn ask(&self, what: AskWhat) -> anyhow::Result<AskAnswer> {
        let Seat { pool, worker } = self.seat.clone();
        let ask = Ask { id: self.id, pool, worker, nonce: self.nonce.clone(), what };
        self.bus.asks().ask(&ask, ANSWER_WAIT).await.context("ask the scheduler")
    }

    async fn perform(&self) -> anyhow::Result<()> {
        for phase in PHASES {
            self.tell(phase, ReportWhat::Phase { phase: phase.to_owned() }).await?;
        }
        let word = self.ask(AskWhat::StartEffects { serial_before: None }).await?;
        anyhow::ensure!(word == AskAnswer::Go, "the last word was {word:?}");
        let result = JobResult::Order(OrderResult { commands: 1 });
        self.tell("ended", ReportWhat::Ended(AttemptOutcome::Succeeded { result })).await
    }

    async fn tell(&self, key: &str, what: ReportWhat) -> anyhow::Result<()> {
        let Seat { pool, worker } = self.seat.clone();
        let report = Report { id: self.id, pool, worker, at: Timestamp::now(), what };
        let key = format!("report.{}.{key}", self.id);
        self.bus.inbox().publish(self.id.run, &InboxMessage::Report(Box::new(report)), &key, None).await?;
        Ok(())
    }
}
