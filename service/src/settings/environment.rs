//! Picks our variables out of an environment.
//!
//! An environment may hold anything, also text that is not Unicode; only in a variable of ours is that a mistake.

use std::ffi::OsString;

use super::catalog::VARIABLE_PREFIX;
use super::problem::{Problem, SettingsError};

/// Variables of other conventions, weaker than `NAVVY__…`: of the runner that Navvy replaces, and of OpenTelemetry.
/// An empty one counts as absent, as it did there.
pub(super) const FOREIGN: [(&str, &str); 3] = [
    ("REGISTRY_HOST", "worker.registry_host"),
    ("ALLOWED_ORIGINS", "gateway.allowed_origins"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "ops.otlp_endpoint"),
];

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
        let foreign = FOREIGN.iter().any(|(known, _)| *known == name);
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
