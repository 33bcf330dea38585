//! One automaton over one view of the stream, with the way back from what it saw to where that stood.
//!
//! A lane is fed runs of *visible* bytes (colour codes are skipped by the stream) and may itself skip blanks. It
//! answers with the stretches of the original stream to hide, and with the first byte that may still become a part
//! of one. It is exact: nothing is held back unless the tail is a prefix of some form.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, dfa, nfa};

use super::MaskError;
use super::stream::Hidden;

/// Skipped bytes in one place after which a half-seen form is given up. Bounds what can be held back; what wraps a
/// line (blanks, a box, colour codes) is far shorter.
const WIDEST_GAP: u64 = 256;
/// Bytes of forms up to which the fast table (256 transitions a state) is small enough.
const SMALL: usize = 8 * 1024;
const BOX: [u8; 3] = [0xe2, 0x94, 0x82];

enum Table {
    Fast(Box<dfa::DFA>),
    Compact(Box<nfa::contiguous::NFA>),
}

/// Compiled forms; shared by all streams of a job.
pub(super) struct Patterns {
    table: Table,
    /// `(state, number of bytes of the longest form that ends there half-finished)`, sorted by state.
    depths: Vec<(u32, u32)>,
}

impl Patterns {
    pub(super) fn build(forms: &BTreeSet<Vec<u8>>) -> Result<Option<Arc<Self>>, MaskError> {
        if forms.is_empty() {
            return Ok(None);
        }
        let refused = |error| MaskError(Box::new(error));
        let total: usize = forms.iter().map(Vec::len).sum();
        let (table, depths) = if total <= SMALL {
            let dfa = dfa::DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(forms).map_err(refused)?;
            let depths = depths(&dfa, forms);
            (Table::Fast(Box::new(dfa)), depths)
        } else {
            let nfa = nfa::contiguous::NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(forms).map_err(refused)?;
            let depths = depths(&nfa, forms);
            (Table::Compact(Box::new(nfa)), depths)
        };
        Ok(Some(Arc::new(Self { table, depths })))
    }

    fn start(&self) -> StateID {
        match &self.table {
            Table::Fast(table) => start_of(table.as_ref()),
            Table::Compact(table) => start_of(table.as_ref()),
        }
    }

    fn depth(&self, state: StateID) -> u64 {
        let found = self.depths.binary_search_by_key(&state.as_u32(), |&(id, _)| id);
        found.map_or(0, |at| u64::from(self.depths[at].1))
    }
}

fn start_of(table: &impl Automaton) -> StateID {
    table.start_state(Anchored::No).expect("built with the default start kind, which is unanchored")
}

