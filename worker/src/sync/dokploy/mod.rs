//! The executor `dokploy`: a compose service of Dokploy, over its API.
//!
//! - `client` asks, `breaker` leaves alone who fails again and again, `wire` is what is answered;
//! - `remote` reads what is there, `plan` says what is to be there, `verify` looks whether a deployment brought it;
//! - `perform` is the sequence, `failures` how it tells what went wrong.
//!
//! The compose file is handed over as text (`sourceType: raw`), never as a branch for Dokploy to pull: Dokploy clones
//! branches and tags but no commit, so that what it pulled could be another than the one whose identity is stored. A service
//! that needs more files of the repository than its compose file is therefore refused here.

mod breaker;
mod client;
mod failures;
mod perform;
mod plan;
mod remote;
mod verify;
mod wire;

pub use breaker::{Breakers, FAILURES, OPEN};
pub use client::{Api, ApiError, BadApi};
pub use perform::{Order, perform};
