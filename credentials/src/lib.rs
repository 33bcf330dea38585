//! Where the values behind a credential location come from, and how they become the environment of an order.
//!
//! The worker's operator says in [`Access`] what may be reached; without a word, nothing may. A [`Keeper`] fetches what
//! lies at a [`proto::orders::Location`], and makes the secrets of services that are missing ([`KeptSecret`]). [`merge`] puts an order's environment together. [`bundle`] packs an order's code
//! and encrypted environment into one archive, and [`sops`] is the file format that the encryption uses.
//!
//! What lives elsewhere: which locations an order names (`proto::orders`), running its commands and hiding values in its
//! log (`worker`), the settings that fill an [`Access`]. Nothing here ever prints a value: errors name places and causes.

mod access;
pub mod aws;
pub mod bundle;
mod document;
mod ensured;
mod error;
mod http;
mod keeper;
mod lease;
mod local;
pub mod merge;
mod session;
pub mod sops;
mod variables;
mod vault;

pub use access::{Access, AwsAccess, AwsKeySource, Endpoints, VaultAccess, VaultLogin};
pub use aws::{Download, Keys as AwsKeys};
pub use ensured::KeptSecret;
pub use error::{Cause, CredentialError};
pub use http::Pause;
pub use keeper::{BadAccess, Keeper};