/// The state after the first n bytes of a form is that prefix's own node, so its depth is n.
fn depths(table: &impl Automaton, forms: &BTreeSet<Vec<u8>>) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for form in forms {
        let mut state = start_of(table);
        for (seen, &byte) in form.iter().enumerate() {
            state = table.next_state(Anchored::No, state, byte);
            found.push((state.as_u32(), seen as u32 + 1));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// What the lane does not look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Nothing,
    Blanks,
}

/// The state of one lane in one stream. Positions: `seen` counts bytes fed to the automaton, `origin` bytes of the stream.
pub(super) struct Lane {
    patterns: Arc<Patterns>,
    fold: Fold,
    state: StateID,
    seen: u64,
    /// Where unbroken stretches of seen bytes begin: `(seen, origin)`, oldest first.
    stretches: VecDeque<(u64, u64)>,
    /// Origin just behind the last seen byte.
    behind: u64,
    /// Bytes of a box character that has begun; blank or not, the next bytes tell.
    boxed: VecDeque<(u8, u64)>,
}

impl Lane {
    pub(super) fn new(patterns: Arc<Patterns>, fold: Fold) -> Self {
        let state = patterns.start();
        Self { patterns, fold, state, seen: 0, stretches: VecDeque::new(), behind: 0, boxed: VecDeque::new() }
    }

    /// Looks at a run of visible bytes that stands at `origin`.
    pub(super) fn look(&mut self, run: &[u8], origin: u64, hidden: &mut Hidden) {
        match self.fold {
            Fold::Nothing => self.walk(run, origin, hidden),
            Fold::Blanks => self.look_between_blanks(run, origin, hidden),
        }
    }

    fn look_between_blanks(&mut self, run: &[u8], origin: u64, hidden: &mut Hidden) {
        let mut from = 0;
        for (at, &byte) in run.iter().enumerate() {
            let plain = !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && byte != BOX[0] && self.boxed.is_empty();
            if plain {
                continue;
            }
            self.walk(&run[from..at], origin + from as u64, hidden);
            from = at + 1;
            self.maybe_box(byte, origin + at as u64, hidden);
        }
        self.walk(&run[from..], origin + from as u64, hidden);
    }

    /// A byte that is blank, or a part of the box character, or turns out to be neither.
    fn maybe_box(&mut self, byte: u8, origin: u64, hidden: &mut Hidden) {
        if byte == BOX[self.boxed.len()] {
            self.boxed.push_back((byte, origin));
            if self.boxed.len() == BOX.len() {
                self.boxed.clear();
            }
            return;
        }
        self.unbox(hidden);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            first if first == BOX[0] => self.boxed.push_back((byte, origin)),
            other => self.walk(&[other], origin, hidden),
        }
    }

    fn unbox(&mut self, hidden: &mut Hidden) {
        while let Some((byte, origin)) = self.boxed.pop_front() {
            self.walk(&[byte], origin, hidden);
        }
    }

    fn walk(&mut self, run: &[u8], origin: u64, hidden: &mut Hidden) {
        if run.is_empty() {
            return;
        }
        if self.behind != origin || self.stretches.is_empty() {
            self.give_up_over_gap(origin);
            self.stretches.push_back((self.seen, origin));
        }
        let patterns = Arc::clone(&self.patterns);
        match &patterns.table {
            Table::Fast(table) => self.step(table.as_ref(), run, origin, hidden),
            Table::Compact(table) => self.step(table.as_ref(), run, origin, hidden),
        }
        self.seen += run.len() as u64;
        self.behind = origin + run.len() as u64;
    }

    fn step(&mut self, table: &impl Automaton, run: &[u8], origin: u64, hidden: &mut Hidden) {
        let mut state = self.state;
        for (at, &byte) in run.iter().enumerate() {
            state = table.next_state(Anchored::No, state, byte);
            if table.is_special(state) && table.is_match(state) {
                let found = (0..table.match_len(state)).map(|n| table.pattern_len(table.match_pattern(state, n)));
                let longest = found.max().unwrap_or(0) as u64;
                let end = at as u64 + 1;
                hidden.add(self.origin_of(self.seen + end - longest), origin + end);
            }
        }
        self.state = state;
    }

    fn origin_of(&self, seen: u64) -> u64 {
        let next = self.stretches.partition_point(|&(from, _)| from <= seen);
        let (from, origin) = self.stretches[next.saturating_sub(1)];
        origin + (seen - from)
    }

    fn give_up_over_gap(&mut self, origin: u64) {
        if origin.saturating_sub(self.behind) > WIDEST_GAP {
            self.state = self.patterns.start();
        }
    }

    /// The first byte of the stream (which ends at `end`) that may still become a part of a form.
    pub(super) fn undecided(&mut self, end: u64) -> u64 {
        let half_box = self.boxed.front().map_or(end, |&(_, origin)| origin);
        self.give_up_over_gap(half_box);
        let depth = self.patterns.depth(self.state);
        let first = self.seen - depth;
        while self.stretches.get(1).is_some_and(|&(from, _)| from <= first) {
            self.stretches.pop_front();
        }
        if depth == 0 { half_box } else { self.origin_of(first).min(half_box) }
    }

    /// The stream is over: what looked like the beginning of a box character was none.
    pub(super) fn finish(&mut self, hidden: &mut Hidden) {
        self.unbox(hidden);
    }
}
