//! What a terminal program may write into a log: text and colours, nothing that moves, hides or talks.
//!
//! Kept: printable text, `\n`, `\t`, a bare `\r` (showing the last frame is the reader's work) and colour codes
//! (`ESC [ digits ; : m`). Removed: every other escape sequence with its payload, C0 and C1 controls, direction
//! overrides. `\r\n` becomes `\n`, `ESC E` (next line) becomes one where the line is not empty already, bytes that are not UTF-8 become U+FFFD. A newline ends any unclosed sequence, so
//! that one line can spoil only itself. Cuts between two writes do not matter. Masking runs after this filter:
//! a code hidden inside a secret must not keep it from being found.

use std::str;

/// Longest colour code that is kept, in bytes of parameters. Must stay below the masker's own limit (64).
const LONGEST_COLOUR: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Behind ESC.
    Escape,
    /// Behind ESC and an intermediate byte, as in `ESC ( B`.
    Charset,
    /// Inside `ESC [`; `colour` while it can still be a colour code.
    Control {
        colour: bool,
    },
    /// Inside OSC, DCS, APC, PM or SOS.
    Payload,
    /// Behind ESC inside a payload.
    PayloadEscape,
}

/// The filter and where it stands in its stream.
#[derive(Debug)]
pub struct TerminalFilter {
    state: State,
    colour: Vec<u8>,
    /// The beginning of a character whose rest has not come yet.
    partial: Vec<u8>,
    /// A `\r` that may belong to a `\r\n`.
    carriage: bool,
    /// Something stands on the last line that was given out.
    inside_line: bool,
}

impl Default for TerminalFilter {
    fn default() -> Self {
        Self { state: State::Text, colour: Vec::new(), partial: Vec::new(), carriage: false, inside_line: false }
    }
}

