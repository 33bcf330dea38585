//! What can go wrong between a git address and a checkout, in words for the person who gave the address.
//!
//! git says what happened only as text, so this is also where its messages (in the C locale) become variants.
//! Every text here is free of credentials: details come from [`super::lines`], which redacts.

use proto::git::BadGit;
use std::io;
use std::path::PathBuf;

/// Why a repository could not be read. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error(transparent)]
    NotAllowed(#[from] BadGit),
    #[error("{host} leads to {address}, {why}: refused; use a host with a reachable address, or ask an operator to list this one by its address")]
    AddressRefused {
        host: String,
        address: std::net::IpAddr,
        why: &'static str,
    },
    #[error("the host name {host} cannot be resolved: check the spelling of git_url")]
    UnknownHost {
        host: String,
        #[source]
        source: Option<io::Error>,
    },
    #[error("{url} asks for a login and git_auth is missing: add git_auth, or check the address (many servers ask for a login when a repository does not exist)")]
    LoginNeeded { url: String },
    #[error("{url} refused the {kind} credentials of git_auth: check that they are valid and may read this repository")]
    LoginRefused { url: String, kind: &'static str },
    #[error("git_auth of type {kind} does not fit {url}: use basic or token for http and https, ssh for ssh")]
    LoginDoesNotFit { url: String, kind: &'static str },
    #[error("the {field} in git_auth cannot be used: {why}")]
    LoginUnusable {
        field: &'static str,
        why: &'static str,
    },
    #[error("{url} needs git_auth of type ssh with a private key and known_hosts")]
    SshKeyNeeded { url: String },
    #[error("git_auth for {host} has no known_hosts: add the server's line from `ssh-keyscan {host}` after checking its fingerprint")]
    KnownHostsMissing { host: String },
    #[error("the private key in git_auth cannot be used: give an unencrypted OpenSSH or PEM private key")]
    SshKeyUnusable,
    #[error("{host} showed another host key than known_hosts says: somebody may be in between, or the key was changed; check with the server's owner before changing known_hosts")]
    HostKeyMismatch { host: String },
    #[error("known_hosts in git_auth has no key that {host} shows: add its line after checking the fingerprint (a port other than 22 is written [host]:port)")]
    HostKeyUnknown { host: String },
    #[error("there is no repository at {url}, or these credentials may not see it")]
    RepositoryNotFound { url: String },
    #[error("{url} answered with a redirect, which is never followed: give the address it leads to (often the same with .git at the end)")]
    RedirectRefused { url: String },
    #[error("`{name}` is not a branch, tag or commit of {url}{hint}")]
    RefNotFound {
        url: String,
        name: String,
        hint: String,
    },
    #[error("`{name}` is ambiguous in {url}: it may be {}", .candidates.join(", "))]
    RefAmbiguous {
        url: String,
        name: String,
        candidates: Vec<String>,
    },
    #[error("the commit {commit} is not in {url}: push it, or check the id")]
    CommitNotFound { url: String, commit: String },
    #[error("{object} in {url} is a {kind}, not a commit")]
    NotACommit {
        url: String,
        object: String,
        kind: &'static str,
    },
    #[error("{url} uses SHA-256 object ids, which this version cannot read: use a SHA-1 repository")]
    ObjectFormat { url: String },
    #[error("{url} cannot be reached: {detail}")]
    Unreachable { url: String, detail: String },
    #[error("the TLS certificate of {url} was refused: {detail}")]
    Tls { url: String, detail: String },
    #[error("{operation} did not end within {seconds} s and was stopped")]
    TimedOut {
        operation: &'static str,
        seconds: u64,
    },
    #[error("{what} is larger than the limit of {limit}: an operator can raise it in the worker's git settings")]
    TooLarge { what: String, limit: String },
    #[error("the repository holds `{path}`, {why}: it is not written to disk")]
    UnsafeTree { path: String, why: &'static str },
    #[error("`{program}` cannot be started: install git 2.37 or newer on this worker")]
    GitMissing {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("git {found} is too old {why}: install git {needed} or newer on this worker")]
    GitTooOld {
        found: String,
        needed: &'static str,
        why: &'static str,
    },
    #[error("`ssh` cannot be started: install the OpenSSH client on this worker")]
    SshMissing,
    #[error("the cached copy of {url} is damaged: {detail}")]
    Damaged { url: String, detail: String },
    #[error("{operation} {url} failed: {detail}")]
    Failed {
        operation: &'static str,
        url: String,
        detail: String,
    },
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
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::UnknownHost { .. }
                | Self::Storage { .. }
        )
    }

    /// For `map_err` on file operations.
    pub(super) fn storage<'a>(
        operation: &'static str,
        path: &'a std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Storage {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// What a failed git command was about.
pub(super) struct Subject<'a> {
    pub(super) operation: &'static str,
    pub(super) url: &'a str,
    pub(super) host: &'a str,
    /// Kind of the credentials that were offered.
    pub(super) auth: Option<&'static str>,
}

/// Turns the last lines of a failed git command into an error. Lines that the server made (`remote: …`) are shown but
/// never decide.
pub(super) fn classify(subject: &Subject<'_>, lines: &[String]) -> GitError {
    let own: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("remote:"))
        .collect();
    let says = |needles: &[&str]| {
        own.iter()
            .any(|line| needles.iter().any(|needle| line.contains(needle)))
    };
    let url = subject.url.to_owned();
    let host = subject.host.to_owned();
    let status = own
        .iter()
        .find_map(|line| line.split_once("The requested URL returned error: "))
        .map(|(_, rest)| rest.get(..3).unwrap_or(rest));
    let refused = match subject.auth {
        Some(kind) => GitError::LoginRefused {
            url: url.clone(),
            kind,
        },
        None => GitError::LoginNeeded { url: url.clone() },
    };
    if says(&["REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        GitError::HostKeyMismatch { host }
    } else if says(&["Host key verification failed", "host key is known for"]) {
        GitError::HostKeyUnknown { host }
    } else if says(&["Load key ", "invalid format", "error in libcrypto"]) {
        GitError::SshKeyUnusable
    } else if matches!(status, Some("401" | "403"))
        || says(&[
            "Authentication failed",
            "Permission denied (",
            "could not read Username",
            "could not read Password",
            "Too many authentication failures",
        ])
    {
        refused
    } else if matches!(status, Some("300" | "301" | "302" | "303" | "307" | "308")) {
        GitError::RedirectRefused { url }
    } else if matches!(status, Some("404" | "410"))
        || says(&["' not found", "does not appear to be a git repository"])
        || (own.is_empty() && lines.iter().any(|line| line.contains("not found")))
    {
        GitError::RepositoryNotFound { url }
    } else {
        classify_transport(subject, lines, &own)
    }
}

/// The failures that have nothing to do with the repository itself.
fn classify_transport(subject: &Subject<'_>, lines: &[String], own: &[&str]) -> GitError {
    let says = |needles: &[&str]| {
        own.iter()
            .any(|line| needles.iter().any(|needle| line.contains(needle)))
    };
    let url = subject.url.to_owned();
    let detail = detail(lines);
    let tls = ["SSL certificate", "certificate verif", "SSL_ERROR", "TLS"];
    let network = [
        "Could not resolve host",
        "Failed to connect",
        "Couldn't connect",
        "Connection refused",
        "Connection timed out",
        "Connection reset",
        "Operation timed out",
        "Operation too slow",
        "Network is unreachable",
        "No route to host",
        "Empty reply from server",
        "early EOF",
        "the remote end hung up unexpectedly",
        "Recv failure",
        "returned error: 429",
        "returned error: 5",
    ];
    if says(&["cannot run ssh", "ssh: not found", "ssh: No such file"]) {
        GitError::SshMissing
    } else if says(&tls) {
        GitError::Tls { url, detail }
    } else if says(&network) {
        GitError::Unreachable { url, detail }
    } else if lines.iter().any(|line| line.contains("ot found"))
        && says(&["Could not read from remote repository"])
    {
        GitError::RepositoryNotFound { url }
    } else {
        GitError::Failed {
            operation: subject.operation,
            url,
            detail,
        }
    }
}

/// The last few lines as one, at most 600 characters.
pub(super) fn detail(lines: &[String]) -> String {
    let kept: Vec<&str> = lines
        .iter()
        .rev()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .take(4)
        .collect();
    let text = kept.into_iter().rev().collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        "git gave no reason".to_owned()
    } else {
        text.chars().take(600).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(auth: Option<&'static str>, lines: &[&str]) -> GitError {
        let subject = Subject {
            operation: "reading",
            url: "https://git.example/a.git",
            host: "git.example",
            auth,
        };
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        classify(&subject, &lines)
    }

    #[test]
    fn gits_words_become_variants() {
        let access = "fatal: unable to access 'https://git.example/a.git/': The requested URL returned error: ";
        let at = |code: &str| seen(Some("basic"), &[&format!("{access}{code}")]);
        assert!(matches!(at("403"), GitError::LoginRefused { .. }));
        assert!(matches!(at("301"), GitError::RedirectRefused { .. }));
        assert!(matches!(at("404"), GitError::RepositoryNotFound { .. }));
        assert!(matches!(at("502"), GitError::Unreachable { .. }));
        assert!(matches!(
            seen(None, &["fatal: could not read Username for 'https://git.example': terminal prompts disabled"]),
            GitError::LoginNeeded { .. }
        ));
        assert!(matches!(
            seen(Some("ssh"), &["git@h: Permission denied (publickey).", "fatal: Could not read from remote repository."]),
            GitError::LoginRefused { kind: "ssh", .. }
        ));
    }

    #[test]
    fn what_the_server_prints_does_not_decide() {
        let error = seen(None, &["remote: Authentication failed", "fatal: something else"]);
        assert!(matches!(error, GitError::Failed { .. }), "{error}");
    }
}
