//! What can go wrong between a git address and a checkout, in words for the person who gave the address.
//!
//! Every text here is free of credentials: details come from [`super::lines`], which redacts. How git's own messages
//! become variants is in [`super::classify`].

use proto::git::BadGit;
use std::io;
use std::path::PathBuf;

/// Why a repository could not be read. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error(transparent)]
    NotAllowed(#[from] BadGit),
    #[error(
        "{host} leads to {address}, {why}: refused; use a host with a reachable address, or ask an operator to list this one by its address"
    )]
    AddressRefused { host: String, address: std::net::IpAddr, why: &'static str },
    #[error("the host name {host} cannot be resolved: check the spelling of git_url")]
    UnknownHost {
        host: String,
        #[source]
        source: Option<io::Error>,
    },
    #[error(
        "{url} asks for a login and git_auth is missing: add git_auth, or check the address (many servers ask for a login when a repository does not exist)"
    )]
    LoginNeeded { url: String },
    #[error("{url} refused the {kind} credentials of git_auth: check that they are valid and may read this repository")]
    LoginRefused { url: String, kind: &'static str },
    #[error("git_auth of type {kind} does not fit {url}: use basic or token for http and https, ssh for ssh")]
    LoginDoesNotFit { url: String, kind: &'static str },
    #[error("the {field} in git_auth cannot be used: {why}")]
    LoginUnusable { field: &'static str, why: &'static str },
    #[error("{url} needs git_auth of type ssh with a private key and known_hosts")]
    SshKeyNeeded { url: String },
    #[error("git_auth for {host} has no known_hosts: add the server's line from `ssh-keyscan {host}` after checking its fingerprint")]
    KnownHostsMissing { host: String },
    #[error("the private key in git_auth cannot be used: give an unencrypted OpenSSH or PEM private key")]
    SshKeyUnusable,
    #[error(
        "{host} showed another host key than known_hosts says: somebody may be in between, or the key was changed; check with the server's owner before changing known_hosts"
    )]
    HostKeyMismatch { host: String },
    #[error(
        "known_hosts in git_auth has no key that {host} shows: add its line after checking the fingerprint (a port other than 22 is written [host]:port)"
    )]
    HostKeyUnknown { host: String },
    #[error("there is no repository at {url}, or these credentials may not see it")]
    RepositoryNotFound { url: String },
    #[error("{url} answered with a redirect, which is never followed: give the address it leads to (often the same with .git at the end)")]
    RedirectRefused { url: String },
    #[error("`{name}` is not a branch, tag or commit of {url}{hint}")]
    RefNotFound { url: String, name: String, hint: String },
    #[error("`{name}` is ambiguous in {url}: it may be {}", .candidates.join(", "))]
    RefAmbiguous { url: String, name: String, candidates: Vec<String> },
    #[error("the commit {commit} is not in {url}: push it, or check the id")]
    CommitNotFound { url: String, commit: String },
    #[error("{object} in {url} is a {kind}, not a commit")]
    NotACommit { url: String, object: String, kind: &'static str },
    #[error("{url} uses SHA-256 object ids, which this version cannot read: use a SHA-1 repository")]
    ObjectFormat { url: String },
    #[error("{url} cannot be reached: {detail}")]
    Unreachable { url: String, detail: String },
    #[error("the TLS certificate of {url} was refused: {detail}")]
    Tls { url: String, detail: String },
    #[error("{operation} did not end within {seconds} s and was stopped")]
    TimedOut { operation: &'static str, seconds: u64 },
    #[error("{what} is larger than the limit of {limit}: an operator can raise it in the worker's git settings")]
    TooLarge { what: String, limit: String },
    #[error("{url} sent an object that git's own check refuses, so nothing of it was kept: {detail}")]
    UnsafeObject { url: String, detail: String },
    #[error("the repository holds `{path}`, {why}: it is not written to disk")]
    UnsafeTree { path: String, why: &'static str },
    #[error("`{program}` cannot be started: install git 2.37 or newer on this worker")]
    GitMissing {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("git {found} is too old {why}: install git {needed} or newer on this worker")]
    GitTooOld { found: String, needed: &'static str, why: &'static str },
    #[error("`ssh` cannot be started: install the OpenSSH client on this worker")]
    SshMissing,
    #[error("the cached copy of {url} is damaged: {detail}")]
    Damaged { url: String, detail: String },
    #[error("{operation} {url} failed: {detail}")]
    Failed { operation: &'static str, url: String, detail: String },
    #[error("cannot {operation} {}", .path.display())]
    Storage {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl GitError {
    /// Whether the same request may work a little later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::UnknownHost { .. } | Self::Storage { .. })
    }

    /// For `map_err` on file operations.
    pub(super) fn storage<'a>(operation: &'static str, path: &'a std::path::Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Storage { operation, path: path.to_owned(), source }
    }
}
