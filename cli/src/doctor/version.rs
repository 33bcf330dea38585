//! Version numbers as programs print them, and the lowest ones that are safe.

use std::fmt;

/// Three numbers. What follows them (`-rc1`, `.windows.1`) does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The first version number in a text.
pub(super) fn find(text: &str) -> Option<Version> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '"')).find_map(|word| {
        let word = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = word.split(|c: char| !c.is_ascii_digit());
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (major, minor) = (number()?, number()?);
        Some(Version(major, minor, number().unwrap_or(0)))
    })
}

/// Whether `version` has the security fixes: at least the fixed release of its own line, or newer than all lines.
/// `fixed` is sorted, one entry a maintained line; lines below the first have none.
pub(super) fn is_fixed(version: Version, fixed: &[Version]) -> bool {
    let own_line = fixed.iter().find(|fix| (fix.0, fix.1) == (version.0, version.1));
    match own_line {
        Some(fix) => version >= *fix,
        None => fixed.last().is_some_and(|newest| version > *newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (text, expected) in [
            ("nats-server: v2.15.1", Some(Version(2, 15, 1))),
            ("git version 2.47.3", Some(Version(2, 47, 3))),
            ("git version 2.39.5 (Apple Git-154)", Some(Version(2, 39, 5))),
            ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15", Some(Version(9, 2, 1))),
            ("Terraform v1.11.4\non linux_amd64", Some(Version(1, 11, 4))),
            ("OpenTofu v1.10.0-rc1", Some(Version(1, 10, 0))),
            ("no number here", None),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fix_counts_for_its_own_line_and_for_all_newer_ones() {
        let fixed = [Version(2, 43, 7), Version(2, 49, 1), Version(2, 50, 1)];
        for (version, good) in [
            (Version(2, 43, 7), true),
            (Version(2, 43, 6), false),
            (Version(2, 44, 9), false),
            (Version(2, 50, 0), false),
            (Version(2, 50, 1), true),
            (Version(2, 51, 0), true),
            (Version(2, 30, 2), false),
            (Version(3, 0, 0), true),
        ] {
            assert_eq!(is_fixed(version, &fixed), good, "{version}");
        }
    }
}
