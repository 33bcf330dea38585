//! One file for each part of the crate.

mod artifacts;
mod asks;
mod buckets;
mod cas;
mod cluster;
mod decisions;
mod deliveries;
mod inbox;
mod layout;
mod locks;
mod logs;
mod permissions;
mod run_log;
mod server;
mod views;
mod work;
