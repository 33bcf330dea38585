//! The execution bundle of an order, as the replaced engine stored it: a zip archive with the order's code and
//!
//! | file | holds |
//! |---|---|
//! | `secrets.enc.json` | the environment, encrypted to the order's age recipient ([`crate::sops`]) |
//! | `env_vars.env` | the names in it, sorted, one a line |
//! | `secrets.src` | those of them that hold a fetched credential, sorted, one a line |
//!
//! Where bundles are kept and for how long is the worker's matter.

mod read;
mod write;

pub use read::Bundle;
pub use write::write;

use crate::sops::SopsError;
use std::io;

const SECRETS: &str = "secrets.enc.json";
const NAMES: &str = "env_vars.env";
const CREDENTIAL_NAMES: &str = "secrets.src";
/// Names at the top of a bundle that code may not have.
const RESERVED: [&str; 3] = [SECRETS, NAMES, CREDENTIAL_NAMES];

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the environment of the bundle: {0}")]
    Environment(#[from] SopsError),
    #[error("`{0}` lies at the top of the code folder, and the bundle has a file of that name: rename it")]
    Reserved(String),
    #[error("`{0}` in the code folder cannot be packed: only files, folders and symbolic links with names in UTF-8 can")]
    Kind(String),
    #[error("`{0}` does not belong into a bundle: it leads out of it, stands twice, or is no file, folder or link")]
    Entry(String),
    #[error("the bundle holds more than the {0} bytes or {1} entries that are unpacked")]
    TooLarge(u64, usize),
    #[error("the bundle has no usable `{0}`")]
    Missing(&'static str),
    #[error("{operation} `{path}`")]
    File {
        operation: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the archive is damaged, or cannot be written")]
    Archive(#[from] zip::result::ZipError),
}

#[cfg(test)]
mod tests;
