//! Lists as people read them: a few examples and how many more there are.

use std::fmt;

/// Files that are named as examples.
const EXAMPLES: usize = 3;
/// Characters of a path that are shown.
const SHOWN: usize = 120;
/// Characters of a message that are shown.
const LINE: usize = 500;

/// Files that led to the same decision, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Files {
    examples: Vec<String>,
    pub(crate) count: usize,
}

impl Files {
    pub(crate) fn add(&mut self, path: &str) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(self::path(path));
        }
    }
}

impl fmt::Display for Files {
    /// `a, b, c and 7 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.examples.join(", "))?;
        match self.count - self.examples.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A path that may be shown: on one line, and not longer than a line.
pub(crate) fn path(path: &str) -> String {
    shown(path, SHOWN)
}

/// A text that may be shown on one line.
pub(crate) fn line(text: &str) -> String {
    shown(text, LINE)
}

/// The first characters, with those that would break a line or reorder it written out.
fn shown(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for c in text.chars().take(most) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Cuts a list, and says in its last entry how many were cut.
pub(crate) fn capped<T>(mut list: Vec<T>, most: usize, rest: impl FnOnce(usize) -> T) -> Vec<T> {
    let more = list.len().saturating_sub(most);
    if more > 0 {
        list.truncate(most);
        list.push(rest(more));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        let mut files = Files::default();
        for (path, expected) in
            [("a", "a"), ("b\n", "a, b\\n"), ("c", "a, b\\n, c"), ("d", "a, b\\n, c and 1 more"), ("e", "a, b\\n, c and 2 more")]
        {
            files.add(path);
            assert_eq!(files.to_string(), expected);
        }
        assert_eq!(path("it's \"a\\b\"\u{202e}"), "it's \"a\\b\"\\u{202e}");
        assert_eq!(path(&"ü".repeat(200)), format!("{}…", "ü".repeat(120)));
        assert_eq!(capped(vec![1, 2, 3], 2, |more| more * 10), [1, 2, 10]);
        assert_eq!(capped(vec![1, 2], 2, |more| more * 10), [1, 2]);
    }
}
