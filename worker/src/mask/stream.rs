//! The stream: bytes in, the same bytes out with [`MASK`] for every secret, whatever the cuts between two writes.
//!
//! Colour codes (`ESC [ … m`) are transparent: a form is found with codes inside, and the codes stay, so that the
//! colours behind it are right. What may still become a secret is held back until the next bytes or the end tell;
//! an idle stream lets nothing go early.

use std::collections::VecDeque;
use std::ops::Range;

use super::MASK;
use super::lane::Lane;

/// Longest colour code that is transparent, in bytes. `ESC[38;2;255;255;255;48;2;255;255;255m` has 37.
const LONGEST_CODE: usize = 64;

/// Stretches of the stream to hide, as positions from its beginning: sorted, apart from one another.
#[derive(Default)]
pub(super) struct Hidden(VecDeque<(u64, u64)>);

impl Hidden {
    /// Adds `[from, to)`. Lanes run one after the other, so a stretch may lie before known ones.
    pub(super) fn add(&mut self, mut from: u64, mut to: u64) {
        let mut at = self.0.partition_point(|&(_, end)| end < from);
        while let Some(&(start, end)) = self.0.get(at)
            && start <= to
        {
            (from, to) = (from.min(start), to.max(end));
            self.0.remove(at);
        }
        at = at.min(self.0.len());
        self.0.insert(at, (from, to));
    }

    /// Takes the part of the first stretch that lies before `limit`.
    fn take_before(&mut self, limit: u64) -> Option<(u64, u64)> {
        let (from, to) = *self.0.front()?;
        if from >= limit {
            return None;
        }
        self.0.pop_front();
        if to > limit {
            self.0.push_front((limit, to));
        }
        Some((from, to.min(limit)))
    }
}

/// A stream being masked. Made by [`super::Masker::stream`].
pub struct MaskStream {
    lanes: Vec<Lane>,
    hidden: Hidden,
    /// Bytes not given out yet, from position `origin` on.
    held: Vec<u8>,
    origin: u64,
    /// How many of the held bytes the lanes have seen or the scanner has skipped.
    scanned: usize,
    /// The last thing given out was a mask: a touching stretch adds none.
    after_mask: bool,
}

impl MaskStream {
    pub(super) fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes, hidden: Hidden::default(), held: Vec::new(), origin: 0, scanned: 0, after_mask: false }
    }

    /// Takes the next bytes and appends to `out` everything that is decided.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.lanes.is_empty() {
            out.extend_from_slice(bytes);
            return;
        }
        self.held.extend_from_slice(bytes);
        self.scan(false);
        let scanned = self.origin + self.scanned as u64;
        let decided = self.lanes.iter_mut().map(|lane| lane.undecided(scanned)).min().unwrap_or(scanned);
        self.give(decided, out);
    }

    /// Ends the stream: what was held back cannot become a secret any more.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.scan(true);
        for lane in &mut self.lanes {
            lane.finish(&mut self.hidden);
        }
        self.give(self.origin + self.held.len() as u64, out);
    }

    /// Bytes held back at the moment.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn scan(&mut self, last: bool) {
        while self.scanned < self.held.len() {
            let rest = &self.held[self.scanned..];
            let escape = rest.iter().position(|&byte| byte == 0x1b).unwrap_or(rest.len());
            self.show(self.scanned..self.scanned + escape);
            let Some(code) = self.held.get(self.scanned..).filter(|code| !code.is_empty()) else {
                return;
            };
            match code_length(code) {
                Code::Of(length) => self.scanned += length,
                Code::None => self.show(self.scanned..self.scanned + 1),
                Code::Unfinished if last => self.show(self.scanned..self.held.len()),
                Code::Unfinished => return,
            }
        }
    }

    fn show(&mut self, run: Range<usize>) {
        for lane in &mut self.lanes {
            lane.look(&self.held[run.clone()], self.origin + run.start as u64, &mut self.hidden);
        }
        self.scanned = run.end;
    }

    /// Gives out everything before position `limit`.
    fn give(&mut self, limit: u64, out: &mut Vec<u8>) {
        let end = (limit - self.origin) as usize;
        let mut at = 0;
        while let Some((from, to)) = self.hidden.take_before(limit) {
            let (from, to) = ((from - self.origin) as usize, (to - self.origin) as usize);
            self.literal(at..from, out);
            if !self.after_mask {
                out.extend_from_slice(MASK.as_bytes());
                self.after_mask = true;
            }
            codes_only(&self.held[from..to], out);
            at = to;
        }
        self.literal(at..end, out);
        self.held.drain(..end);
        self.origin = limit;
        self.scanned -= end;
    }

    fn literal(&mut self, range: Range<usize>, out: &mut Vec<u8>) {
        if !range.is_empty() {
            out.extend_from_slice(&self.held[range]);
            self.after_mask = false;
        }
    }
}

impl std::fmt::Debug for MaskStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaskStream").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

enum Code {
    Of(usize),
    None,
    Unfinished,
}

/// Is this, from its ESC on, a colour code?
fn code_length(bytes: &[u8]) -> Code {
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match (at, byte) {
            (1, b'[') => {}
            (1, _) => return Code::None,
            (_, b'm') => return Code::Of(at + 1),
            (LONGEST_CODE.., _) => return Code::None,
            (_, b'0'..=b'9' | b';' | b':') => {}
            (_, _) => return Code::None,
        }
    }
    Code::Unfinished
}

fn codes_only(hidden: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(next) = hidden[at..].iter().position(|&byte| byte == 0x1b) {
        at += next;
        match code_length(&hidden[at..]) {
            Code::Of(length) => {
                out.extend_from_slice(&hidden[at..at + length]);
                at += length;
            }
            Code::None | Code::Unfinished => at += 1,
        }
    }
}
