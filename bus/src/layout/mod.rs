//! The streams, buckets and consumers that Navvy lives on: what they must be ([`streams`]), how what is there differs
//! ([`differences`]), how it is brought about ([`migrate`]) and how it is told to people ([`table`]).
//!
//! Only `navvy admin migrate` and `navvy up` create or change them; the running roles only look.

mod differences;
mod migrate;
mod streams;
mod table;

pub(crate) use streams::{bucket_stream, bucket_subject, object_stream};
pub use table::table;

use proto::PoolName;
use std::time::Duration;

/// Stored output is announced here once it is stored, by the subject it was stored under; without its bytes.
pub const STORED_PREFIX: &str = "stored.";
/// Group of the schedulers that answer one shard's questions.
pub(crate) const SCHEDULER_GROUP: &str = "scheduler";

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a deployment may choose about its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Copies of everything: 1 alone, 3 in a cluster.
    pub replicas: usize,
    /// How many schedulers share the work; at least 1.
    pub shards: u8,
    /// Every pool that has workers.
    pub pools: Vec<PoolName>,
    /// How long output is kept; longer if it was archived.
    pub log_max_age: Duration,
    /// How long triggers and reports are kept.
    pub inbox_max_age: Duration,
    /// How long decisions, views, sealed secrets and artifacts are kept, counted from each one's last change.
    pub run_max_age: Duration,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            replicas: 1,
            shards: 1,
            pools: vec![PoolName::default()],
            log_max_age: 7 * DAY,
            inbox_max_age: 72 * HOUR,
            run_max_age: 90 * DAY,
        }
    }
}