impl TerminalFilter {
    /// Takes the next bytes and appends what is left of them to `out`: whole characters and whole colour codes only.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                State::Text => self.text(&bytes[at..], out),
                State::Escape | State::Charset | State::Control { .. } | State::Payload | State::PayloadEscape => {
                    self.sequence(bytes[at], out)
                }
            };
        }
        self.inside_line = is_inside_line(out, self.inside_line);
    }

    /// Ends the stream. An unfinished sequence is dropped.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end_partial(out);
        self.end_carriage(out);
    }

    /// Copies text up to the next byte that needs a decision; returns how many bytes are used up (at least one).
    fn text(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let plain = bytes.iter().position(|&b| !matches!(b, b' '..=b'~' | b'\t')).unwrap_or(bytes.len());
        if plain > 0 {
            self.end_partial(out);
            self.end_carriage(out);
            out.extend_from_slice(&bytes[..plain]);
            return plain;
        }
        match bytes[0] {
            b'\n' => {
                self.end_partial(out);
                self.carriage = false;
                out.push(b'\n');
                1
            }
            b'\r' => {
                self.end_partial(out);
                self.carriage = true;
                1
            }
            0x1b => {
                self.end_partial(out);
                self.state = State::Escape;
                1
            }
            0x80.. => {
                let wide = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
                self.wide(&bytes[..wide], out)
            }
            _ => {
                self.end_partial(out);
                1
            }
        }
    }

    /// Decodes bytes beyond ASCII; stops behind a character that opens a sequence.
    fn wide(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let kept = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let run = std::mem::take(&mut self.partial);
        let mut at = 0;
        while at < run.len() {
            let (good, bad) = match str::from_utf8(&run[at..]) {
                Ok(text) => (text.len(), Some(0)),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            let text = str::from_utf8(&run[at..at + good]).unwrap_or_default();
            if let Some(used) = self.characters(text, out) {
                return (at + used).saturating_sub(kept).max(1);
            }
            at += good;
            match bad {
                Some(0) => {}
                Some(length) => {
                    self.end_carriage(out);
                    out.extend_from_slice("\u{fffd}".as_bytes());
                    at += length;
                }
                None => {
                    self.partial = run[at..].to_vec();
                    break;
                }
            }
        }
        bytes.len()
    }

    /// Copies printable characters. `Some(bytes used)` if one of them opened a sequence.
    fn characters(&mut self, text: &str, out: &mut Vec<u8>) -> Option<usize> {
        for (at, c) in text.char_indices() {
            let opened = match c {
                '\u{9b}' => State::Control { colour: false },
                '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => State::Payload,
                '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => continue,
                _ => {
                    self.end_carriage(out);
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            self.state = opened;
            return Some(at + c.len_utf8());
        }
        None
    }

    /// One byte inside an escape sequence; returns 0 if the sequence ended before it.
    fn sequence(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        if byte == b'\n' {
            return self.leave(0);
        }
        match (self.state, byte) {
            (_, 0x18 | 0x1a) | (State::Payload, 0x07) | (State::PayloadEscape, b'\\') => self.leave(1),
            (State::Payload, 0x1b) => self.enter(State::PayloadEscape),
            (State::Payload, _) => 1,
            (_, 0x1b) => self.enter(State::Escape),
            (State::PayloadEscape, _) => {
                self.state = State::Escape;
                0
            }
            (_, 0x80..) => self.leave(0),
            (_, 0..0x20 | 0x7f) => 1,
            (State::Escape, b'[') => {
                self.colour.clear();
                self.enter(State::Control { colour: true })
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.enter(State::Payload),
            (State::Escape, b'E') => self.next_line(out),
            (State::Escape | State::Charset, b' '..=b'/') => self.enter(State::Charset),
            (State::Text | State::Escape | State::Charset, _) => self.leave(1),
            (State::Control { colour }, _) => self.control(byte, colour, out),
        }
    }

    fn control(&mut self, byte: u8, colour: bool, out: &mut Vec<u8>) -> usize {
        match byte {
            b'0'..=b'9' | b';' | b':' if colour && self.colour.len() < LONGEST_COLOUR => {
                self.colour.push(byte);
                1
            }
            b' '..=b'?' => self.enter(State::Control { colour: false }),
            b'm' if colour => {
                self.end_carriage(out);
                out.extend_from_slice(b"\x1b[");
                out.append(&mut self.colour);
                out.push(b'm');
                self.leave(1)
            }
            _ => self.leave(1),
        }
    }

    /// Whoever writes after a program that may have left its line open says so with this.
    fn next_line(&mut self, out: &mut Vec<u8>) -> usize {
        self.carriage = false;
        if is_inside_line(out, self.inside_line) {
            out.push(b'\n');
        }
        self.leave(1)
    }

    fn enter(&mut self, state: State) -> usize {
        self.state = state;
        1
    }

    fn leave(&mut self, used: usize) -> usize {
        self.state = State::Text;
        used
    }

    fn end_partial(&mut self, out: &mut Vec<u8>) {
        if !self.partial.is_empty() {
            self.partial.clear();
            self.end_carriage(out);
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }

    fn end_carriage(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage) {
            out.push(b'\r');
        }
    }
}

fn is_inside_line(out: &[u8], before: bool) -> bool {
    out.last().map_or(before, |&byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(pieces: &[&[u8]]) -> String {
        let (mut out, mut filter) = (Vec::new(), TerminalFilter::default());
        for piece in pieces {
            filter.feed(piece, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).expect("the filter gives out UTF-8 only")
    }

    fn clean(text: impl AsRef<[u8]>) -> String {
        filtered(&[text.as_ref()])
    }

    #[test]
    fn colours_and_text_stay() {
        let text = "\x1b[1m\x1b[38;5;208mgrün\x1b[0m\ttab │ 漢字 🦀\n\x1b[38:2:1:2:3mx\x1b[m";
        assert_eq!(clean(text), text);
    }

    #[test]
    fn everything_that_moves_hides_or_talks_goes() {
        assert_eq!(clean("a\x1b[2Jb\x1b[3;4Hc\x1b[Ad\x1b[?25le\x1b[>4;2mf\x1b[1 qg"), "abcdefg");
        assert_eq!(clean("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1b]52;c;AAAA\x07d"), "abcd");
        assert_eq!(clean("a\x1bP1;2|data\x1b\\b\x1b_apc\x1b\\c\x1b(Bd\x1bce\x1b7f"), "abcdef");
        assert_eq!(clean("a\u{9b}31mb\u{9d}0;t\x07c\u{85}d\u{202e}e"), "abcde");
        assert_eq!(clean("a\x00\x07\x08\x0b\x0c\x7fb"), "ab");
        assert_eq!(clean(b"x\x9b31mx".as_slice()), "x\u{fffd}31mx", "a raw C1 byte is not UTF-8");
    }

    #[test]
    fn a_newline_ends_an_unclosed_sequence() {
        assert_eq!(clean("a\x1b]0;never closed\nb\x1b[12\nc\x1bP..\nd\x1b\ne"), "a\nb\nc\nd\ne");
    }

    #[test]
    fn a_next_line_is_begun_only_where_one_stands() {
        assert_eq!(clean("\x1bEa\x1bEb\n\x1bEc\r\x1bE\x1bEd"), "a\nb\nc\nd");
        let (mut filter, mut first, mut second) = (TerminalFilter::default(), Vec::new(), Vec::new());
        filter.feed(b"open", &mut first);
        filter.feed(b"\x1bEnext\n", &mut second);
        filter.feed(b"\x1bE", &mut second);
        assert_eq!((first.as_slice(), second.as_slice()), (b"open".as_slice(), b"\nnext\n".as_slice()));
    }

    #[test]
    fn line_ends_become_newlines_and_bare_returns_stay() {
        assert_eq!(clean("a\r\nb\r\r\nc\rd\r\x1b[K\n\r"), "a\nb\nc\rd\n\r");
    }

    #[test]
    fn an_overlong_colour_code_is_dropped() {
        assert_eq!(clean(format!("a\x1b[{}mb", "1;".repeat(100))), "ab");
    }

    proptest! {
        #[test]
        fn the_cuts_between_writes_do_not_matter(
            tokens in prop::collection::vec(prop_oneof![
                Just(b"\x1b[31m".to_vec()), Just(b"\x1b]0;x\x07".to_vec()), Just("é漢🦀\u{9b}".as_bytes().to_vec()),
                Just(b"\r\n".to_vec()), Just(b"\x1b\\".to_vec()), Just(b"\x1bE".to_vec()), prop::collection::vec(any::<u8>(), 0..6),
            ], 0..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = tokens.concat();
            let whole = filtered(&[&bytes]);
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(&filtered(&[head, tail]), &whole);
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&filtered(&singles), &whole);
            prop_assert_eq!(&clean(&whole), &whole.replace("\r\n", "\n"), "a second pass finds nothing more");
        }

        #[test]
        fn bytes_that_are_not_utf8_become_what_lossy_decoding_says(bytes in prop::collection::vec(0x20u8.., 0..40)) {
            let expected: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
            prop_assume!(!expected.contains(['\u{202a}', '\u{2066}']) && !String::from_utf8_lossy(&bytes).chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c)));
            prop_assert_eq!(clean(&bytes), expected);
        }
    }
}
