//! Text of others inside Markdown, so that it is read as it was written and does nothing.
//!
//! Forges look for mentions, issue numbers, commit ids and addresses *after* Markdown, where no backslash and no entity is
//! left: escaping does not stop them. The one place where none of them looks is a code span. What is plainly harmless is
//! written as it is; everything else becomes a code span.

use std::fmt::Write as _;

/// Longest name and longest reason, in characters; what is longer is cut, and shown to be.
const MAX_NAME: usize = 120;
const MAX_REASON: usize = 300;
/// From this length on a word of hexadecimal digits is taken for a commit.
const SHORTEST_COMMIT: usize = 7;

/// An order's name.
pub(crate) fn name(text: &str) -> String {
    shown(text, MAX_NAME)
}

/// A reason, in the words of somebody else, if there is any in it.
pub(super) fn reason(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| shown(text, MAX_REASON))
}

/// An address for a Markdown link, if it is one that people may be sent to.
pub(super) fn address(text: &str) -> Option<String> {
    let has_host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).is_some_and(|rest| !rest.is_empty());
    let harmless =
        text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'"' | b'`' | b'\\' | b'@'));
    (has_host && harmless && text.len() <= 2048).then(|| text.to_owned())
}

fn shown(text: &str, most: usize) -> String {
    let line = one_line(text, most);
    if is_harmless(&line) { line } else { code(&line) }
}

/// The text on one line: other kinds of blanks become one, and what cannot be seen or changes direction is named.
fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == most {
            line.push('…');
            break;
        }
        if c.is_whitespace() || c.is_control() {
            line.push(' ');
        } else if is_invisible(c) {
            let _ = write!(line, "U+{:04X}", c as u32);
        } else {
            line.push(c);
        }
    }
    line
}

/// Zero-width characters, marks of direction, and others that only deceive.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters, digits, blanks and a little punctuation that means nothing to any forge where it stands.
fn is_harmless(line: &str) -> bool {
    let mut previous = ' ';
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let fits = match c {
            // Between letters an underscore is no emphasis.
            '_' => previous.is_alphanumeric() && next.is_alphanumeric(),
            ' ' | '-' | '.' | ',' | ';' | '/' | '…' => true,
            other => other.is_alphanumeric(),
        };
        if !fits {
            return false;
        }
        previous = c;
    }
    !line.trim().is_empty() && line.split([' ', '/', ',', ';']).all(|word| !is_reference(word))
}

/// What a forge makes a link of although no character of it is special: an address, `GH-12`, a commit's id.
fn is_reference(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_commit = |part: &str| part.len() >= SHORTEST_COMMIT && part.bytes().all(|b| b.is_ascii_hexdigit());
    let numbered = lower.split_once('-').is_some_and(|(_, number)| number.starts_with(|c: char| c.is_ascii_digit()));
    lower.contains("www.") || (numbered && lower.starts_with("gh-")) || lower.split(['-', '.', '_', '…']).any(is_commit)
}

/// A code span with more backticks around it than in it.
fn code(line: &str) -> String {
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let blank = line.trim().is_empty();
    // One blank on either side is not part of the text, so that it may begin or end with a backtick.
    let pad = if line.starts_with(['`', ' ']) || line.ends_with(['`', ' ']) { " " } else { "" };
    if blank { "(no name)".to_owned() } else { format!("{fence}{pad}{line}{pad}{fence}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in
            ["vpc", "order-0001", "modules/vpc", "a_b_c", "v1.2.3", "Größe", "exit code 1", "rds, which failed", "gh-pages", "decade"]
        {
            assert_eq!(name(text), text);
        }
    }

    #[test]
    fn what_would_do_something_is_code() {
        for text in [
            "@admin",
            "a@b.example",
            "#12",
            "team/app#12",
            "GH-12",
            "gh-7",
            "deadbeef",
            "x/0123456789abcdef0123456789abcdef01234567",
            "fix-deadbee",
            "https://evil.example",
            "www.evil.example",
            "<b>x</b>",
            "<!-- x",
            "**x**",
            "__init__",
            "_x",
            "x_",
            "a|b",
            "[x](y)",
            "![x](y)",
            "~~x~~",
            ":tada:",
            "a\\b",
            "&lt;",
            "$x$",
            "x* y*",
            "{x}",
            "a=b",
            "1+1",
            "x!",
            "(x)",
            "\"x\"",
        ] {
            assert_eq!(name(text), format!("`{text}`"));
        }
    }

    #[test]
    fn backticks_cannot_close_the_span() {
        assert_eq!(name("a`b"), "``a`b``");
        assert_eq!(name("`"), "`` ` ``");
        assert_eq!(name("``` x"), "```` ``` x ````");
    }

    #[test]
    fn a_text_is_one_line_of_what_can_be_seen() {
        assert_eq!(name("a\nb\r\tc\0d"), "a b  c d");
        assert_eq!(name("\u{202e}txt\u{200b}"), "`U+202EtxtU+200B`");
        assert_eq!(name("x\n\n# y"), "`x  # y`");
        assert_eq!(name(" \n "), "(no name)");
        assert_eq!(name(""), "(no name)");
        let long = name(&"a b".repeat(100));
        assert_eq!((long.chars().count(), long.ends_with('…')), (MAX_NAME + 1, true));
    }

    #[test]
    fn only_an_address_becomes_a_link() {
        assert_eq!(address("https://navvy.example/ui?run=1").as_deref(), Some("https://navvy.example/ui?run=1"));
        for bad in ["", "https://", "javascript:alert(1)", "https://a/)", "https://a b", "https://u@a", "https://a/[x]", "ftp://a"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
