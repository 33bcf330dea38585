//! One service brought up to date, by one of three executors.
//!
//! - `command` runs the configured command, `told` reads what it says of itself;
//! - [`dokploy`] deploys over Dokploy's API, [`compose`] on a host over SSH; `made` is what a service is made of, with the
//!   `digests` of its files, `kept` what is kept beside it where it runs, `secrets` what is made for it in Vault, `ssh` how
//!   hosts are spoken to (`lines`: what they write), `floor` what such an executor may use of its attempt;
//! - `guard` decides whether anything is done at all, `environment` and `secrets_file` what a sync knows.
//!
//! Nothing outside is changed before the attempt has had its last word; what happened after it and cannot be read back is
//! told as unclear, never as failed. Not here: which services are synced, and what identifies one (crate `services`).

pub mod command;
pub mod compose;
mod data_folder;
mod digests;
pub mod dokploy;
mod env_text;
pub mod environment;
pub mod floor;
pub mod guard;
pub mod kept;
mod lines;
pub mod made;
pub mod secrets;
pub mod secrets_file;
pub mod ssh;
mod told;

pub use told::BadResult;

/// The phase in which a sync changes the world.
pub(crate) const PHASE: &str = "sync";

/// What a person should look at when nobody knows how a sync ended.
pub(crate) fn checks() -> Vec<String> {
    ["what is deployed where the service runs, and whether it is healthy", "the last lines of the log"].map(str::to_owned).to_vec()
}
