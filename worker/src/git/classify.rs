//! git says what went wrong only as text: this turns its last lines (in the C locale) into a [`GitError`].

use super::GitError;

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
    let own: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.starts_with("remote:")).collect();
    let says = |needles: &[&str]| own.iter().any(|line| needles.iter().any(|needle| line.contains(needle)));
    let url = subject.url.to_owned();
    let host = subject.host.to_owned();
    let status =
        own.iter().find_map(|line| line.split_once("The requested URL returned error: ")).map(|(_, rest)| rest.get(..3).unwrap_or(rest));
    let refused = match subject.auth {
        Some(kind) => GitError::LoginRefused { url: url.clone(), kind },
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
    let says = |needles: &[&str]| own.iter().any(|line| needles.iter().any(|needle| line.contains(needle)));
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
    } else if says(&["fsck error", "fsckObjects"]) {
        GitError::UnsafeObject { url, detail }
    } else if says(&tls) {
        GitError::Tls { url, detail }
    } else if says(&network) {
        GitError::Unreachable { url, detail }
    } else if lines.iter().any(|line| line.contains("ot found")) && says(&["Could not read from remote repository"]) {
        GitError::RepositoryNotFound { url }
    } else {
        GitError::Failed { operation: subject.operation, url, detail }
    }
}

/// The last few lines as one, at most 600 characters.
pub(super) fn detail(lines: &[String]) -> String {
    let kept: Vec<&str> = lines.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty()).take(4).collect();
    let text = kept.into_iter().rev().collect::<Vec<_>>().join("; ");
    if text.is_empty() { "git gave no reason".to_owned() } else { text.chars().take(600).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(auth: Option<&'static str>, lines: &[&str]) -> GitError {
        let subject = Subject { operation: "reading", url: "https://git.example/a.git", host: "git.example", auth };
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
