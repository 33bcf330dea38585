//! Cuts an attempt's log into lines, the same way whatever the chunks were.
//!
//! Where a line ends depends only on the bytes since the last line end, never on how they arrived; so a reader that
//! resumes behind any line sees exactly the lines that follow, live, after a restart and years later. What holds no
//! line end for too long is cut, because one reader may not hold more than a fixed amount of memory.

use bytes::{Buf as _, Bytes};

/// Longest piece of a line, in bytes of the log.
pub(crate) const MAX_LINE_BYTES: usize = 32 * 1024;
/// Most carriage returns in one piece: each costs seven bytes on the wire.
pub(crate) const MAX_LINE_RETURNS: usize = 1024;

/// One line, or a piece of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Offset in the attempt's log behind the line, its line end included.
    pub(crate) end: u64,
    /// The bytes without the line end (`\n`, or `\r\n` as a PTY writes it). Never holds `\n`.
    pub(crate) text: Vec<u8>,
}

/// Gathers bytes until a line is whole.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Offset of the first byte in `carry`.
    start: u64,
    carry: Vec<u8>,
    returns: usize,
}

impl Lines {
    /// A cutter whose next byte stands at `offset`.
    pub(crate) fn at(offset: u64) -> Self {
        Self { start: offset, carry: Vec::new(), returns: 0 }
    }

    /// Offset of the next byte to be fed.
    pub(crate) fn position(&self) -> u64 {
        self.start + self.carry.len() as u64
    }

    /// Takes bytes from the front of `bytes` until a line is whole, or until there are none left.
    pub(crate) fn next(&mut self, bytes: &mut Bytes) -> Option<Line> {
        while !bytes.is_empty() {
            let room = &bytes[..bytes.len().min(MAX_LINE_BYTES - self.carry.len())];
            let line_end = room.iter().position(|byte| *byte == b'\n');
            let piece = &room[..line_end.unwrap_or(room.len())];
            if let Some(full) = self.returns_full(piece) {
                self.carry.extend_from_slice(&piece[..full]);
                bytes.advance(full);
                return Some(self.cut());
            }
            self.carry.extend_from_slice(piece);
            bytes.advance(piece.len());
            if line_end.is_some() {
                bytes.advance(1);
                return Some(self.whole());
            }
            if self.carry.len() == MAX_LINE_BYTES {
                return Some(self.cut());
            }
        }
        None
    }

    /// Counts the carriage returns of `piece`; tells how many of its bytes fill the line up, if they do.
    fn returns_full(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, _) in piece.iter().enumerate().filter(|(_, byte)| **byte == b'\r') {
            self.returns += 1;
            if self.returns == MAX_LINE_RETURNS {
                return Some(at + 1);
            }
        }
        None
    }

    /// The line before the line end that was just taken.
    fn whole(&mut self) -> Line {
        let end = self.position() + 1;
        let mut text = self.take(end);
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        Line { end, text }
    }

    /// What stands after the last line end, once nothing follows any more.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (!self.carry.is_empty()).then(|| {
            let end = self.position();
            Line { end, text: self.take(end) }
        })
    }

    /// Goes on behind missing bytes.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        *self = Self::at(offset);
    }

    /// A piece of a line that is too long, not cut within a character.
    fn cut(&mut self) -> Line {
        let keep = unfinished_character(&self.carry);
        let rest = self.carry.split_off(self.carry.len() - keep);
        let end = self.position();
        let text = self.take(end);
        self.carry = rest;
        Line { end, text }
    }

    fn take(&mut self, next_start: u64) -> Vec<u8> {
        self.start = next_start;
        self.returns = 0;
        std::mem::take(&mut self.carry)
    }
}

/// How many bytes at the end begin a UTF-8 character that is not whole yet.
fn unfinished_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            0x00..=0x7f | 0xc0..=0xc1 | 0xf5..=0xff => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(from: u64, chunks: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::at(from);
        let mut out = Vec::new();
        for chunk in chunks {
            let mut bytes = Bytes::copy_from_slice(chunk);
            while let Some(line) = lines.next(&mut bytes) {
                out.push(line);
            }
        }
        out.extend(lines.finish());
        out
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
    }

    #[test]
    fn a_line_end_of_a_terminal_is_one_line_end_and_an_inner_return_stays() {
        let lines = cut(0, &[b"one\r\ntwo\n10%\r20%\r\n\n", b"last\r"]);
        assert_eq!(texts(&lines), ["one", "two", "10%\r20%", "", "last\r"]);
        assert_eq!(lines.iter().map(|line| line.end).collect::<Vec<_>>(), [5, 9, 18, 19, 24]);
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let mut log = vec![b'x'; MAX_LINE_BYTES - 2];
        log.extend("€€".as_bytes());
        let lines = cut(0, &[&log]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].text.len(), MAX_LINE_BYTES - 2);
        assert_eq!(String::from_utf8_lossy(&lines[1].text), "€€");
        let returns = vec![b'\r'; MAX_LINE_RETURNS * 2];
        assert_eq!(cut(0, &[&returns]).len(), 2);
    }

    #[test]
    fn broken_characters_do_not_stop_the_cutting() {
        let log = vec![0xff; MAX_LINE_BYTES * 2];
        assert_eq!(cut(0, &[&log]).len(), 2);
        let log = vec![0x80; MAX_LINE_BYTES * 2];
        assert_eq!(cut(0, &[&log]).len(), 2);
    }

    fn logs() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => proptest::collection::vec(any::<u8>(), 0..40),
            2 => Just(b"\n".to_vec()),
            1 => Just(b"\r\n".to_vec()),
            1 => Just("é🚀".as_bytes().to_vec()),
            1 => (MAX_LINE_BYTES - 3..MAX_LINE_BYTES + 3).prop_map(|n| vec![b'y'; n]),
            1 => (MAX_LINE_RETURNS - 2..MAX_LINE_RETURNS + 2).prop_map(|n| vec![b'\r'; n]),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn chunks_do_not_matter(log in logs(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)) {
            let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
            borders.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for border in borders {
                chunks.push(&log[from..border]);
                from = border;
            }
            chunks.push(&log[from..]);
            prop_assert_eq!(cut(0, &chunks), cut(0, &[&log]));
        }

        #[test]
        fn who_resumes_behind_any_line_sees_the_rest_and_nothing_else(log in logs()) {
            let all = cut(0, &[&log]);
            for (n, line) in all.iter().enumerate() {
                let rest = cut(line.end, &[&log[usize::try_from(line.end).unwrap()..]]);
                prop_assert_eq!(&rest[..], &all[n + 1..]);
            }
            if let Some(last) = all.last() {
                prop_assert_eq!(last.end, log.len() as u64);
            }
        }
    }
}
