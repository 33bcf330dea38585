//! The way of a byte from the tool to the log: terminal filter, masker, line bound, file. In this order, see each.
//!
//! Nothing that has not passed the masker exists outside this process. An error of the disk does not stop the tool:
//! the gap is marked in the log as soon as it takes bytes again.

use crate::attempt_log::AttemptLog;
use crate::mask::MaskStream;

use super::ansi::TerminalFilter;
use super::lines::LineBound;

/// Bytes gathered before a write, while more keep coming.
const FULL: usize = 64 * 1024;

pub(super) struct LogSink {
    filter: TerminalFilter,
    mask: MaskStream,
    bound: LineBound,
    log: AttemptLog,
    text: Vec<u8>,
    masked: Vec<u8>,
    ready: Vec<u8>,
}

impl LogSink {
    pub(super) fn new(mask: MaskStream, log: AttemptLog) -> Self {
        Self {
            filter: TerminalFilter::default(),
            mask,
            bound: LineBound::default(),
            log,
            text: Vec::new(),
            masked: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Takes raw output. True if enough has gathered to be written.
    pub(super) fn feed(&mut self, raw: &[u8]) -> bool {
        self.filter.feed(raw, &mut self.text);
        self.mask.feed(&self.text, &mut self.masked);
        self.text.clear();
        self.bound_lines();
        self.ready.len() >= FULL
    }

    /// Writes what has gathered. True if the log has grown.
    pub(super) fn flush(&mut self) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        // The log counts and marks what it could not write; the tool goes on.
        let _ = self.log.write(&self.ready);
        self.ready.clear();
        true
    }

    /// Ends the stream, writes what the masker held and hands back the log.
    pub(super) fn finish(mut self) -> AttemptLog {
        self.filter.finish(&mut self.text);
        self.mask.feed(&self.text, &mut self.masked);
        self.mask.finish(&mut self.masked);
        self.bound.feed(&self.masked, &mut self.ready);
        let _ = self.log.write(&self.ready);
        self.log
    }

    pub(super) fn log_len(&self) -> u64 {
        self.log.len()
    }

    fn bound_lines(&mut self) {
        self.bound.feed(&self.masked, &mut self.ready);
        self.masked.clear();
    }
}
