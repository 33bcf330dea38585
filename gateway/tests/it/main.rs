//! The gateway over a real nats-server and real sockets. The test plays scheduler and worker: it writes views and logs
//! itself, and reads what the gateway has stored for them.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod admission;
mod commands;
mod deliveries;
mod done;
mod door;
mod events;
mod fleet;
mod forge;
mod harness;
mod health;
mod hooks;
mod hooks_anew;
mod hooks_full;
mod hooks_hostile;
mod hooks_once;
mod hooks_store;
mod hooks_wire;
mod keys;
mod listing;
mod live;
mod live_faults;
mod notify;
mod orders;
mod orders_doors;
mod permissions;
mod play;
mod releases;
mod scheduler;
mod sse;
mod status;
mod syncs;
mod versions;
