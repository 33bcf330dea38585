//! What went wrong with a command that syncs a service, told from how it ended and what it printed.
//!
//! Kinds are tried in one order, because some failures print what looks like another: a Dokploy that refuses its key makes the
//! secrets look unreadable. Nothing here knows a variable's value; the line that is quoted is the command's own, and whoever
//! shows it masks it first.

use std::fmt;

/// Bytes of output that are looked at, from its end.
const LOOKED_AT: usize = 32 * 1024;
/// Characters of the line that is quoted.
const QUOTED: usize = 300;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code other than 0.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// Its time was up.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

/// The kinds, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    MissingPythonDependency,
    MissingEnvironmentIsolation,
    VaultSecretMissing,
    VaultTokenMissing,
    DokployAuthFailed,
    VaultPermissionDenied,
    OnepasswordAuthFailed,
    InvokeTimeout,
    UnknownInvokeFailure,
}

impl ErrorKind {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::MissingPythonDependency,
        Self::MissingEnvironmentIsolation,
        Self::VaultSecretMissing,
        Self::VaultTokenMissing,
        Self::DokployAuthFailed,
        Self::VaultPermissionDenied,
        Self::OnepasswordAuthFailed,
        Self::InvokeTimeout,
        Self::UnknownInvokeFailure,
    ];

    /// The word that answers carry as `error_kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingPythonDependency => "missing_python_dependency",
            Self::MissingEnvironmentIsolation => "missing_environment_isolation",
            Self::VaultSecretMissing => "vault_secret_missing",
            Self::VaultTokenMissing => "vault_token_missing",
            Self::DokployAuthFailed => "dokploy_auth_failed",
            Self::VaultPermissionDenied => "vault_permission_denied",
            Self::OnepasswordAuthFailed => "onepassword_auth_failed",
            Self::InvokeTimeout => "invoke_timeout",
            Self::UnknownInvokeFailure => "unknown_invoke_failure",
        }
    }

    fn summary(self, ended: Ended) -> String {
        match self {
            Self::MissingPythonDependency => "the command needs a Python module that this worker does not have".to_owned(),
            Self::MissingEnvironmentIsolation => "the command was not told how this environment is kept apart from production".to_owned(),
            Self::VaultSecretMissing => "a secret that the service needs is not in Vault".to_owned(),
            Self::VaultTokenMissing => "the command has no token for Vault".to_owned(),
            Self::DokployAuthFailed => "Dokploy refused the API key".to_owned(),
            Self::VaultPermissionDenied => "Vault refused the token".to_owned(),
            Self::OnepasswordAuthFailed => "1Password refused the service account".to_owned(),
            Self::InvokeTimeout => "the command did not end in time and was stopped".to_owned(),
            Self::UnknownInvokeFailure => match ended {
                Ended::Exited(code) => format!("the command failed with exit code {code}"),
                Ended::Signalled(signal) => format!("the command was ended by signal {signal}"),
                Ended::TimedOut => "the command did not end in time".to_owned(),
                Ended::NotStarted => "the command could not be started".to_owned(),
            },
        }
    }

    fn next_action(self) -> &'static str {
        match self {
            Self::MissingPythonDependency => "install the module that the line names on the workers of this pool, then sync again",
            Self::MissingEnvironmentIsolation => {
                "set DATA_PATH or ENV_SUFFIX for environments other than production; Navvy sets ENV_SUFFIX unless the command drops it"
            }
            Self::VaultSecretMissing => "store the secret under the path that the line names, then sync again",
            Self::VaultTokenMissing => "give the worker an AppRole or a token for Vault, then sync again",
            Self::DokployAuthFailed => "renew DOKPLOY_API_KEY and check that it may use this project, then sync again",
            Self::VaultPermissionDenied => {
                "check that the worker's token is alive and that its policy may read the path that the line names"
            }
            Self::OnepasswordAuthFailed => "renew OP_SERVICE_ACCOUNT_TOKEN and check that it may read the vault, then sync again",
            Self::InvokeTimeout => "look at the log for what it waited for; raise the timeout if it only needed longer",
            Self::UnknownInvokeFailure => "look at the log: its last lines say what failed",
        }
    }

    /// Whether a line, in lower case, shows this kind.
    fn shows(self, line: &str) -> bool {
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let word = |wanted: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == wanted);
        let refused =
            || word("401") || word("403") || has(&["unauthorized", "unauthorised", "forbidden", "invalid api key", "permission denied"]);
        match self {
            Self::MissingPythonDependency => has(&["modulenotfounderror", "no module named", "importerror: cannot import name"]),
            Self::MissingEnvironmentIsolation => has(&["requires data_path or env_suffix"]),
            Self::VaultSecretMissing => {
                has(&["no value found at", "hvac.exceptions.invalidpath"])
                    || (word("secret") && word("vault") && has(&["not found", "missing", "does not exist"]) && !has(&["token"]))
            }
            Self::VaultTokenMissing => {
                has(&["missing client token"])
                    || (has(&["vault_token", "vault_root_token", "vault_app_token", "vault token"])
                        && has(&["missing", "not set", "required", "not found", "unset", "empty"]))
            }
            Self::DokployAuthFailed => word("dokploy") && refused(),
            Self::VaultPermissionDenied => {
                line.trim() == "* permission denied" || has(&["hvac.exceptions.forbidden"]) || (word("vault") && refused())
            }
            Self::OnepasswordAuthFailed => {
                has(&["you are not currently signed in"])
                    || (has(&["1password", "op_service_account_token", "op whoami", "op read"])
                        && (refused()
                            || has(&["invalid", "expired", "not set", "failed to authenticate", "authentication failed", "signin"])))
            }
            Self::InvokeTimeout | Self::UnknownInvokeFailure => false,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, for people and for whoever counts kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub kind: ErrorKind,
    /// Our own words; holds nothing of the output.
    pub summary: String,
    /// The line of output that showed it, without colours, on one line. To be masked before it is shown.
    pub line: Option<String>,
    pub next_action: &'static str,
}

