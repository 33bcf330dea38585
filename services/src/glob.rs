//! Globs of the mapping: which paths they may match is bounded before any of them is compiled.
//!
//! `*` and `?` stay within one folder, `**` crosses folders, `{a,b}` and `[ab]` choose. A glob that ends in `/` means everything
//! below that folder. Globs start at the root of the repository.

use globset::{Glob, GlobBuilder};
use std::fmt;

/// Most bytes of a glob.
const MOST_BYTES: usize = 256;
/// Most of `*`, `?` and `[` together (`**` counts as one).
const MOST_WILDCARDS: usize = 8;
/// Most `**`.
const MOST_CROSSINGS: usize = 3;
/// Most alternatives of all `{}` together.
const MOST_ALTERNATIVES: usize = 16;

/// A glob that is cheap enough to be matched against every path.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: Glob,
}

/// Why a glob is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    #[error("a glob has 1 to {MOST_BYTES} bytes, on one line and without backslashes")]
    Characters,
    #[error("a glob starts at the root of the repository: write it without `/`, `./` or `!` before it")]
    Start,
    #[error("a glob stays in the repository: `..` is not allowed")]
    Leaves,
    #[error("{count} wildcards, and {MOST_WILDCARDS} at most are allowed: split it into several globs")]
    Wildcards { count: usize },
    #[error("`**` stands {count} times, and {MOST_CROSSINGS} times at most are allowed: name the folders")]
    Crossings { count: usize },
    #[error("more than {MOST_ALTERNATIVES} alternatives in braces: split it into several globs")]
    Alternatives,
    #[error("braces within braces are not allowed: split it into several globs")]
    Nested,
    #[error("no glob: {0}")]
    Syntax(String),
}

impl Pattern {
    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn glob(&self) -> &Glob {
        &self.glob
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl std::str::FromStr for Pattern {
    type Err = BadGlob;
    fn from_str(text: &str) -> Result<Self, BadGlob> {
        if !(1..=MOST_BYTES).contains(&text.len()) || text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(BadGlob::Characters);
        }
        if text.starts_with(['/', '!']) || text.starts_with("./") {
            return Err(BadGlob::Start);
        }
        if text.split('/').any(|part| part == "..") {
            return Err(BadGlob::Leaves);
        }
        check_size(text)?;
        let below = if text.ends_with('/') { "**" } else { "" };
        let glob = GlobBuilder::new(&format!("{text}{below}"))
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .map_err(|error| BadGlob::Syntax(error.kind().to_string()))?;
        Ok(Self { text: text.to_owned(), glob })
    }
}

fn check_size(text: &str) -> Result<(), BadGlob> {
    let crossings = text.matches("**").count();
    let stars = text.split(|c| c != '*').filter(|run| !run.is_empty()).count();
    let wildcards = stars + text.matches(['?', '[']).count();
    if crossings > MOST_CROSSINGS {
        return Err(BadGlob::Crossings { count: crossings });
    }
    if wildcards > MOST_WILDCARDS {
        return Err(BadGlob::Wildcards { count: wildcards });
    }
    let (mut open, mut alternatives) = (false, 0);
    for c in text.chars() {
        match c {
            '{' if open => return Err(BadGlob::Nested),
            '{' => (open, alternatives) = (true, alternatives + 1),
            '}' => open = false,
            ',' if open => alternatives += 1,
            _ => {}
        }
    }
    if alternatives > MOST_ALTERNATIVES { Err(BadGlob::Alternatives) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_people_expect() {
        for (glob, path, matches) in [
            ("libs/**", "libs/a/b.py", true),
            ("libs/**", "libs/a.py", true),
            ("libs/", "libs/a/b.py", true),
            ("libs/*", "libs/a.py", true),
            ("libs/*", "libs/a/b.py", false),
            ("libs/**", "platform/libs/a.py", false),
            ("**/*.md", "README.md", true),
            ("**/*.md", "docs/a/b.md", true),
            ("*.md", "docs/a.md", false),
            ("platform/{01,02}.*/compose.y*ml", "platform/02.redis/compose.yml", true),
            ("a[bc]d?", "abde", true),
            ("Libs/**", "libs/a", false),
            (".github/**", ".github/workflows/x.yml", true),
        ] {
            let pattern: Pattern = glob.parse().unwrap();
            assert_eq!(pattern.glob().compile_matcher().is_match(path), matches, "{glob} {path}");
            assert_eq!(pattern.as_str(), glob);
        }
    }

    #[test]
    fn what_is_too_much_or_leads_elsewhere_is_refused() {
        for (glob, expected) in [
            ("", BadGlob::Characters),
            ("a\nb", BadGlob::Characters),
            ("a\\b", BadGlob::Characters),
            (&"a".repeat(257), BadGlob::Characters),
            ("/etc/**", BadGlob::Start),
            ("./libs/**", BadGlob::Start),
            ("!libs/**", BadGlob::Start),
            ("libs/../**", BadGlob::Leaves),
            ("**/a/**/b/**/c/**", BadGlob::Crossings { count: 4 }),
            ("*a*a*a*a*a*a*a*a*", BadGlob::Wildcards { count: 9 }),
            ("?????????", BadGlob::Wildcards { count: 9 }),
            ("{a,{b,c}}", BadGlob::Nested),
            (&format!("{{{}}}", "a,".repeat(16)), BadGlob::Alternatives),
            (&"{a,b}".repeat(9), BadGlob::Alternatives),
            ("a[b", BadGlob::Syntax("unclosed character class; missing ']'".to_owned())),
        ] {
            assert_eq!(glob.parse::<Pattern>().unwrap_err(), expected, "{glob:?}");
        }
        for glob in ["{a", "a}", "[z-a]"] {
            assert!(matches!(glob.parse::<Pattern>(), Err(BadGlob::Syntax(_))), "{glob}");
        }
    }
}
