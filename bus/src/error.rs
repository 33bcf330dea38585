//! What can go wrong between a role and NATS, in the words a role decides by: was it stored, may it be repeated, who must act.
//!
//! Server error codes are understood here and nowhere else. No payload and no credential enters an error: `what` names the
//! operation and the subject or key it was about.

use async_nats::jetstream::{self, ErrorCode};
use proto::codec::CodecError;
use std::fmt;

/// The error below, kept for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An operation on the bus that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server could not be reached or has no leader just now. Certainly not stored.
    #[error("{what}: NATS cannot be reached or is not ready; nothing was stored, try again")]
    Unavailable {
        what: String,
        #[source]
        source: Option<Cause>,
    },
    /// No answer in time: stored or not stored, nobody knows. Read back before deciding anything by it.
    #[error("{what}: no answer in time; it may or may not have been stored")]
    Timeout { what: String },
    /// Somebody else was faster: what was expected to be last is not last. Nothing was stored.
    #[error("{what}: changed by somebody else in the meantime; read it again")]
    Conflict { what: String },
    /// Longer than the server or the stream takes. Nothing was stored.
    #[error("{what}: {bytes} bytes are more than the server takes in one message ({limit})")]
    TooLarge { what: String, bytes: usize, limit: usize },
    /// The stream or the account has reached a limit set by the operator. Nothing was stored.
    #[error("{what}: the stream or the disk is at its limit ({why}); free space or raise the limit")]
    Full { what: String, why: String },
    /// The user this process connects as may not do that: a fault of the configuration. Repeating it changes nothing.
    #[error(
        "{what}: configuration fault: NATS does not permit `{subject}` to {who}; give its user the permissions that \
         `navvy admin users` prints (docs/reference/streams.md), or use the credentials of this role"
    )]
    Denied {
        what: String,
        /// What NATS refused; the server's address when it refused the credentials.
        subject: String,
        /// Who the server takes this process for.
        who: String,
    },
    /// No such stream, consumer, key or object.
    #[error("{what}: not found")]
    NotFound { what: String },
    /// What is stored there is not what it should be.
    #[error("{what}: what is stored there cannot be read")]
    Corrupt {
        what: String,
        #[source]
        source: Option<Cause>,
    },
    /// Streams and buckets are not as they must be.
    #[error("the NATS layout is not as it must be: {}", .problems.join("; "))]
    Layout { problems: Vec<String> },
    /// The server is older than what Navvy needs.
    #[error("NATS server {version} is too old: Navvy needs 2.12 or later")]
    OldServer { version: String },
    /// The server said no for a reason that repeating does not change.
    #[error("{what}: the server refused ({code}: {why})")]
    Refused { what: String, code: u64, why: String },
    /// The caller asked for something that cannot be.
    #[error("{what}: {why}")]
    Invalid { what: String, why: String },
}

impl BusError {
    /// Whether the same call may succeed later without anybody changing anything. After [`BusError::Timeout`] a repeat
    /// is safe only where it is known to be harmless (de-duplicated, or compared with what is stored).
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Full { .. } => true,
            Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Corrupt { .. }
            | Self::Layout { .. }
            | Self::OldServer { .. }
            | Self::Refused { .. }
            | Self::Invalid { .. } => false,
        }
    }

    pub(crate) fn unavailable(op: Op<'_>) -> Self {
        Self::Unavailable { what: op.to_string(), source: None }
    }

    pub(crate) fn unavailable_because(op: Op<'_>, source: impl Into<Cause>) -> Self {
        Self::Unavailable { what: op.to_string(), source: Some(source.into()) }
    }

    pub(crate) fn timeout(op: Op<'_>) -> Self {
        Self::Timeout { what: op.to_string() }
    }

    pub(crate) fn denied(op: Op<'_>, subject: &str, who: &str) -> Self {
        Self::Denied { what: op.to_string(), subject: subject.to_owned(), who: who.to_owned() }
    }

    /// Whether NATS refused for want of a permission: nothing to try again, somebody must change the configuration.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    pub(crate) fn not_found(op: Op<'_>) -> Self {
        Self::NotFound { what: op.to_string() }
    }

    pub(crate) fn invalid(op: Op<'_>, why: impl Into<String>) -> Self {
        Self::Invalid { what: op.to_string(), why: why.into() }
    }

    pub(crate) fn corrupt(op: Op<'_>, source: impl Into<Cause>) -> Self {
        Self::Corrupt { what: op.to_string(), source: Some(source.into()) }
    }

    /// A message of ours that could not be written as JSON.
    pub(crate) fn unencodable(op: Op<'_>, source: &CodecError) -> Self {
        Self::invalid(op, format!("cannot be encoded: {source}"))
    }
}

/// What was tried, and on what: `commit run.0.…`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op<'a>(pub(crate) &'static str, pub(crate) &'a str);

impl fmt::Display for Op<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// The server's answer to a JetStream request or publish, in our words.
pub(crate) fn from_server(op: Op<'_>, error: &jetstream::Error) -> BusError {
    let why = error.to_string();
    let what = op.to_string();
    match error.error_code() {
        // The second one says that another write of the same subject is under way in the cluster: it came first.
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE
        | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
        | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => BusError::Conflict { what },
        ErrorCode::STREAM_STORE_FAILED if why.contains("per subject") => BusError::Conflict { what },
        ErrorCode::STREAM_STORE_FAILED if why.contains("maximum") => BusError::Full { what, why },
        ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => BusError::Full { what, why },
        ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::TEMP_STORAGE_FAILED
        | ErrorCode::CLUSTER_NOT_AVAILABLE
        | ErrorCode::CLUSTER_NOT_LEADER
        | ErrorCode::CLUSTER_NOT_ACTIVE
        | ErrorCode::CLUSTER_NOT_ASSIGNED
        | ErrorCode::CLUSTER_INCOMPLETE
        | ErrorCode::RAFT_GENERAL
        | ErrorCode::JETSTREAM_NOT_ENABLED
        // A batch of which a part went down with a connection.
        | ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH
        | ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT => {
            BusError::Unavailable { what, source: Some(Box::new(error.clone())) }
        }
        ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::NO_MESSAGE_FOUND => {
            BusError::NotFound { what }
        }
        ErrorCode(code) => BusError::Refused { what, code, why },
    }
}
