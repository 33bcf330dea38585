//! A slot: one attempt at a time, from its order to its delivered report.

use crate::{
    action::{self, Secrets},
    attempt::{
        begin::{Asking, Begun},
        deliver,
        folder::Record,
        ship::{Shipper, Shipping},
        stage::{Props, Stage},
    },
    crew::{Crew, Enlisted},
};
use bus::{BusError, Order};
use proto::message::{AttemptOutcome, Failure, Permit};
use service::metrics::Consumer;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// How long one question for an order stays open.
const PULL_WAIT: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a worker whose disk takes nothing asks for no orders.
const REST: Duration = Duration::from_secs(5);
/// How long the order of an attempt that runs here already stays away.
const REPEATED_AFTER: Duration = Duration::from_secs(30);

/// Works until told to drain; what was begun is finished.
pub(crate) async fn work(crew: Arc<Crew>, drain: CancellationToken) -> Result<(), BusError> {
    let mut orders = crew.bus.work().pull(&crew.seat.pool).await?;
    loop {
        let next = tokio::select! {
            biased;
            () = drain.cancelled() => {
                orders.close().await;
                return Ok(());
            }
            next = orders.next(PULL_WAIT) => next,
        };
        match next {
            Ok(Some(order)) => {
                let span = tracing::info_span!("attempt", id = %order.order.id);
                if let Some(parent) = &order.order.traceparent {
                    service::telemetry::set_parent(&span, parent);
                }
                if let Taken::NoRoom = take(&crew, order).instrument(span).await {
                    rest(&drain).await;
                }
            }
            Ok(None) => {}
            Err(error) if error.is_denied() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "no order could be asked for; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Dealt,
    /// This worker's disk takes nothing; the attempt goes to another, or comes again.
    NoRoom,
}

/// Leaves orders to others for a while: a worker that can begin nothing must not be the first to ask for everything.
async fn rest(drain: &CancellationToken) {
    tracing::error!("the worker's disk takes nothing: no order is taken for {} s", REST.as_secs());
    tokio::select! {
        () = drain.cancelled() => {}
        () = tokio::time::sleep(REST) => {}
    }
}

async fn take(crew: &Arc<Crew>, order: Order) -> Taken {
    if order.delivered > 1 {
        crew.all_metrics.redelivered(Consumer::Worker);
    }
    let id = order.order.id;
    failpoint::failpoint!("worker.order.pulled");
    // The order of an attempt that this worker runs: its acknowledgement was lost. Whoever runs it answers for it.
    let Some(enlisted) = crew.enlist(id) else {
        give_back(&order, REPEATED_AFTER).await;
        return Taken::Dealt;
    };
    let mut taken = Taken::Dealt;
    let asking = Asking::new(id);
    let begun = asking.begin(crew).await;
    match begun {
        Begun::Refused(reason) => {
            tracing::info!(attempt = %id, reason, "not ours to do");
            settle(order).await;
        }
        Begun::Later => {
            give_back(&order, RETRY_AFTER).await;
        }
        Begun::TooLate => {
            settle(order).await;
            let unstarted = AttemptOutcome::NotStarted { reason: "the permit came too late to be used".to_owned() };
            deliver::unspooled(crew, id, unstarted).await;
        }
        Begun::Permit(permit) => {
            // Acknowledged before anything is done: a redelivery after this is refused by the permit, not by luck.
            failpoint::failpoint!("worker.permit.got");
            settle(order).await;
            failpoint::failpoint!("worker.order.settled");
            let _busy = crew.metrics.busy_slot();
            taken = execute(crew, &enlisted, asking, *permit).await;
        }
    }
    drop(enlisted);
    taken
}

async fn give_back(order: &Order, away: Duration) {
    if let Err(error) = order.nak(Some(away)).await {
        tracing::debug!(attempt = %order.order.id, %error, "the order could not be given back; it comes back by itself");
    }
}

async fn settle(order: Order) {
    if let Err(error) = order.double_ack().await {
        tracing::debug!(%error, "the order was not acknowledged; it comes again and will be refused");
    }
}

/// Does the work of a permit and delivers what came of it.
async fn execute(crew: &Arc<Crew>, enlisted: &Enlisted, asking: Asking, permit: Permit) -> Taken {
    let id = permit.id;
    let folder = crew.folders.of(id);
    let secrets = match open_secrets(&asking, &permit) {
        Ok(secrets) => secrets,
        Err(reason) => {
            deliver::unspooled(crew, id, failed("secrets", reason)).await;
            return Taken::Dealt;
        }
    };
    if let Some(outcome) = action::without_stage(&permit.work) {
        deliver::unspooled(crew, id, outcome).await;
        return Taken::Dealt;
    }
    let record = Record {
        id,
        work: action::word(&permit.work).to_owned(),
        effects_phase: action::effects_phase(&permit.work).to_owned(),
        effects: false,
        serial_before: None,
        tool: action::tool_word(&permit.work).to_owned(),
    };
    if let Err(error) = folder.create(&record) {
        // Nothing was begun: another worker may have room. After enough of these the job fails, with this reason.
        let reason = format!("Failed to create work directory: {error}");
        deliver::unspooled(crew, id, AttemptOutcome::NotStarted { reason }).await;
        return Taken::NoRoom;
    }
    let shipping = Arc::new(Shipping::default());
    let shipper = Shipper::new(crew, &folder, shipping.clone());
    let sending = crew.tasks.spawn("log shipper", shipper.run());
    let props = Props {
        crew: crew.clone(),
        folder: folder.clone(),
        stop: enlisted.stop.clone(),
        asking,
        shipping: shipping.clone(),
        record,
        secrets: secrets.to_mask(&permit.work),
        budget: Duration::from_millis(permit.budget_ms),
        traceparent: permit.traceparent.clone(),
    };
    let outcome = match Stage::open(props) {
        Ok(mut stage) => {
            let outcome = action::perform(&mut stage, &permit.work, secrets).await;
            stage.close();
            outcome
        }
        Err(error) => failed("worker_disk", format!("the worker cannot write the log: {error}")),
    };
    tracing::info!(attempt = %id, outcome = action::outcome_word(&outcome), "attempt over");
    deliver::outcome(crew, &folder, outcome, Some((&shipping, sending))).await;
    Taken::Dealt
}

fn open_secrets(asking: &Asking, permit: &Permit) -> Result<Secrets, String> {
    let Some(sealed) = &permit.secrets else { return Ok(Secrets::None) };
    let plain =
        asking.keys.open(sealed, &permit.id.to_string()).map_err(|error| format!("the permit's secrets cannot be opened: {error}"))?;
    Secrets::of(&permit.work, &plain).map_err(|_| "the permit's secrets cannot be read".to_owned())
}

fn failed(kind: &str, message: String) -> AttemptOutcome {
    AttemptOutcome::Failed {
        failure: Failure {
            kind: kind.to_owned(),
            phase: "initializing".to_owned(),
            message,
            next_action: "ask the operator of this worker".to_owned(),
        },
    }
}
