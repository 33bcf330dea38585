//! Many seeds, on every core, and what they came to.

use crate::{choice::Choices, sometimes::Counts, world};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Which histories to tell.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub first: u64,
    pub seeds: u64,
    /// Steps of each, before its end.
    pub steps: u32,
    pub jobs: usize,
}

/// What they came to.
#[derive(Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub steps: u64,
    pub runs: u64,
    /// Time that passed in all of them, in ms.
    pub passed: u64,
    pub counts: Counts,
    /// The first seed that broke a rule, and which.
    pub broken: Option<(u64, String)>,
}

/// Tells them all; stops early at the first broken rule. `prepare` is called once in each thread.
pub fn run(plan: Plan, prepare: impl Fn() + Sync) -> Sum {
    let next = AtomicU64::new(plan.first);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| {
                prepare();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= plan.first + plan.seeds {
                        return;
                    }
                    let told = world::tell(Choices::random(seed), plan.steps);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.seeds += 1;
                    sum.steps += told.steps;
                    sum.runs += told.runs as u64;
                    sum.passed += told.passed;
                    sum.counts.add(&told.counts);
                    if let Some(violation) = told.violation {
                        stop.store(true, Ordering::Relaxed);
                        if sum.broken.as_ref().is_none_or(|(other, _)| seed < *other) {
                            sum.broken = Some((seed, violation));
                        }
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}
