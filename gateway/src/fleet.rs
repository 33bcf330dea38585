//! What the fleet is doing: `GET /v1/locks`, `/v1/workers`, `/v1/queues`.

use crate::{
    answers::Refusal,
    app::{App, in_time},
};
use axum::{Json, extract::State};
use bus::BusError;
use jiff::Timestamp;
use proto::{
    PoolName, RunId,
    lock::{LockHolder, LockKey, LockRecord},
    message::Heartbeat,
};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;

/// Locks that are held or wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocksBody {
    locks: Vec<LockBody>,
}

/// A lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockBody {
    /// Such as `git.example/acme/infra/network/default`.
    #[schema(value_type = String)]
    key: LockKey,
    /// `{run, since}`.
    #[schema(value_type = Option<Object>)]
    holder: Option<LockHolder>,
    queue: Vec<WaiterBody>,
}

/// A run in the line for a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaiterBody {
    #[schema(value_type = String, format = "uuid")]
    run: RunId,
    #[schema(value_type = String, format = "date-time")]
    since: Timestamp,
    /// 1 is next.
    position: usize,
}

/// Workers that were heard of within the last minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkersBody {
    workers: Vec<WorkerBody>,
}

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkerBody {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    heartbeat: Heartbeat,
    /// How long ago it was heard of, by the clocks of both.
    age_seconds: u64,
}

/// Queues of pools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuesBody {
    queues: Vec<QueueBody>,
}

/// A pool's queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueBody {
    #[schema(value_type = String)]
    pool: PoolName,
    /// Jobs that no worker has begun.
    depth: u64,
}

/// The locks.
pub(crate) async fn locks(State(app): State<Arc<App>>) -> Result<Json<LocksBody>, Refusal> {
    let mut records = in_time(async { Ok(app.bus.locks().list().await?) }).await?;
    records.retain(|record| record.holder.is_some() || !record.queue.is_empty());
    records.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Json(LocksBody { locks: records.into_iter().map(LockBody::from).collect() }))
}

impl From<LockRecord> for LockBody {
    fn from(record: LockRecord) -> Self {
        let place =
            |(before, waiter): (usize, proto::lock::LockWaiter)| WaiterBody { run: waiter.run, since: waiter.since, position: before + 1 };
        Self { key: record.key, holder: record.holder, queue: record.queue.into_iter().enumerate().map(place).collect() }
    }
}

/// The workers.
pub(crate) async fn workers(State(app): State<Arc<App>>) -> Result<Json<WorkersBody>, Refusal> {
    let mut heartbeats = in_time(async { Ok(app.bus.fleet().list().await?) }).await?;
    heartbeats.sort_by(|a, b| a.worker.cmp(&b.worker));
    let now = Timestamp::now();
    let body = |heartbeat: Heartbeat| WorkerBody { age_seconds: age(heartbeat.at, now), heartbeat };
    Ok(Json(WorkersBody { workers: heartbeats.into_iter().map(body).collect() }))
}

fn age(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0)
}

/// The queues of every pool that anybody knows: our own worker's, those of the fleet, those that runs wait for.
pub(crate) async fn queues(State(app): State<Arc<App>>) -> Result<Json<QueuesBody>, Refusal> {
    let queues = in_time(async {
        let mut pools: BTreeSet<PoolName> = app.index.read().pools();
        pools.insert(PoolName::default());
        pools.extend(app.own_pool.parse());
        pools.extend(app.bus.fleet().list().await?.into_iter().map(|heartbeat| heartbeat.pool));
        let mut queues = Vec::new();
        for pool in pools {
            match app.bus.work().depth(&pool).await {
                Ok(depth) => queues.push(QueueBody { pool, depth }),
                // A pool that was never set up has no queue.
                Err(BusError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(queues)
    })
    .await?;
    Ok(Json(QueuesBody { queues }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn a_clock_ahead_of_ours_makes_nobody_young() {
        assert_eq!(age(at(0), at(7)), 7);
        assert_eq!(age(at(9), at(7)), 0);
    }
}
