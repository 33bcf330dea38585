//! What is wrong with the configuration, said so that a person can repair it.
//!
//! A problem names the key, what is wrong, why it matters and what to do. Values of secrets never appear in one.

use std::fmt;
use std::path::PathBuf;

/// One thing to repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key or the variable, with the place it was written when that is known.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// Why that is refused.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into(), why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, what, why, fix } = self;
        write!(f, "{key}: {what} ({why}); {fix}")
    }
}

/// Why no settings could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file could not be read.
    #[error("cannot read the configuration file {}; check --config and the permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is too large to be one.
    #[error("the configuration file {} has more than {limit} bytes; check --config", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// The configuration file is no TOML. The offending line is not quoted: it may hold a secret.
    #[error("the configuration file {} is not valid TOML: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        what: String,
    },
    /// Keys or values are refused; all of them, in the order of the layers.
    #[error("the configuration is refused:{}", listed(.0))]
    Refused(Vec<Problem>),
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| format!("{list}\n  - {problem}"))
}
