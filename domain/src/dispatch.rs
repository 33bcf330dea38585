//! Which orders may go out next, when there are more than places: of several runs, pools and submitters.
//!
//! Pure, and only a cache: everything in here is told again by the runs themselves ([`Dispatcher::note`]) after each
//! decision and by every sweep, so losing it loses nothing. What one run may have out at a time is kept by the run itself
//! (`Input::Dispatch`); here are the limits over all of them, and whose turn it is: higher priority first, then the
//! submitter with the fewest orders out, then the older run. A grant is a suggestion: a run that cannot use it is not
//! asked again before it has told how it stands.

use crate::{planted::planted, run::Run};
use jiff::Timestamp;
use proto::{PoolName, RunId};
use std::collections::{BTreeMap, BTreeSet};

/// Limits over all runs that one scheduler looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Orders out at a time.
    pub all: u32,
    /// Orders out at a time in one pool.
    pub per_pool: u32,
}

impl Default for Limits {
    /// More than any fleet has slots for, few enough that a scheduler's queues stay short.
    fn default() -> Self {
        Self { all: 4096, per_pool: 1024 }
    }
}

/// Places for orders of one run in one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub run: RunId,
    pub pool: PoolName,
    pub places: u32,
}

/// How a run stood when it was last heard of, with what was granted to it since.
#[derive(Debug, Clone)]
struct Standing {
    by: String,
    priority: u8,
    accepted_at: Timestamp,
    /// Places that the run may still take by its own limit.
    room: u32,
    pools: BTreeMap<PoolName, Share>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    ready: u32,
    out: u32,
    granted: u32,
}

/// Whose turn it is.
#[derive(Debug)]
pub struct Dispatcher {
    limits: Limits,
    runs: BTreeMap<RunId, Standing>,
    out: u32,
    by_pool: BTreeMap<PoolName, u32>,
    by_submitter: BTreeMap<String, u32>,
}

impl Dispatcher {
    /// Nobody waits yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, runs: BTreeMap::new(), out: 0, by_pool: BTreeMap::new(), by_submitter: BTreeMap::new() }
    }

    /// A run tells how it stands. What was granted to it before counts as used or given up.
    pub fn note(&mut self, run: &Run) {
        let granted = self.runs.get(&run.id).filter(|_| planted!(GrantsNeverGivenUp)).map(|standing| standing.pools.clone());
        self.forget(run.id);
        let Some((orders, spec)) = run.orders.as_ref().zip(run.orders_spec()) else { return };
        if run.is_over() {
            return;
        }
        let mut pools: BTreeMap<PoolName, Share> = BTreeMap::new();
        for (pool, out) in orders.out.iter().filter(|(_, out)| **out > 0) {
            pools.entry(pool.clone()).or_default().out = *out;
        }
        // What is being stopped waits for nothing any more.
        if run.cancel.is_none() {
            for (pool, ready) in &orders.ready {
                pools.entry(pool.clone()).or_default().ready = ready.len() as u32;
            }
        }
        for (pool, before) in granted.iter().flatten() {
            if let Some(share) = pools.get_mut(pool) {
                share.granted = before.granted;
            }
        }
        let room = spec.max_parallel.saturating_sub(orders.out_count());
        let standing = Standing { by: run.by.clone(), priority: spec.priority, accepted_at: run.accepted_at, room, pools };
        self.count(&standing, u32::saturating_add);
        self.runs.insert(run.id, standing);
    }

    /// How many orders are counted as out.
    pub fn taken(&self) -> u32 {
        self.out
    }

    /// A run is nobody's concern any more.
    pub fn forget(&mut self, run: RunId) {
        if let Some(standing) = self.runs.remove(&run) {
            self.count(&standing, u32::saturating_sub);
        }
    }

    /// Forgets every run but these. A run may end without telling it here: decided on by another scheduler, or noted for a
    /// decision that was never stored. What is forgotten too early is told again by the run's next decision.
    pub fn keep(&mut self, open: &BTreeSet<RunId>) {
        let gone: Vec<RunId> = self.runs.keys().filter(|run| !open.contains(run)).copied().collect();
        for run in gone {
            self.forget(run);
        }
    }

    /// Everything that may go out now; counted as out until the run tells otherwise.
    pub fn grants(&mut self) -> Vec<Grant> {
        let mut grants: BTreeMap<(RunId, PoolName), u32> = BTreeMap::new();
        while self.out < self.limits.all {
            let Some((run, pool)) = self.next() else { break };
            self.take(run, &pool);
            *grants.entry((run, pool)).or_default() += 1;
        }
        grants.into_iter().map(|((run, pool), places)| Grant { run, pool, places }).collect()
    }

    fn next(&self) -> Option<(RunId, PoolName)> {
        let waiting = self.runs.iter().filter(|(_, standing)| standing.room > 0).flat_map(|(run, standing)| {
            let open = standing.pools.iter().filter(|(pool, share)| share.ready > share.granted && self.has_room(pool));
            open.map(move |(pool, _)| (*run, standing, pool))
        });
        let first = waiting.min_by_key(|(run, standing, _)| {
            let theirs = self.by_submitter.get(&standing.by).copied().unwrap_or_default();
            (u8::MAX - standing.priority, theirs, standing.accepted_at, *run)
        });
        first.map(|(run, _, pool)| (run, pool.clone()))
    }

    fn has_room(&self, pool: &PoolName) -> bool {
        self.by_pool.get(pool).copied().unwrap_or_default() < self.limits.per_pool
    }

    fn take(&mut self, run: RunId, pool: &PoolName) {
        let Some(standing) = self.runs.get_mut(&run) else { return };
        standing.room = standing.room.saturating_sub(1);
        if let Some(share) = standing.pools.get_mut(pool) {
            share.granted += 1;
        }
        self.out += 1;
        *self.by_pool.entry(pool.clone()).or_default() += 1;
        *self.by_submitter.entry(standing.by.clone()).or_default() += 1;
    }

    fn count(&mut self, standing: &Standing, change: impl Fn(u32, u32) -> u32) {
        for (pool, share) in &standing.pools {
            let taken = share.out + share.granted;
            self.out = change(self.out, taken);
            let in_pool = self.by_pool.entry(pool.clone()).or_default();
            *in_pool = change(*in_pool, taken);
            let theirs = self.by_submitter.entry(standing.by.clone()).or_default();
            *theirs = change(*theirs, taken);
        }
        self.by_pool.retain(|_, out| *out > 0);
        self.by_submitter.retain(|_, out| *out > 0);
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
