//! The decisions of `domain` under a model checker: two schedulers, two workers, two runs, their locks, people, and faults.
//! Every order of their steps is tried; the state after each is held against the invariants. What is decided comes from the
//! production functions themselves ([`book`]); what the shell around them does, one store operation at a time, is told
//! again here (`scheduler`, `worker`).
//!
//! Limits, on purpose: a scheduler works on one turn at a time; the clock stands still but for one jump; a permit and a word
//! to start are used at once or not at all (they live 10 s, a lease 45 s).

pub mod book;
pub mod check;
pub mod configurations;
pub mod facts;
mod people;
pub mod place;
pub mod properties;
pub mod rules;
mod sample;
mod scheduler;
mod scheduler_moves;
pub mod settings;
pub mod state;
pub mod words;
mod worker;
pub mod world;
