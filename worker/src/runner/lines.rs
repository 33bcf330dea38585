//! Bounded lines: a line of more than [`LONGEST_LINE`] bytes is split by `⏎` and a newline.
//!
//! Runs behind the masker, never before it: a secret across the split would not be found. A split never falls into
//! a character or a colour code, so a line may be a few bytes longer than the bound. Memory does not grow with lines.

/// Bytes after which a line is split. Readers can hold one line in memory.
pub const LONGEST_LINE: usize = 64 * 1024;

/// What stands at the end of a split line. A reader that joins lines again removes it together with its newline.
pub const SPLIT_MARK: &str = "⏎\n";

/// No colour code that the terminal filter lets through is longer.
const LONGEST_CODE: usize = 64;

/// The splitter and where it stands in the current line.
#[derive(Debug, Default)]
pub struct LineBound {
    column: usize,
    inside_code: bool,
}

impl LineBound {
    /// Appends `bytes` to `out`, with marks where lines are too long.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.column + line.len() <= LONGEST_LINE {
                out.extend_from_slice(line);
                self.column += line.len();
                self.inside_code = ends_inside_code(line, self.inside_code);
            } else {
                self.feed_slowly(line, out);
            }
            if line.ends_with(b"\n") {
                *self = Self::default();
            }
        }
    }

    fn feed_slowly(&mut self, line: &[u8], out: &mut Vec<u8>) {
        for &byte in line {
            let continues = byte & 0xc0 == 0x80;
            if self.column >= LONGEST_LINE && !self.inside_code && !continues && byte != b'\n' {
                out.extend_from_slice(SPLIT_MARK.as_bytes());
                self.column = 0;
            }
            self.inside_code = byte == 0x1b || (self.inside_code && byte != b'm');
            self.column += 1;
            out.push(byte);
        }
    }
}

fn ends_inside_code(line: &[u8], before: bool) -> bool {
    let tail = &line[line.len().saturating_sub(LONGEST_CODE)..];
    match tail.iter().rposition(|&byte| byte == 0x1b) {
        Some(at) => !tail[at..].contains(&b'm'),
        None => before && !line.contains(&b'm'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounded(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut bound) = (Vec::new(), LineBound::default());
        for piece in pieces {
            bound.feed(piece, &mut out);
        }
        out
    }

    #[test]
    fn a_line_of_the_greatest_length_is_left_alone() {
        let line = [vec![b'x'; LONGEST_LINE], b"\nshort\n".to_vec()].concat();
        assert_eq!(bounded(&[&line]), line);
    }

    #[test]
    fn a_long_line_is_split_and_can_be_joined_again() {
        let line = "é".repeat(LONGEST_LINE) + "\n";
        let out = String::from_utf8(bounded(&[line.as_bytes()])).expect("no character is cut");
        assert_eq!(out.lines().count(), 2);
        assert!(out.lines().all(|line| line.len() <= LONGEST_LINE + SPLIT_MARK.len()));
        assert_eq!(out.replace(SPLIT_MARK, ""), line);
    }

    #[test]
    fn a_colour_code_is_never_split() {
        let line = format!("{}\x1b[38;5;208mcolour", "x".repeat(LONGEST_LINE - 4));
        let out = String::from_utf8(bounded(&[line.as_bytes()])).expect("text");
        assert_eq!(out, line.replace("208m", "208m⏎\n"));
    }

    proptest! {
        #[test]
        fn the_cuts_between_writes_do_not_matter(
            words in prop::collection::vec(prop_oneof!["x{1,40000}", "(\x1b\\[[0-9;]{0,9}m){1,9}", "é{1,9000}", "\n"], 1..9),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = words.concat();
            let whole = bounded(&[text.as_bytes()]);
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert!(bounded(&[head, tail]) == whole, "the cut changed the text");
            prop_assert_eq!(String::from_utf8(whole).expect("no character is cut").replace(SPLIT_MARK, ""), text);
        }
    }
}
