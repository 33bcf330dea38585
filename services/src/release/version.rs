//! Versions of releases: `vMAJOR.MINOR.PATCH` and nothing else.

use std::fmt;

/// A version. Ordered as versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
}

impl Version {
    /// The first release of a repository that has none.
    pub const FIRST: Self = Self { major: 1, minor: 0, patch: 0 };

    /// The version in a tag's name: strictly `vX.Y.Z`, no leading zeros, no pre-release, no build; `None` is no release.
    pub fn of_tag(name: &str) -> Option<Self> {
        let version = semver::Version::parse(name.strip_prefix('v')?).ok()?;
        let plain = version.pre.is_empty() && version.build.is_empty();
        plain.then_some(Self { major: version.major, minor: version.minor, patch: version.patch })
    }

    /// The next patch, unless numbers end.
    pub fn next_patch(self) -> Option<Self> {
        Some(Self { patch: self.patch.checked_add(1)?, ..self })
    }

    /// The next minor, unless numbers end.
    pub fn next_minor(self) -> Option<Self> {
        Some(Self { minor: self.minor.checked_add(1)?, patch: 0, ..self })
    }

    /// Whether two differ in nothing but the patch.
    pub fn same_minor(self, other: Self) -> bool {
        (self.major, self.minor) == (other.major, other.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_versions_are_releases() {
        for (name, expected) in [
            ("v1.2.3", Some("v1.2.3")),
            ("v0.0.0", Some("v0.0.0")),
            ("v18446744073709551615.0.0", Some("v18446744073709551615.0.0")),
            ("1.2.3", None),
            ("V1.2.3", None),
            ("v1.2", None),
            ("v1.2.3.4", None),
            ("v01.2.3", None),
            ("v1.2.3-rc.1", None),
            ("v1.2.3+build", None),
            ("v1x2.3", None),
            ("v1.2.-3", None),
            (" v1.2.3", None),
            ("v18446744073709551616.0.0", None),
            ("release/v1.2.3", None),
        ] {
            assert_eq!(Version::of_tag(name).map(|version| version.to_string()).as_deref(), expected, "{name}");
        }
        assert!(Version::of_tag("v1.10.0") > Version::of_tag("v1.9.9"));
    }
}