/// Tells what went wrong. Only the end of `output` is looked at.
pub fn diagnose(ended: Ended, output: &[u8]) -> Diagnosis {
    let tail = output.get(output.len().saturating_sub(LOOKED_AT)..).unwrap_or(output);
    let text = without_colours(&String::from_utf8_lossy(tail));
    let lines: Vec<(&str, String)> = text.lines().map(|line| (line, line.to_lowercase())).collect();
    let shown_by = |kind: ErrorKind| lines.iter().rev().find(|(_, lower)| kind.shows(lower)).map(|(line, _)| *line);
    for kind in ErrorKind::ALL {
        let line = shown_by(kind);
        let is_it = match kind {
            ErrorKind::InvokeTimeout => ended == Ended::TimedOut,
            ErrorKind::UnknownInvokeFailure => true,
            ErrorKind::MissingPythonDependency
            | ErrorKind::MissingEnvironmentIsolation
            | ErrorKind::VaultSecretMissing
            | ErrorKind::VaultTokenMissing
            | ErrorKind::DokployAuthFailed
            | ErrorKind::VaultPermissionDenied
            | ErrorKind::OnepasswordAuthFailed => line.is_some(),
        };
        if is_it {
            return found(kind, ended, line.map(quoted));
        }
    }
    found(ErrorKind::UnknownInvokeFailure, ended, None)
}

fn found(kind: ErrorKind, ended: Ended, line: Option<String>) -> Diagnosis {
    Diagnosis { kind, summary: kind.summary(ended), line, next_action: kind.next_action() }
}

fn quoted(line: &str) -> String {
    let line = line.trim();
    let shown: String = line.chars().filter(|c| !c.is_control()).take(QUOTED).collect();
    if line.chars().count() > QUOTED { format!("{shown}…") } else { shown }
}

