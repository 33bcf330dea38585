//! One mechanism a file, each under the fault it is there for.

mod commands;
mod dropped;
mod expiry;
mod full;
mod lines;
mod lost_locks;
mod orders;
mod poison;
mod retold;
mod syncs;
mod views;
