//! Why a credential was not handed out. A place and a cause, never a value: these texts go into logs and reports.

use std::fmt;

/// A credential that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credential `{location}`: {cause}")]
pub struct CredentialError {
    /// The location as it was written.
    pub location: String,
    pub cause: Cause,
}

/// The kinds of cause; each text says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Nothing is there.
    #[error("not found: {0}")]
    NotFound(String),
    /// It may not be read: the operator of the worker, a mode, a policy or a wrong key stands before it.
    #[error("denied: {0}")]
    Denied(String),
    /// Whoever keeps it does not answer, or not in time; trying again later may help.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The location or what lies there is not as it should be.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl Cause {
    pub(crate) fn at(self, location: impl fmt::Display) -> CredentialError {
        CredentialError { location: location.to_string(), cause: self }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::Malformed(text.into())
    }

    pub(crate) fn denied(text: impl Into<String>) -> Self {
        Self::Denied(text.into())
    }
}
