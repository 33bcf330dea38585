//! Versions and version constraints in the dialect of terraform's `required_version`.
//!
//! The rules are those of terraform's own constraint library, which differ from Cargo's: no operator means "exactly",
//! `~>` lets the last number that was written grow, and a pre-release is only taken by a constraint that names a
//! pre-release of the same three numbers. Comparing is `semver`'s part; which version is wanted is [`super::asked`]'s.

use semver::{BuildMetadata, Prerelease, Version};
use std::fmt;

/// Why a text is no version or no constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadVersion {
    #[error("`{0}` is not a version such as 1.11.4")]
    Version(String),
    #[error("`{0}` is not a version constraint such as `>= 1.5, < 2.0` or `~> 1.9`")]
    Constraint(String),
}

/// An exact version: three numbers, perhaps with a pre-release. A leading `v` is dropped.
pub(super) fn exact(text: &str) -> Result<Version, BadVersion> {
    let (version, written) = numbers(text).ok_or_else(|| BadVersion::Version(shown(text)))?;
    if written == 3 { Ok(version) } else { Err(BadVersion::Version(shown(text))) }
}

/// A list of terms that must all hold. The empty list takes every release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Constraints {
    terms: Vec<Term>,
    /// Terms that only versions before [`TOFU_1_12`] have to fit.
    before_tofu_1_12: Vec<Term>,
}

/// From here on tofu takes `required_version` in `.tf` files for terraform's.
const TOFU_1_12: Version = Version::new(1, 12, 0);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    relation: Relation,
    version: Version,
    /// How many numbers were written: `~> 1.9` and `~> 1.9.0` differ.
    written: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Pessimistic,
}

/// The longer spellings first: `>=` is not `>` followed by `=`.
const RELATIONS: &[(&str, Relation)] = &[
    (">=", Relation::GreaterOrEqual),
    ("<=", Relation::LessOrEqual),
    ("!=", Relation::NotEqual),
    ("~>", Relation::Pessimistic),
    ("=", Relation::Equal),
    (">", Relation::Greater),
    ("<", Relation::Less),
];

impl Constraints {
    /// Adds the terms of another constraint: both must hold.
    pub(super) fn and(&mut self, other: Self) {
        self.terms.extend(other.terms);
    }

    /// Adds terms that later versions pass over.
    pub(super) fn and_before_tofu_1_12(&mut self, other: Self) {
        self.before_tofu_1_12.extend(other.terms);
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Whether a version may be used.
    pub(super) fn take(&self, version: &Version) -> bool {
        // Without any term a pre-release would slip through, and nobody asked for one.
        let asked = !self.terms.is_empty() || version.pre.is_empty();
        let fits = |terms: &[Term]| terms.iter().all(|term| term.takes(version));
        asked && fits(&self.terms) && (*version >= TOFU_1_12 || fits(&self.before_tofu_1_12))
    }

    /// The newest version that the terms themselves name and that they all take: what can be fetched without knowing
    /// which versions exist. `~> 1.9.2` names 1.9.2; `< 2.0` names nothing.
    pub(super) fn named(&self) -> Option<Version> {
        let names = |term: &&Term| matches!(term.relation, Relation::Equal | Relation::GreaterOrEqual | Relation::Pessimistic);
        let named = self.all().filter(names).map(|term| &term.version);
        named.filter(|version| self.take(version)).max().cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().chain(&self.before_tofu_1_12)
    }
}

impl std::str::FromStr for Constraints {
    type Err = BadVersion;
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let term = |part: &str| Term::parse(part).ok_or_else(|| BadVersion::Constraint(shown(text)));
        text.split(',').map(|part| term(part.trim())).collect::<Result<_, _>>().map(|terms| Self { terms, before_tofu_1_12: Vec::new() })
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.all().enumerate() {
            let spelling = RELATIONS.iter().find(|(_, relation)| *relation == term.relation).map_or("", |(text, _)| text);
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{spelling} {}", term.as_written())?;
        }
        Ok(())
    }
}

impl Term {
    fn parse(text: &str) -> Option<Self> {
        let operator = RELATIONS.iter().find_map(|(spelling, relation)| text.strip_prefix(spelling).map(|rest| (rest, *relation)));
        let (rest, relation) = operator.unwrap_or((text, Relation::Equal));
        let (version, written) = numbers(rest)?;
        Some(Self { relation, version, written })
    }

    fn takes(&self, version: &Version) -> bool {
        let wanted = &self.version;
        match self.relation {
            Relation::Equal => version == wanted,
            Relation::NotEqual => version != wanted,
            Relation::Greater => self.pre_release_fits(version) && version > wanted,
            Relation::Less => self.pre_release_fits(version) && version < wanted,
            Relation::GreaterOrEqual => self.pre_release_fits(version) && version >= wanted,
            Relation::LessOrEqual => self.pre_release_fits(version) && version <= wanted,
            Relation::Pessimistic => self.pre_release_fits(version) && version >= wanted && self.keeps_the_front(version),
        }
    }

    /// `~> 1.9` and `~> 1.9.0` are not the same.
    fn as_written(&self) -> String {
        let Version { major, minor, .. } = self.version;
        match self.written {
            1 if self.version.pre.is_empty() => major.to_string(),
            2 if self.version.pre.is_empty() => format!("{major}.{minor}"),
            _ => self.version.to_string(),
        }
    }

