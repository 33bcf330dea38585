//! Names of environments and services.

use crate::ids::shorten;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is no such name. Shown to the user as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSyncName {
    /// Not an environment.
    #[error("`{0}` is not an environment: 1 to 32 of a-z, 0-9 and _, starting with a letter; `prod` means `production`")]
    Environment(String),
    /// Not a service.
    #[error(
        "`{0}` is not a service: write project/service, each 1 to 63 of A-Z, a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit"
    )]
    Service(String),
}

/// Where services are deployed to, such as `staging` or `production`. `-` and `/` are refused because the name becomes a
/// suffix of host names and data folders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Environment(String);

impl Environment {
    /// The environment without a suffix, and the one that production-only services live in.
    pub const PRODUCTION: &'static str = "production";

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is production.
    pub fn is_production(&self) -> bool {
        self.0 == Self::PRODUCTION
    }

    /// What host names and data folders end with: nothing in production, else `-` and the name with `-` for `_`.
    pub fn suffix(&self) -> String {
        if self.is_production() { String::new() } else { format!("-{}", self.0.replace('_', "-")) }
    }
}

impl std::str::FromStr for Environment {
    type Err = BadSyncName;
    fn from_str(text: &str) -> Result<Self, BadSyncName> {
        let bytes = text.as_bytes();
        let good = (1..=32).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
        match (good, text) {
            (false, _) => Err(BadSyncName::Environment(shorten(text))),
            (true, "prod") => Ok(Self(Self::PRODUCTION.to_owned())),
            (true, _) => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Environment {
    type Error = BadSyncName;
    fn try_from(text: String) -> Result<Self, BadSyncName> {
        text.parse()
    }
}

impl From<Environment> for String {
    fn from(environment: Environment) -> Self {
        environment.0
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A service of a project, written `project/service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId {
    project: String,
    name: String,
}

impl ServiceId {
    /// From its two parts.
    pub fn new(project: &str, name: &str) -> Result<Self, BadSyncName> {
        if is_part(project) && is_part(name) {
            Ok(Self { project: project.to_owned(), name: name.to_owned() })
        } else {
            Err(BadSyncName::Service(shorten(&format!("{project}/{name}"))))
        }
    }

    /// The project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The service in its project.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn is_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && !text.ends_with('.')
        && !text.contains("..")
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl std::str::FromStr for ServiceId {
    type Err = BadSyncName;
    fn from_str(text: &str) -> Result<Self, BadSyncName> {
        let (project, name) = text.split_once('/').ok_or_else(|| BadSyncName::Service(shorten(text)))?;
        Self::new(project, name)
    }
}

impl TryFrom<String> for ServiceId {
    type Error = BadSyncName;
    fn try_from(text: String) -> Result<Self, BadSyncName> {
        text.parse()
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_normalised_and_have_suffixes() {
        for (text, name, suffix) in [
            ("staging", Some("staging"), "-staging"),
            ("prod", Some("production"), ""),
            ("production", Some("production"), ""),
            ("pr_12", Some("pr_12"), "-pr-12"),
            ("a-b", None, ""),
            ("a/b", None, ""),
            ("", None, ""),
            ("1a", None, ""),
            ("Staging", None, ""),
            ("../x", None, ""),
        ] {
            let parsed = text.parse::<Environment>().ok();
            assert_eq!(parsed.as_ref().map(Environment::as_str), name, "{text}");
            assert_eq!(parsed.map(|e| e.suffix()).unwrap_or_default(), suffix, "{text}");
        }
    }

    #[test]
    fn a_service_has_a_project() {
        for (text, good) in [
            ("platform/postgres", true),
            ("finance_report/app.api", true),
            ("postgres", false),
            ("a/b/c", false),
            ("/b", false),
            ("a/", false),
            ("../etc", false),
            ("a/..", false),
            ("a/-x", false),
            ("a/b c", false),
            ("a/b.", false),
        ] {
            assert_eq!(text.parse::<ServiceId>().is_ok(), good, "{text}");
        }
    }
}
