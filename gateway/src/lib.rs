//! The gateway: the outside in and answers out.
//!
//! It authenticates, validates, seals secrets, stores triggers and commands in the INBOX, and shows what schedulers and
//! workers have stored. It decides nothing about a run and keeps nothing of its own: any number of gateways serve the same
//! fleet, and one that is killed loses nothing that was accepted.
//!
//! The map: [`run`] puts it together (`start`), `routes` is the table of everything there is, `door` is what every request
//! passes, `auth` says who calls and what they may, `answers` holds all words for people. Then the rooms: `deploy` and
//! `orders` start runs, `hooks` takes in what forges tell of the `sources`, `syncs` starts the runs of those and of people who
//! want a sync or a version, `releases` are runs of syncs that make a version, `mapping` checks a repository's, `commands` approve,
//! reject, cancel and resolve, `runs` and `status` show them, `events` tells what happened to them, `logs` streams their output,
//! `fleet` shows locks, workers and queues, [`forge`] speaks with GitHub, `telling` says outside what becomes of runs, `keys` and
//! `health` do the rest.

mod answers;
mod app;
mod auth;
mod commands;
mod dead_letters;
mod deploy;
mod door;
mod events;
mod fleet;
pub mod forge;
mod health;
mod hooks;
mod keys;
mod logs;
mod mapping;
mod orders;
mod releases;
mod routes;
mod runs;
mod sources;
mod start;
mod status;
mod syncs;
mod telling;

#[cfg(test)]
mod fixtures;

pub use sources::{Fetching, FileFault, SecretStore, SourceFault, repositories_of, secrets_in, secrets_in_force};
pub use start::{GatewayDeps, GatewayError, router, run};
pub use syncs::SyncFault;
pub use telling::NotifyFault;
