//! Lines that a host writes, of which nobody knows how long they are: each is kept up to a bound, and shown without secrets.
//! Where they come from and what they mean is in `ssh`.

use super::floor::Floor;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Most bytes of a line that are kept. What comes behind them, up to the line's end, is read and forgotten.
pub(super) const LONGEST: usize = 64 * 1024;
/// Most characters of a line that are shown.
const SHOWN: usize = 2000;
/// Stands behind a line of which not everything was kept.
const CUT: &str = " … (the line is longer than 64 KiB: its rest is not shown)";

/// A line without its end, or a piece of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// There was more of it.
    cut: bool,
}

impl Line {
    /// What is shown of it.
    pub(super) fn shown(mut self, floor: &impl Floor) -> String {
        // Masked before anything is cut off: the half of a secret is no secret that anybody knows, and a secret all the same.
        let masked = if self.cut {
            // The half of a character would be replaced, and what stands before it would not be the beginning of a secret any more.
            while self.bytes.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            floor.mask_beginning(String::from_utf8_lossy(&self.bytes).trim_end())
        } else {
            floor.mask(String::from_utf8_lossy(&self.bytes).trim_end())
        };
        let mut shown: String = masked.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        if self.cut {
            shown.push_str(CUT);
        }
        shown
    }
}

/// An output of a command.
#[derive(Debug)]
pub(super) struct Lines<R> {
    output: BufReader<R>,
    /// Give out whatever is there: it is an answer, and has no lines.
    whatever: bool,
    /// A line that has begun.
    begun: Line,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(output: R, whatever: bool) -> Self {
        Self { output: BufReader::new(output), whatever, begun: Line::default() }
    }

    /// The next line; `None`: the output is over. Whoever stops waiting for it loses nothing.
    ///
    /// # Errors
    /// The output cannot be read any more.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let there = self.output.fill_buf().await?;
            if there.is_empty() {
                let last = std::mem::take(&mut self.begun);
                return Ok((last != Line::default()).then_some(last));
            }
            if self.whatever {
                let bytes = there.to_vec();
                self.output.consume(bytes.len());
                return Ok(Some(Line { bytes, cut: false }));
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            let kept = part.len().min(LONGEST.saturating_sub(self.begun.bytes.len()));
            self.begun.bytes.extend_from_slice(&part[..kept]);
            self.begun.cut |= kept < part.len();
            let read = part.len() + usize::from(end.is_some());
            self.output.consume(read);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.begun)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mask::Masker, sync::floor::Pressing};

    struct Attempt(Masker);

    impl Floor for Attempt {
        fn narrate(&mut self, _: &str) {}

        fn learn(&mut self, _: &str, _: &str) {}

        fn mask(&self, text: &str) -> String {
            self.0.mask(text)
        }

        fn mask_beginning(&self, text: &str) -> String {
            self.0.mask_beginning(text)
        }

        fn pressing(&self) -> Pressing {
            Pressing::Not
        }

        async fn start_effects(&mut self) -> Result<(), String> {
            Ok(())
        }
    }

    async fn lines(output: &[u8], whatever: bool) -> Vec<Line> {
        let (mut lines, mut all) = (Lines::new(output, whatever), Vec::new());
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_are_told_apart_and_a_long_one_is_kept_up_to_its_bound() {
        let line = |bytes: &[u8], cut| Line { bytes: bytes.to_vec(), cut };
        let long = vec![b'x'; 3 * LONGEST];
        let rows: [(&[u8], Vec<Line>); 7] = [
            (b"", vec![]),
            (b"a\n\nb", vec![line(b"a", false), line(b"", false), line(b"b", false)]),
            (b"a\n", vec![line(b"a", false)]),
            (&long[..LONGEST], vec![line(&long[..LONGEST], false)]),
            (&[&long[..LONGEST], b"\nb"].concat(), vec![line(&long[..LONGEST], false), line(b"b", false)]),
            (&[&long[..=LONGEST], b"\nb\n"].concat(), vec![line(&long[..LONGEST], true), line(b"b", false)]),
            (&long, vec![line(&long[..LONGEST], true)]),
        ];
        for (output, expected) in rows {
            assert!(lines(output, false).await == expected, "{} bytes", output.len());
        }
        let pieces = lines(b"a\nb", true).await;
        assert_eq!(pieces.into_iter().flat_map(|piece| piece.bytes).collect::<Vec<_>>(), b"a\nb");
    }

    /// A host that never ends its line: what is kept does not grow with what is read.
    #[tokio::test]
    async fn a_line_without_an_end_takes_no_more_than_its_bound() {
        let mut lines = Lines::new(tokio::io::AsyncReadExt::take(tokio::io::repeat(b'x'), 64 << 20), false);
        let line = lines.next().await.unwrap().unwrap();
        assert!(line.cut && line.bytes.len() == LONGEST && line.bytes.capacity() <= 2 * LONGEST, "{}", line.bytes.capacity());
        assert_eq!(lines.next().await.unwrap(), None);
    }

    /// Wherever the bound falls in a secret: masking makes the line so short that the place where it was cut is shown.
    #[tokio::test]
    async fn no_half_of_a_secret_is_shown_where_a_line_was_cut() {
        for secret in ["c4nary-Secret/Value+42=", "gehe1m-Schlüssel-äöü", "zwei Wörter und mehr"] {
            let floor = Attempt(Masker::new(&[secret]).unwrap());
            let pieces: Vec<String> = secret.char_indices().skip(1).map(|(at, _)| secret[..at].trim_end().to_owned()).collect();
            for shift in 0..=secret.len() {
                let output = ["x".repeat(shift), secret.repeat(2 * LONGEST / secret.len())].concat();
                let all = lines(output.as_bytes(), false).await;
                let [line] = <[Line; 1]>::try_from(all).unwrap();
                let shown = line.shown(&floor);
                let expected = format!("{}***{CUT}", "x".repeat(shift));
                assert_eq!(shown, expected, "{secret} behind {shift}; its beginnings are {pieces:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_whole_is_shown_to_its_end_but_for_what_is_too_much() {
        let floor = Attempt(Masker::new(&["c4nary-Secret"]).unwrap());
        let shown = |text: &str| Line { bytes: text.as_bytes().to_vec(), cut: false }.shown(&floor);
        assert_eq!(shown("\x07it is c4nary-Secret\r"), "it is ***");
        assert_eq!(shown("it is c4nary"), "it is c4nary", "a whole line is not the beginning of anything");
        assert_eq!(shown(&"é".repeat(SHOWN + 5)), "é".repeat(SHOWN));
    }
}
