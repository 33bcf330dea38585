//! One attempt, from its order to its delivered report. What is done in between is in `action`.
//!
//! - `folder`: everything an attempt keeps on disk, and what is left of it after a crash;
//! - `begin`: asking for the permit; `ship`: sending the log; `deliver`: reporting, archiving, cleaning up;
//! - `stage`: what an action may use: the log, commands, phases, the last word before side effects;
//! - `recover`: what a worker finds of its former life.

pub(crate) mod begin;
pub(crate) mod deliver;
pub(crate) mod folder;
pub(crate) mod recover;
pub(crate) mod ship;
pub(crate) mod stage;
