//! The hash gate: whether what is deployed is what would be deployed.

use super::identity::{Hashes, LEGACY_DIGITS};
use std::fmt;

/// How an identity was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// 12 digits over compose text and variables. Blind to build files.
    V0,
    /// 12 digits over these and build files.
    V1,
    /// Ours.
    V2,
}

impl Scheme {
    /// Whether it is one of the replaced service. Where a gate finds such a hash equal, the worker should store ours beside
    /// the service if it can do so without deploying it: the old ones see less.
    pub fn is_legacy(self) -> bool {
        match self {
            Self::V0 | Self::V1 => true,
            Self::V2 => false,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0 => "the old hash of compose file and variables (it does not cover build files)",
            Self::V1 => "the old hash of compose file, variables and build files",
            Self::V2 => "the full digest",
        })
    }
}

/// What the gate says. That the remote could not be read at all is no case of it: then nothing is deployed (see
/// [`crate::backoff`]), because a remote that fails under load must not cause a wave of deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing to do.
    Unchanged { by: Scheme },
    /// To be deployed.
    Changed(Changed),
    /// Nothing is deployed, or nothing that says what it is: to be deployed, and the sync counts as `created`.
    Absent,
}

/// Why it is to be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Changed {
    /// The same scheme, another hash.
    #[error("what is deployed has another identity")]
    Differs,
    /// Something stands there that no version of ours that we know has written. It was read, so the remote is well; and
    /// deploying puts a good one in its place, so it happens once. Saying "unchanged" would say it for ever.
    #[error("what is deployed has an identity that cannot be read (`{0}`): it is deployed again, which writes a good one")]
    Malformed(String),
}

/// Compares what stands beside the deployed service with what is about to be deployed. An equal old hash counts as unchanged,
/// so that moving here deploys nothing by itself.
pub fn compare(remote: Option<&str>, local: &Hashes) -> Gate {
    let Some(remote) = remote.map(str::trim).filter(|remote| !remote.is_empty()) else { return Gate::Absent };
    let equal = |hash: &String, by| if remote == hash { Some(Gate::Unchanged { by }) } else { None };
    if is_digits(remote, LEGACY_DIGITS) {
        // The two old kinds look the same. The one that sees more is asked first.
        return equal(&local.v1, Scheme::V1).or_else(|| equal(&local.v0, Scheme::V0)).unwrap_or(Gate::Changed(Changed::Differs));
    }
    match remote.split_once(':') {
        Some(("v2", digits)) if is_digits(digits, 64) => equal(&local.v2, Scheme::V2).unwrap_or(Gate::Changed(Changed::Differs)),
        // As the replaced service wrote it into `IAC_SOURCE_CONFIG_HASH`.
        Some(("v1", digits)) if digits == local.v1 => Gate::Unchanged { by: Scheme::V1 },
        Some(("v1", digits)) if is_digits(digits, LEGACY_DIGITS) => Gate::Changed(Changed::Differs),
        Some(_) | None => Gate::Changed(Changed::Malformed(remote.chars().take(80).flat_map(char::escape_debug).collect())),
    }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_unchanged_under_every_scheme_and_everything_else_is_deployed() {
        let ours = format!("v2:{}", "ab".repeat(32));
        let local = Hashes { v0: "43e65c10865d".to_owned(), v1: "564d81fed17c".to_owned(), v2: ours.clone() };
        let differs = Gate::Changed(Changed::Differs);
        let malformed = |text: &str| Gate::Changed(Changed::Malformed(text.to_owned()));
        for (remote, expected) in [
            (None, Gate::Absent),
            (Some(""), Gate::Absent),
            (Some("  "), Gate::Absent),
            (Some("43e65c10865d"), Gate::Unchanged { by: Scheme::V0 }),
            (Some("564d81fed17c\n"), Gate::Unchanged { by: Scheme::V1 }),
            (Some("564d81fed17d"), differs.clone()),
            (Some("v1:564d81fed17c"), Gate::Unchanged { by: Scheme::V1 }),
            (Some("v1:43e65c10865d"), differs.clone()),
            (Some(ours.as_str()), Gate::Unchanged { by: Scheme::V2 }),
            (Some(&ours.replace("ab", "ac")), differs),
            (Some("v2:abc"), malformed("v2:abc")),
            (Some(&ours[3..]), malformed(&ours[3..])),
            (Some("v3:00"), malformed("v3:00")),
            (Some("43E65C10865D"), malformed("43E65C10865D")),
            (Some("\u{1b}[0m"), malformed("\\u{1b}[0m")),
        ] {
            assert_eq!(compare(remote, &local), expected, "{remote:?}");
        }
    }
}
