//! One service brought up to date, by one of three executors.
//!
//! - `command` runs the configured command, `told` reads what it says of itself;
//! - `guard` decides whether anything is done at all, `environment` and `secrets_file` what a sync knows.
//!
//! Nothing outside is changed before the attempt has had its last word; what happened after it and cannot be read back is
//! told as unclear, never as failed. Not here: which services are synced, and what identifies one (crate `services`).

pub mod command;
pub mod environment;
pub mod guard;
pub mod secrets_file;
mod told;

pub use told::BadResult;

/// The phase in which a sync changes the world.
pub(crate) const PHASE: &str = "sync";

/// What a person should look at when nobody knows how a sync ended.
pub(crate) fn checks() -> Vec<String> {
    ["what is deployed where the service runs, and whether it is healthy", "the last lines of the log"].map(str::to_owned).to_vec()
}