/// Without the sequences that colour a terminal; a line that was written over counts as several.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                let _ = chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\u{1b}' => {}
            '\r' => plain.push('\n'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(output: &str) -> &'static str {
        diagnose(Ended::Exited(1), output.as_bytes()).kind.as_str()
    }

    #[test]
    fn kinds_are_told_by_what_was_printed() {
        for (output, expected) in [
            ("Traceback\nModuleNotFoundError: No module named 'hvac'\n", "missing_python_dependency"),
            ("ValueError: Non-production requires DATA_PATH or ENV_SUFFIX\n", "missing_environment_isolation"),
            ("No value found at secret/data/platform/staging/redis\n", "vault_secret_missing"),
            ("hvac.exceptions.InvalidPath: None, on get https://vault/v1/x", "vault_secret_missing"),
            ("Secret platform/redis not found in Vault", "vault_secret_missing"),
            ("VAULT_ROOT_TOKEN not set", "vault_token_missing"),
            ("* missing client token", "vault_token_missing"),
            ("Vault secret lookup: VAULT_TOKEN is missing", "vault_token_missing"),
            ("httpx: 401 Unauthorized for url https://dokploy.example.com/api/project.all", "dokploy_auth_failed"),
            ("Error making API request.\nCode: 403. Errors:\n\n* permission denied\n", "vault_permission_denied"),
            ("hvac.exceptions.Forbidden: permission denied", "vault_permission_denied"),
            ("[ERROR] 2026/01/01 1Password: authentication failed", "onepassword_auth_failed"),
            ("[ERROR] You are not currently signed in. Please run `op signin`", "onepassword_auth_failed"),
            ("root@host: Permission denied (publickey).", "unknown_invoke_failure"),
            ("line 403 of vaulted text", "unknown_invoke_failure"),
            ("secretary not found", "unknown_invoke_failure"),
            ("", "unknown_invoke_failure"),
        ] {
            assert_eq!(kind(output), expected, "{output}");
        }
    }

    #[test]
    fn the_order_decides_and_time_comes_after_what_was_printed() {
        let both = "Dokploy: 401 Unauthorized\nvault: permission denied\n";
        assert_eq!(kind(both), "dokploy_auth_failed");
        assert_eq!(kind("vault: permission denied\nDokploy: 403 Forbidden\n"), "dokploy_auth_failed");
        assert_eq!(diagnose(Ended::TimedOut, b"ModuleNotFoundError: x").kind, ErrorKind::MissingPythonDependency);
        assert_eq!(diagnose(Ended::TimedOut, b"waiting").kind, ErrorKind::InvokeTimeout);
        let words: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!((words[4], words[5], words[8]), ("dokploy_auth_failed", "vault_permission_denied", "unknown_invoke_failure"));
    }

    #[test]
    fn the_line_is_quoted_and_the_summary_is_ours() {
        let output = "one\n\u{1b}[31mModuleNotFoundError:\u{1b}[0m No module named 'a'\rNo module named 'b' hunter2\nend\n";
        let diagnosis = diagnose(Ended::Exited(2), output.as_bytes());
        assert_eq!(diagnosis.line.as_deref(), Some("No module named 'b' hunter2"), "the last of several");
        assert!(!diagnosis.summary.contains("hunter2") && !diagnosis.next_action.contains("hunter2"));
        let long = format!("No module named {}", "x".repeat(1000));
        assert_eq!(diagnose(Ended::Exited(1), long.as_bytes()).line.map(|line| line.chars().count()), Some(QUOTED + 1));
        for (ended, summary) in [
            (Ended::Exited(7), "the command failed with exit code 7"),
            (Ended::Signalled(9), "the command was ended by signal 9"),
            (Ended::NotStarted, "the command could not be started"),
        ] {
            let diagnosis = diagnose(ended, b"hunter2");
            assert_eq!((diagnosis.summary.as_str(), diagnosis.line), (summary, None));
        }
    }

    #[test]
    fn only_the_end_is_looked_at_and_any_bytes_are_well() {
        let mut output = b"ModuleNotFoundError: x\n".to_vec();
        output.extend(vec![b'y'; LOOKED_AT]);
        assert_eq!(diagnose(Ended::Exited(1), &output).kind, ErrorKind::UnknownInvokeFailure);
        output.extend(b"\n\xff\xfe\x1b[ no module named q");
        assert_eq!(diagnose(Ended::Exited(1), &output).kind, ErrorKind::UnknownInvokeFailure, "an open sequence swallows up to its end");
        output.extend(b"\nNo module named q\xff");
        assert_eq!(diagnose(Ended::Exited(1), &output).kind, ErrorKind::MissingPythonDependency);
    }
}
