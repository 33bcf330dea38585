//! Picks our variables out of an environment.
//!
//! An environment may hold anything, also text that is not Unicode; only in a variable of ours is that a mistake.

use std::ffi::OsString;

use super::catalog::VARIABLE_PREFIX;
use super::problem::{Problem, SettingsError};

/// Variables of other conventions, weaker than `NAVVY__…`: of the runner that Navvy replaces, and of OpenTelemetry.
/// An empty one counts as absent, as it did there.
pub(super) const FOREIGN: [(&str, &str, Form); 4] = [
    ("REGISTRY_HOST", "worker.registry_host", Form::AsItStands),
    ("ALLOWED_ORIGINS", "gateway.allowed_origins", Form::AsItStands),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "ops.otlp_endpoint", Form::AsItStands),
    ("DEPLOY_TIMEOUT", "sync.timeout", Form::Seconds),
];

/// Variables of the webhook service that Navvy replaces, which had one repository. The first one makes a source of them, where
/// the file has none; without it the others say nothing.
pub(super) const FOREIGN_SOURCE: [(&str, &str); 3] =
    [("GIT_REPO_URL", "sources[0].repository"), ("GIT_BRANCH", "sources[0].branch"), ("WEBHOOK_SECRET", "sources[0].webhook_secret")];

/// How a variable of another convention is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    AsItStands,
    /// A time in seconds, without its unit.
    Seconds,
}

impl Form {
    /// The value as we write it.
    pub(super) fn read(self, value: &str) -> String {
        match self {
            Self::Seconds if value.bytes().all(|b| b.is_ascii_digit()) => format!("{value}s"),
            Self::AsItStands | Self::Seconds => value.to_owned(),
        }
    }
}

/// The variables that settings are read from, for [`super::Layers::env`]: give it `std::env::vars_os()`.
///
/// # Errors
/// A variable of ours is not Unicode.
pub fn environment(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, SettingsError> {
    let mut ours = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in all {
        // What is lost here by the conversion is no name of ours, or becomes an unknown one that is refused later.
        let name = name.to_string_lossy().into_owned();
        let foreign =
            FOREIGN.iter().map(|(known, ..)| known).chain(FOREIGN_SOURCE.iter().map(|(known, _)| known)).any(|known| *known == name);
        if !foreign && !name.starts_with(VARIABLE_PREFIX) {
            continue;
        }
        match value.into_string() {
            Ok(value) => ours.push((name, value)),
            Err(_) => problems.push(Problem::new(
                format!("{name} (environment)"),
                "the value is not Unicode",
                "settings are text",
                "set it again",
            )),
        }
    }
    if problems.is_empty() { Ok(ours) } else { Err(SettingsError::Refused(problems)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn raw(name: &[u8], value: &[u8]) -> (OsString, OsString) {
        (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec()))
    }

    #[test]
    fn only_our_variables_are_taken() {
        let all = [
            raw(b"PATH", b"/bin"),
            raw(b"LANG\xff", b"\xff"),
            raw(b"ODD", b"\xff"),
            raw(b"NAVVY_TOKEN", b"t"),
            raw(b"NAVVY__WORKER__SLOTS", b"3"),
            raw(b"REGISTRY_HOST", b"https://r"),
        ];
        let names: Vec<_> = environment(all).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["NAVVY__WORKER__SLOTS", "REGISTRY_HOST"]);
    }

    #[test]
    fn our_variable_must_be_text() {
        let told = environment([raw(b"NAVVY__NATS__TOKEN", b"canary\xff")]).unwrap_err().to_string();
        assert!(told.contains("NAVVY__NATS__TOKEN") && !told.contains("canary"), "{told}");
    }
}
