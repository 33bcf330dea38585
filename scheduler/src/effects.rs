//! Doing what is due. Each effect may be done twice; none is done before the decision that asks for it is stored.

use crate::{
    locks::{self, Asked},
    shard::{Shard, Slot},
    syncs,
    turn::TurnError,
};
use bus::BusError;
use domain::run::{self, AttemptEnd, Effect, Ending, Event, Input, JobKind, Run};
use proto::{
    AttemptNo, JobNo, RunId,
    ids::AttemptId,
    message::{JobOrder, RunSpec},
};
use service::metrics::{DeploymentStatus, SchedulerMetrics};
use std::time::Duration;

/// Performs effects. What comes back was found out on the way and is to be decided at once.
pub(crate) async fn perform(shard: &Shard, slot: &mut Slot, due: Vec<Effect>) -> Result<Vec<Input>, TurnError> {
    let (mut granted, mut full, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for effect in due {
        let Some(run) = slot.run.as_ref().map(|run| run.id) else { break };
        match effect {
            // Who stands in line is woken when it is its turn; asking again would only fight over the record.
            Effect::WantLocks(keys) if keys.iter().all(|key| slot.in_line.contains(key)) => {}
            Effect::WantLocks(keys) => {
                let asked = locks::want(shard, run, &keys).await?;
                failpoint::failpoint!("scheduler.locks.wanted", asked == Asked::Granted);
                match asked {
                    Asked::Granted => granted.extend(keys),
                    Asked::LineFull => full.extend(keys),
                    Asked::InLine => {
                        waits.extend(keys.iter().cloned());
                        slot.in_line.extend(keys);
                    }
                    Asked::NotNow => {}
                }
            }
            Effect::ReleaseLocks(keys) if keys.iter().all(|key| slot.returned.contains(key)) => {}
            Effect::ReleaseLocks(keys) => {
                slot.in_line.retain(|key| !keys.contains(key));
                locks::release(shard, run, &keys).await?;
                slot.returned.extend(keys);
            }
            Effect::PublishOrder(order) => publish_order(shard, slot, &order).await?,
            Effect::Stop { seat, signal } => {
                // Not stored: repeated by `leases` until the attempt has ended.
                if let Err(error) = shard.bus.control().signal(&seat, &signal).await {
                    tracing::warn!(%seat, attempt = %signal.id, %error, "a stop signal was not sent; it will be repeated");
                }
            }
            Effect::DeleteSecrets { pages: 0 } => shard.bus.sealed().delete(run).await?,
            Effect::DeleteSecrets { pages } => delete_pages(shard, run, pages).await?,
            Effect::Note(note) if slot.noted.contains(&note.service()) => {}
            Effect::Note(note) => {
                failpoint::failpoint!("scheduler.note.due", note);
                syncs::keep(shard, &note).await?;
                failpoint::failpoint!("scheduler.note.kept", note);
                slot.noted.insert(note.service());
            }
        }
    }
    syncs::tell_the_older(shard, slot.run.as_ref(), &waits).await?;
    let granted = (!granted.is_empty()).then_some(Input::LocksGranted { keys: granted });
    let full = (!full.is_empty()).then_some(Input::LockLineFull { keys: full });
    Ok(granted.into_iter().chain(full).collect())
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
    let terraform = matches!(run.spec, RunSpec::Terraform(_));
    match event {
        Event::Accepted { .. } if terraform => metrics.deployment_started(),
        Event::LocksGranted => metrics.lock_waited(since(run.accepted_at)),
        Event::ServiceSynced { result, .. } => metrics.synced(result.action.as_str()),
        Event::JobFailed { job, .. } if is_sync(run, *job) => metrics.synced("failed"),
        Event::JobSuperseded { .. } => metrics.synced("superseded"),
        Event::ReleaseMade { release } => metrics.released(release.kind.as_str()),
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
        | Event::JobLocked { .. }
        | Event::SyncPlanned { .. }
        | Event::JobPostponed { .. }
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

fn is_sync(run: &Run, job: JobNo) -> bool {
    run.job(job).is_some_and(|job| job.kind == JobKind::Sync)
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
