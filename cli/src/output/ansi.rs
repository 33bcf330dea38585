//! Makes foreign text safe for a terminal. Output of tools and texts of repositories may hold escape sequences that
//! rename windows, write the clipboard or move the cursor; only colours (SGR) may pass, and only where wanted.

/// One line of a tool's output. Colours stay when `colors`; every other control sequence goes. Of a line that was
/// rewritten with carriage returns the last version stays, as a terminal would show it.
pub(crate) fn line(text: &str, colors: bool) -> String {
    let last = text.rsplit('\r').find(|part| !part.is_empty()).unwrap_or("");
    clean(last, colors)
}

/// A short foreign text for one line: no colours, no control characters; line ends become spaces.
pub(crate) fn plain(text: &str) -> String {
    clean(&text.replace(['\n', '\r'], " "), false)
}

/// The lines of a longer foreign text, each safe.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(|each| line(each, false))
}

fn clean(text: &str, colors: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
        out.push_str(&rest[..at]);
        let sequence = sequence_length(&rest[at..]);
        let found = &rest[at..at + sequence];
        if colors && is_color(found) {
            out.push_str(found);
        }
        rest = &rest[at + sequence..];
    }
    out.push_str(rest);
    out
}

fn is_color(sequence: &str) -> bool {
    sequence
        .strip_prefix("\u{1b}[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|codes| codes.bytes().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')))
}

/// Bytes of the control sequence (ECMA-48) at the start of `text`, at least its first character. An unfinished one
/// reaches to the end.
fn sequence_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let first = chars.next().map_or(0, |(_, c)| c.len_utf8());
    if !text.starts_with('\u{1b}') {
        return first;
    }
    match chars.next() {
        Some((_, '[')) => {
            let end = chars.find(|(_, c)| ('\u{40}'..='\u{7e}').contains(c) || c.is_control());
            end.map_or(text.len(), |(at, c)| if c.is_control() { at } else { at + c.len_utf8() })
        }
        // Strings (OSC, DCS, SOS, PM, APC) end with BEL or ESC \.
        Some((_, ']' | 'P' | 'X' | '^' | '_')) => {
            let bell = text.find('\u{7}').map(|at| at + 1);
            let terminator = text.find("\u{1b}\\").map(|at| at + 2);
            bell.into_iter().chain(terminator).min().unwrap_or(text.len())
        }
        Some((_, c)) if c.is_control() => first,
        // Two-character sequences, and those with intermediate characters (ESC ( B).
        Some((at, c)) if ('\u{20}'..='\u{2f}').contains(&c) => chars
            .find(|(_, c)| !('\u{20}'..='\u{2f}').contains(c))
            .map_or(text.len(), |(end, c)| if c.is_control() || !c.is_ascii() { at + 1 } else { end + c.len_utf8() }),
        Some((at, c)) => at + c.len_utf8(),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_colours_pass() {
        for (text, with, without) in [
            ("plain\tü", "plain\tü", "plain\tü"),
            ("\u{1b}[1;32mok\u{1b}[0m", "\u{1b}[1;32mok\u{1b}[0m", "ok"),
            ("a\u{1b}]0;title\u{7}b", "ab", "ab"),
            ("a\u{1b}]52;c;Zm9v\u{1b}\\b", "ab", "ab"),
            ("a\u{1b}[2Jb\u{1b}[10;20Hc", "abc", "abc"),
            ("a\u{1b}(Bb", "ab", "ab"),
            ("a\u{1b}[?25lb", "ab", "ab"),
            ("a\u{1b}[31", "a", "a"),
            ("a\u{8}\u{8}b\u{9b}31mc", "ab31mc", "ab31mc"),
            ("10%\r50%\r100%\r", "100%", "100%"),
        ] {
            assert_eq!(line(text, true), with, "{text:?}");
            assert_eq!(line(text, false), without, "{text:?}");
        }
    }

    #[test]
    fn a_field_stays_on_its_line() {
        assert_eq!(plain("a\nb\u{1b}[31mc"), "a bc");
    }

    proptest! {
        #[test]
        fn no_control_character_survives_and_clean_text_is_untouched(text in "\\PC*|[\\x00-\\x7f\\u{80}-\\u{9f}\\[\\]ESC;m\\x1b]*") {
            let cleaned = line(&text, false);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() && c != '\t'));
            prop_assert_eq!(line(&cleaned, false), cleaned.clone());
        }
    }
}
