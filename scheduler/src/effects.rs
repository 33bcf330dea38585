//! Doing what is due. Each effect may be done twice; none is done before the decision that asks for it is stored.

use crate::{
    locks::{self, Asked},
    shard::{Shard, Slot},
    turn::TurnError,
};
use bus::BusError;
use domain::run::{self, AttemptEnd, Effect, Ending, Event, Input, JobKind, Run};
use proto::{AttemptNo, JobNo, RunId, ids::AttemptId, message::JobOrder};
use service::metrics::{DeploymentStatus, SchedulerMetrics};
use std::time::Duration;

/// Performs effects. What comes back was found out on the way and is to be decided at once.
pub(crate) async fn perform(shard: &Shard, slot: &mut Slot, due: Vec<Effect>) -> Result<Option<Input>, TurnError> {
    let mut found = None;
    for effect in due {
        let Some(run) = slot.run.as_ref().map(|run| run.id) else { break };
        match effect {
            // Who stands in line is woken when it is its turn; asking again would only fight over the record.
            Effect::WantLocks(_) if slot.in_line => {}
            Effect::WantLocks(keys) => {
                let asked = locks::want(shard, run, &keys).await?;
                failpoint::failpoint!("scheduler.locks.wanted", asked == Asked::Granted);
                slot.in_line = asked == Asked::InLine;
                found = match asked {
                    Asked::Granted => Some(Input::LocksGranted),
                    Asked::LineFull => Some(Input::LockLineFull),
                    Asked::InLine | Asked::NotNow => None,
                };
            }
            Effect::ReleaseLocks(keys) => locks::release(shard, run, &keys).await?,
            Effect::PublishOrder(order) => publish_order(shard, slot, &order).await?,
            Effect::Stop { seat, signal } => {
                // Not stored: repeated by `leases` until the attempt has ended.
                if let Err(error) = shard.bus.control().signal(&seat, &signal).await {
                    tracing::warn!(%seat, attempt = %signal.id, %error, "a stop signal was not sent; it will be repeated");
                }
            }
            Effect::DeleteSecrets { pages: 0 } => shard.bus.sealed().delete(run).await?,
            Effect::DeleteSecrets { pages } => delete_pages(shard, run, pages).await?,
        }
    }
    Ok(found)
}

pub(crate) async fn delete_pages(shard: &Shard, run: RunId, pages: u32) -> Result<(), BusError> {
    for page in 0..pages {
        shard.bus.sealed().delete_page(run, page).await?;
    }
    Ok(())
}

/// Tells the pool, unless the order is known to lie there still.
async fn publish_order(shard: &Shard, slot: &mut Slot, order: &JobOrder) -> Result<(), TurnError> {
    failpoint::failpoint!("scheduler.order.due");
    let AttemptId { job, attempt, .. } = order.id;
    if let Some(seq) = slot.orders.get(&(job, attempt))
        && shard.bus.work().is_waiting(*seq).await?
    {
        return Ok(());
    }
    let mut stored = shard.bus.work().publish(order).await?;
    // A repeat that is not there any more was taken and dropped by somebody who did not begin; so may have been the one
    // that was published in its place, each under the name of the one before.
    while stored.duplicate && !shard.bus.work().is_waiting(stored.seq).await? {
        stored = shard.bus.work().publish_again(order, stored.seq).await?;
    }
    failpoint::failpoint!("scheduler.order.published");
    forget_order(slot, job);
    slot.orders.insert((job, attempt), stored.seq);
    Ok(())
}

/// Earlier attempts of the same job are nobody's any more.
fn forget_order(slot: &mut Slot, job: JobNo) {
    let earlier: Vec<_> = slot.orders.range((job, AttemptNo(0))..=(job, AttemptNo(u32::MAX))).map(|(key, _)| *key).collect();
    for key in earlier {
        slot.orders.remove(&key);
    }
}

/// Counts what was decided.
pub(crate) fn count(metrics: &SchedulerMetrics, run: &Run, event: &Event) {
    let terraform = run.orders.is_none() && run.jobs.first().is_some_and(|job| job.kind != JobKind::Probe);
    match event {
        Event::Accepted { .. } if terraform => metrics.deployment_started(),
        Event::LocksGranted => metrics.lock_waited(since(run.accepted_at)),
        Event::Permitted { job, .. } => {
            if let Some(attempt) = run.job(*job).and_then(run::Job::current) {
                metrics.waited_to_start(run.pool_of(*job).as_str(), since(attempt.queued_at));
            }
        }
        Event::AttemptEnded { job, end, .. } => metrics.attempt_ended(action(run, *job), result(*end)),
        Event::RunEnded { ending } if terraform => {
            let status = match ending {
                Ending::Success => DeploymentStatus::Success,
                Ending::Failed | Ending::TimedOut => DeploymentStatus::Failed,
                Ending::Cancelled => DeploymentStatus::Cancelled,
            };
            metrics.deployment_ended(status, since(run.accepted_at));
        }
        Event::Accepted { .. }
        | Event::RunEnded { .. }
        | Event::JobQueued { .. }
        | Event::ApprovalOpened { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::EffectsStarted { .. }
        | Event::PhaseEntered { .. }
        | Event::CommitPinned { .. }
        | Event::JobSucceeded { .. }
        | Event::JobFailed { .. }
        | Event::JobCancelled { .. }
        | Event::JobSkipped { .. }
        | Event::JobTimedOut { .. }
        | Event::OrdersSkipped { .. }
        | Event::OrdersCancelled { .. }
        | Event::TimeLimitReached
        | Event::OrderTold { .. }
        | Event::JobUnknown { .. }
        | Event::CancelRequested { .. }
        | Event::Resolved { .. } => {}
    }
}

fn since(from: jiff::Timestamp) -> Duration {
    Duration::try_from(jiff::Timestamp::now().duration_since(from)).unwrap_or_default()
}

fn action(run: &Run, job: JobNo) -> &'static str {
    run.job(job).map_or("other", |job| job.kind.action())
}

fn result(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Succeeded => "succeeded",
        AttemptEnd::Failed => "failed",
        AttemptEnd::NotStarted => "refused",
        AttemptEnd::Stopped => "cancelled",
        AttemptEnd::Lost | AttemptEnd::Unclear => "unknown",
    }
}
