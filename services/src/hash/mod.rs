//! What identifies a deployed service: the digest that is stored beside it as [`VARIABLE`], and the gate that compares it with
//! what is about to be deployed. Reading files and the remote is the worker's part; which files count is [`crate::artifacts`].

mod gate;
mod identity;

pub use gate::{Changed, Gate, Scheme, compare};
pub use identity::{Artifact, Hashes, Identity, hashes};

/// The variable of the deployed service that holds its identity. It keeps the name that the replaced service gave it, and is
/// never part of an identity itself.
pub const VARIABLE: &str = "IAC_CONFIG_HASH";

/// The variables that the replaced service hashed. A service that sets no others has the hash that it had there.
pub const LEGACY_VARIABLES: [&str; 6] = ["DATA_PATH", "ENV", "ENV_DOMAIN_SUFFIX", "ENV_SUFFIX", "INTERNAL_DOMAIN", "VAULT_ADDR"];
