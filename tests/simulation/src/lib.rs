//! The deterministic simulation: `domain`'s transition function in a world that is as unkind as chance allows. One seed,
//! one history, every time.
//!
//! - [`choice`]: where chance comes from; recorded, replayed, shrunk;
//! - [`core`]: time, tasks and nodes: a tiny executor on which every store operation is a step of its own, so that
//!   anything can happen in between;
//! - [`store`]: logs and locks with compare-and-swap, ambiguous time-outs and stale reads; queues that repeat and reorder;
//! - [`shell`]: how a scheduler drives `domain`, step by step as in the crate `scheduler`: load, decide, commit, perform,
//!   acknowledge;
//! - [`worker`], [`people`]: those who ask, report late or twice, lie, approve, cancel, push and settle;
//!   (`graphs`, `sources`: runs of orders and of syncs that they submit; `commands`, `syncing`: how a worker plays them; `lies`:
//!   workers that are hostile);
//! - [`oracle`]: what must hold after every step, judged from outside (`order_rules`, `order_counts`: of runs of orders;
//!   `sync_rules`: of syncs);
//! - [`sometimes`]: proof that the hard cases were met;
//! - [`world`]: all of it together, with crashes, pauses, partitions and jumping clocks;
//! - [`run`]: many seeds; [`shrink`]: a failing history made short.
//!
//! What is not here: NATS, processes, files. Those are the crash matrix's.

pub mod choice;
mod commands;
pub mod core;
pub mod faults;
mod graphs;
mod lies;
mod notice;
pub mod oracle;
mod order_counts;
mod order_rules;
pub mod people;
pub mod run;
pub mod shell;
pub mod shrink;
pub mod sometimes;
mod sources;
pub mod store;
mod sync_rules;
mod syncing;
pub mod tool;
pub mod worker;
pub mod world;