    /// A pre-release is never taken by accident.
    fn pre_release_fits(&self, version: &Version) -> bool {
        let wanted = &self.version;
        match (wanted.pre.is_empty(), version.pre.is_empty()) {
            // `~>` with a pre-release stays among the pre-releases.
            (wanted_is_release, true) => wanted_is_release || self.relation != Relation::Pessimistic,
            (true, false) => false,
            (false, false) => release(version) == release(wanted),
        }
    }

    /// All written numbers but the last must be the same.
    fn keeps_the_front(&self, version: &Version) -> bool {
        match self.written {
            1 => true,
            2 => version.major == self.version.major,
            _ => (version.major, version.minor) == (self.version.major, self.version.minor),
        }
    }
}

fn release(version: &Version) -> (u64, u64, u64) {
    (version.major, version.minor, version.patch)
}

/// One to three numbers with an optional pre-release; what is not written is 0. Build metadata is dropped, because it
/// says nothing about which of two versions is the newer one.
fn numbers(text: &str) -> Option<(Version, usize)> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split('+').next().unwrap_or_default();
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
    let mut found = Vec::new();
    for number in numbers.split('.') {
        let digits = !number.is_empty() && number.len() <= 9 && number.bytes().all(|b| b.is_ascii_digit());
        found.push(number.parse::<u64>().ok().filter(|_| digits)?);
    }
    let written = found.len();
    found.resize(written.max(3), 0);
    let [major, minor, patch] = found[..] else { return None };
    let pre = pre.map_or(Some(Prerelease::EMPTY), |pre| Prerelease::new(pre).ok().filter(|pre| !pre.is_empty()))?;
    Some((Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }, written))
}

/// A user's text in an error: short and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_version_has_three_numbers() {
        for (text, expected) in [
            ("1.11.4", Some("1.11.4")),
            ("v1.11.4\n", Some("1.11.4")),
            ("1.12.0-beta1", Some("1.12.0-beta1")),
            ("1.11.4+x", Some("1.11.4")),
            ("1.11", None),
            ("", None),
            ("1.11.4.1", None),
            ("1.x.0", None),
            ("../../1.0.0", None),
            ("1.0.-1", None),
            ("99999999999999999999.0.0", None),
        ] {
            assert_eq!(exact(text).ok().map(|version| version.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn constraints_take_what_terraform_takes() {
        for (constraint, version, taken) in [
            ("1.5.7", "1.5.7", true),
            ("= 1.5.7", "1.5.8", false),
            ("1.5", "1.5.0", true),
            ("1.5", "1.5.1", false),
            ("!= 1.5.7", "1.5.8", true),
            ("!= 1.5.7", "1.5.7", false),
            ("> 1.5", "1.5.1", true),
            ("> 1.5", "1.5.0", false),
            (">= 1.5", "1.5.0", true),
            ("< 2", "1.99.0", true),
            ("<= 2", "2.0.0", true),
            ("<= 2", "2.0.1", false),
            ("~> 1", "2.5.0", true),
            ("~> 1.9", "1.10.0", true),
            ("~> 1.9", "2.0.0", false),
            ("~> 1.9", "1.8.9", false),
            ("~> 1.9.2", "1.9.9", true),
            ("~> 1.9.2", "1.10.0", false),
            (">= 1.3, < 2.0.0, != 1.4.0", "1.4.0", false),
            (">=1.3,<2", "1.9.0", true),
            // Pre-releases: only where one of the same three numbers is named.
            (">= 1.5", "1.6.0-alpha1", false),
            ("< 2.0", "2.0.0-rc1", false),
            ("~> 1.9", "1.10.0-beta1", false),
            (">= 1.12.0-beta1", "1.12.0-beta2", true),
            (">= 1.12.0-beta1", "1.13.0-beta2", false),
            (">= 1.12.0-beta1", "1.12.0", true),
            ("= 1.12.0-beta1", "1.12.0-beta1", true),
            ("~> 1.12.0-beta1", "1.12.3", false),
            ("~> 1.12.0-beta1", "1.12.0-beta2", true),
        ] {
            let constraints = constraint.parse::<Constraints>().expect(constraint);
            assert_eq!(constraints.take(&exact(version).expect(version)), taken, "{constraint} {version}");
        }
    }

    #[test]
    fn later_versions_of_tofu_pass_over_what_was_meant_for_terraform() {
        let mut constraints = ">= 1.6".parse::<Constraints>().expect("valid");
        constraints.and_before_tofu_1_12("~> 1.9.0".parse().expect("valid"));
        for (version, taken) in [("1.9.1", true), ("1.10.0", false), ("1.12.0", true), ("1.14.0", true), ("1.5.9", false)] {
            assert_eq!(constraints.take(&exact(version).expect(version)), taken, "{version}");
        }
    }

    #[test]
    fn what_is_not_a_constraint_is_refused() {
        for text in ["", " ", ">=", "latest", "^1.5", ">= 1.5,", "~> x", "1.2.3.4", "=> 1.0", ">= 1.5 < 2", ">= 1.5-"] {
            assert!(text.parse::<Constraints>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_constraint_names_the_newest_version_it_takes_itself() {
        for (constraint, named) in [
            (">= 1.5, ~> 1.9.2", Some("1.9.2")),
            ("= 1.8.5", Some("1.8.5")),
            (">= 1.5, != 1.5.0", None),
            ("< 2.0", None),
            (">= 1.9, < 1.8", None),
        ] {
            let constraints = constraint.parse::<Constraints>().expect(constraint);
            assert_eq!(constraints.named().map(|version| version.to_string()).as_deref(), named, "{constraint}");
        }
    }
}
