//! What is known about orders besides what every job has. Changed only by `evolve`, counted by `tally`.

use proto::{JobNo, PoolName, message::Failure, orders::OrderCounts};
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of a run of orders, so that no decision has to look at every order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// How the orders stand. `blocked` counts the ready ones too.
    pub counts: OrderCounts,
    /// Orders that need nothing any more and wait for a place, by pool.
    pub ready: BTreeMap<PoolName, BTreeSet<JobNo>>,
    /// Orders that take a place: queued, running, or lost and not settled; by pool.
    pub out: BTreeMap<PoolName, u32>,
    /// How many orders that must succeed failed, and how many ran out of time.
    pub missed: Missed,
    /// The time of the whole run was over.
    pub timed_out: bool,
}

impl Orders {
    /// How many orders need nothing any more and wait for a place.
    pub fn ready_count(&self) -> u32 {
        self.ready.values().map(|orders| orders.len() as u32).sum()
    }

    /// How many places the run takes.
    pub fn out_count(&self) -> u32 {
        self.out.values().sum()
    }
}

/// What orders that must succeed did instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missed {
    pub failed: u32,
    pub timed_out: u32,
}

/// What only orders have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub pool: PoolName,
    /// `must_succeed: false`.
    pub optional: bool,
    /// In seconds.
    pub timeout_s: u32,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
}
