//! Cuts git's progress output into lines for the job's log and keeps the last ones for an error text.
//!
//! git overwrites its progress line with carriage returns many times a second; a log wants the finished lines and a sign
//! of life now and then. How long and how many lines a server may cause is bounded here.

use super::Sink;
use super::redact::Redactor;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const LONGEST: usize = 4096;
const MOST: usize = 2000;
const KEPT: usize = 20;
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The state of one command's output.
pub(super) struct Lines<'a> {
    redactor: &'a Redactor,
    buffer: Vec<u8>,
    overlong: bool,
    /// The last byte was a carriage return.
    returned: bool,
    shown: usize,
    progress_at: Option<Instant>,
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, buffer: Vec::new(), overlong: false, returned: false, shown: 0, progress_at: None, last: VecDeque::new() }
    }

    /// Takes bytes as they came.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        for &byte in bytes {
            // ssh ends its lines with both; git's progress has the carriage return alone.
            if self.returned && byte != b'\n' {
                self.finish(false, sink);
            }
            self.returned = byte == b'\r';
            match byte {
                b'\n' => self.finish(true, sink),
                b'\r' => {}
                _ if self.buffer.len() < LONGEST => self.buffer.push(byte),
                _ => self.overlong = true,
            }
        }
    }

    /// The last whole lines, oldest first.
    pub(super) fn into_last(mut self, sink: &mut Sink<'_>) -> Vec<String> {
        self.finish(true, sink);
        self.last.into()
    }

    fn finish(&mut self, whole: bool, sink: &mut Sink<'_>) {
        let bytes = std::mem::take(&mut self.buffer);
        // A cut line could end in the first half of a secret, which redaction would not see.
        let overlong = std::mem::take(&mut self.overlong);
        let text = if overlong {
            "(a very long line of git's output is not shown)".to_owned()
        } else {
            self.redactor.clean(&String::from_utf8_lossy(&bytes))
        };
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        if whole {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(text.to_owned());
        } else {
            let now = Instant::now();
            if self.progress_at.is_some_and(|at| now.duration_since(at) < PROGRESS_EVERY) {
                return;
            }
            self.progress_at = Some(now);
        }
        self.shown += 1;
        match self.shown.cmp(&MOST) {
            std::cmp::Ordering::Less => sink(text),
            std::cmp::Ordering::Equal => sink("(further output of git is not shown)"),
            std::cmp::Ordering::Greater => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_shown_and_kept_and_progress_is_thinned() {
        let redactor = Redactor::new("u", "hunter2");
        let mut lines = Lines::new(&redactor);
        let mut seen = Vec::new();
        let mut sink = |line: &str| seen.push(line.to_owned());
        lines.feed(b"Receiving: 1%\rReceiving: 2%\rReceiving: 100", &mut sink);
        lines.feed(b"%, done.\nfatal: hunter2\r", &mut sink);
        lines.feed(b"\n\n", &mut sink);
        lines.feed(&[b'x'; 5000], &mut sink);
        let last = lines.into_last(&mut sink);
        let long = "(a very long line of git's output is not shown)";
        assert_eq!(last, ["Receiving: 100%, done.", "fatal: ***", long]);
        assert_eq!(seen, ["Receiving: 1%", "Receiving: 100%, done.", "fatal: ***", long]);
    }
}
