//! Workers that speak for others. NATS holds a worker to the subjects of its own pool (and name, where it has a user of its
//! own); here what a message claims is held against the subject it came over, and against the run it is about. A worker of
//! another pool can neither begin an attempt nor report one.

use crate::{shard::Shard, turn::TurnError};
use proto::{Seat, ids::AttemptId};

/// Why who speaks has no say about a job; `None`: it may have one. A run that is not there has no pool yet.
pub(crate) async fn is_stranger(shard: &Shard, id: AttemptId, claimed: &Seat, came_from: &Seat) -> Result<Option<&'static str>, TurnError> {
    if claimed != came_from {
        return Ok(Some("it names another worker than its subject"));
    }
    let slot = shard.slot(id.run);
    let mut slot = slot.lock().await;
    slot.load(shard, id.run).await?;
    let elsewhere = slot.run.as_ref().is_some_and(|run| *run.pool_of(id.job) != came_from.pool);
    Ok(elsewhere.then_some("the job belongs to another pool"))
}
