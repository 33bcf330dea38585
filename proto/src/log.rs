//! How a job's output is cut and addressed. An attempt's log is one sequence of bytes; a chunk is a part of it that
//! knows its offset. A position is (job, attempt, offset), so that it means the same live, years later, and at any gateway.

use crate::ids::{AttemptNo, JobNo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest payload of one chunk, in bytes (`architecture.md`, the ring).
pub const CHUNK_BYTES: usize = 16 * 1024;

/// Header: the offset of the chunk's first byte in the attempt's log, decimal.
pub const OFFSET_HEADER: &str = "Navvy-Log-Offset";
/// Header: the phase that wrote the chunk (a chunk never spans two).
pub const PHASE_HEADER: &str = "Navvy-Log-Phase";
/// Header: present on the last message of an attempt's log; its value is the log's length in bytes, decimal.
pub const END_HEADER: &str = "Navvy-Log-End";

/// A place in a run's logs: everything before `offset` of this attempt has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    pub job: JobNo,
    pub attempt: AttemptNo,
    pub offset: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.job, self.attempt, self.offset)
    }
}

impl std::str::FromStr for LogPosition {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut next = || parts.next().filter(|p| p.len() <= 20 && p.bytes().all(|b| b.is_ascii_digit())).ok_or(());
        let job = JobNo(next()?.parse().map_err(|_| ())?);
        let attempt = AttemptNo(next()?.parse().map_err(|_| ())?);
        let offset = next()?.parse().map_err(|_| ())?;
        if parts.next().is_some() { Err(()) } else { Ok(Self { job, attempt, offset }) }
    }
}

/// One chunk in an archived log: the archive is a sequence of these, each a JSON header line followed by `bytes` raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedChunk {
    /// Offset of the first byte in the attempt's log.
    pub offset: u64,
    /// The phase that wrote it.
    pub phase: String,
    /// How many raw bytes follow the header line.
    pub bytes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_text_and_garbage_is_refused() {
        let position = LogPosition { job: JobNo(2), attempt: AttemptNo(1), offset: 10_482 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.-3", "1.2.99999999999999999999999", "+1.2.3"] {
            assert_eq!(bad.parse::<LogPosition>(), Err(()), "{bad}");
        }
    }
}
