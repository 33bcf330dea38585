//! What the processes say to each other: ids, messages, subjects, keys, codecs.
//!
//! Every type that crosses a process border lives here and is validated where it is built: a [`git::GitUrl`] or a
//! [`path::RepoPath`] that exists is one that may be used. Nothing here decides (see the crate `domain`), nothing here
//! talks to NATS (see the crate `bus`), and this crate depends on no other crate of ours.
//!
//! The map: [`ids`] name things, [`message`] is what travels, [`subject`] is where it travels, [`view`] is what the
//! scheduler shows to everybody, [`terraform`], [`orders`] and [`sync`] are the vocabularies of their actions, [`log`] is how a job's output
//! is cut and addressed, [`lock`] is an exclusive right and its queue, [`environment`] is what a run may set for its tool, [`address`] is
//! what an address says by itself.

pub mod address;
pub mod codec;
pub mod environment;
pub mod git;
pub mod ids;
pub mod lock;
pub mod log;
pub mod message;
pub mod orders;
pub mod path;
pub mod secret;
pub mod subject;
pub mod sync;
pub mod terraform;
pub mod view;

pub use ids::{AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo, SourceId, WorkerId};
pub use jiff::Timestamp;
pub use secret::Secret;
