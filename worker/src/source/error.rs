//! Why an order has no code, in words for the person whose order it is. No text holds a credential or the query of an
//! address.

use super::{store::StoreError, unpack::BadArchive};
use crate::{confine::Refused, git::GitError};
use proto::{git::BadGit, message::Failure};
use std::{
    error::Error as _,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Why an order's code could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the repository could not be read: {0}")]
    Git(GitError),
    /// The first way is what the order asks for; why the second did not help either is told besides.
    #[error("the repository could not be read: {first} (nor over SSH: {second})")]
    NoWayIn { first: Box<GitError>, second: Box<GitError> },
    #[error("the commit of the order: {0}")]
    Commit(BadGit),
    #[error("the folder of the order: {0}")]
    Folder(Refused),
    #[error("the location of the archive cannot be used: {why}")]
    Location { why: &'static str },
    #[error("the host {host} is not on this worker's list of hosts that archives may come from")]
    HostNotListed { host: String },
    #[error("{host} leads to {address}, which is not an address that archives may come from")]
    AddressRefused { host: String, address: IpAddr },
    #[error("the host name {host} cannot be resolved")]
    UnknownHost {
        host: String,
        #[source]
        source: Option<io::Error>,
    },
    #[error("the archive {place} cannot be fetched: {why}")]
    Unreachable { place: String, why: String },
    #[error("the archive {place} cannot be fetched: the server answered {status}")]
    Answered { place: String, status: u16 },
    #[error("the archive {place} cannot be fetched: the server answered with a redirect, which is never followed")]
    Redirected { place: String },
    #[error("the archive {place} did not come within {seconds} s")]
    TooSlow { place: String, seconds: u64 },
    #[error("the archive {place} is larger than the {limit} bytes that are fetched")]
    ArchiveTooLarge { place: String, limit: u64 },
    #[error("this worker reads no object store, so there is no s3:// on it")]
    NoStore,
    #[error("the archive {place} cannot be fetched: {why}")]
    Store { place: String, why: StoreError },
    #[error("{} does not lie in a folder that this worker takes archives from", .path.display())]
    LocalNotAllowed { path: PathBuf },
    #[error("{} is not a plain file", .path.display())]
    LocalNoFile { path: PathBuf },
    #[error("{} cannot be read", .path.display())]
    LocalUnreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("nothing of the archive {place} is used: {why}")]
    Archive { place: String, why: BadArchive },
    #[error("the worker cannot {operation} {}", .path.display())]
    Disk {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl SourceError {
    /// For `map_err`: an operation on a file of the worker failed.
    pub(super) fn disk(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Disk { operation, path, source }
    }

    /// The machine-readable word of a [`Failure`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Git(_) | Self::NoWayIn { .. } | Self::Commit(_) => "git_clone",
            Self::Folder(_) => "path",
            Self::Archive { why, .. } if why.is_the_workers() => "worker_storage",
            Self::Disk { .. } => "worker_storage",
            Self::Location { .. }
            | Self::HostNotListed { .. }
            | Self::AddressRefused { .. }
            | Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::Answered { .. }
            | Self::Redirected { .. }
            | Self::TooSlow { .. }
            | Self::ArchiveTooLarge { .. }
            | Self::NoStore
            | Self::Store { .. }
            | Self::LocalNotAllowed { .. }
            | Self::LocalNoFile { .. }
            | Self::LocalUnreadable { .. }
            | Self::Archive { .. } => "code_archive",
        }
    }

    fn next_action(&self) -> &'static str {
        match self {
            Self::Git(_) | Self::NoWayIn { .. } => {
                "Check git_repo, commit_hash, git_token_location and git_ssh_key_location, and that this worker may reach the server."
            }
            Self::Commit(_) => "Give a commit id, a branch or a tag as commit_hash.",
            Self::Folder(_) => "Check git_folder against the repository at this commit.",
            Self::Location { .. } => "Give s3://BUCKET/KEY, an https address, or the absolute path of a file on the worker.",
            Self::HostNotListed { .. } | Self::AddressRefused { .. } => {
                "Put the archive on a host that is listed, or ask an operator to list this one."
            }
            Self::UnknownHost { .. } => "Check the spelling of the host.",
            Self::Unreachable { .. } | Self::TooSlow { .. } => "Try again later, or ask an operator to check the way to the server.",
            Self::Answered { .. } => "Check the address; a signed one may have expired.",
            Self::Redirected { .. } => "Give the address that it leads to.",
            Self::ArchiveTooLarge { .. } => "Leave out what the commands do not need.",
            Self::NoStore => "Ask an operator to give this worker access to the object store, or use an https address.",
            Self::Store { .. } => "Check bucket and key, and that the worker may read them.",
            Self::LocalNotAllowed { .. } => "Put the archive into such a folder, or ask an operator to name this one.",
            Self::LocalNoFile { .. } | Self::LocalUnreadable { .. } => "Check the path, and that the worker may read the file.",
            Self::Archive { why, .. } if why.is_the_workers() => "Ask an operator to check the worker's disk and kernel.",
            Self::Archive { .. } => "Make the archive again, from plain files and folders with relative names.",
            Self::Disk { .. } => "Ask an operator to check the worker's disk.",
        }
    }

    /// As a job's failure in the phase `phase`.
    pub fn to_failure(&self, phase: &str) -> Failure {
        let mut message = self.to_string();
        let inner = match self {
            Self::Archive { why, .. } => why.source(),
            Self::Git(error) => error.source(),
            _ => self.source(),
        };
        if let Some(source) = inner {
            message = format!("{message}: {source}");
        }
        Failure { kind: self.kind().to_owned(), phase: phase.to_owned(), message, next_action: self.next_action().to_owned() }
    }
}
