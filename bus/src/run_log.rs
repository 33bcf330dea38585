//! RUNS: one subject a run, on it every decision about the run in order. The one place where what is decided is decided.

use crate::batch::Write;
use crate::commit::Committer;
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::scan::{self, Filter, Stored};
use proto::{RunId, ShardNo, subject};

/// Header: whether the run is open after this decision.
const OPEN_HEADER: &str = "Navvy-Run-Open";

/// The decisions about runs.
#[derive(Debug, Clone)]
pub struct RunLog {
    link: Link,
    committer: Committer,
}

impl RunLog {
    pub(crate) fn new(link: Link, committer: Committer) -> Self {
        Self { link, committer }
    }

    /// Appends one decision if the run's last one is still `expected_last` (0: there is none yet); returns its sequence.
    ///
    /// [`BusError::Conflict`]: somebody else decided in between, load again. [`BusError::Timeout`]: unknown, load again
    /// and look whether the entry is there. `open`: whether the run is open after it ([`RunLog::open_runs`]).
    pub async fn commit(&self, run: RunId, expected_last: u64, entry: Vec<u8>, open: bool) -> Result<u64, BusError> {
        let headers = headers(&[(OPEN_HEADER, if open { "true" } else { "false" })]);
        let write = Write { subject: subject::run(run), expected: expected_last, headers, payload: entry.into() };
        self.committer.commit(write).await
    }

    /// Every decision about a run with its sequence, oldest first, up to at least the last one that the stream's leader
    /// knows of now. Empty: the run is unknown.
    pub async fn load(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, BusError> {
        let subject = subject::run(run);
        let Some(last) = self.link.last(subject::RUNS, &subject).await? else { return Ok(Vec::new()) };
        let mut entries: Vec<(u64, Vec<u8>)> = Vec::new();
        loop {
            let from = entries.last().map_or(1, |(seq, _)| seq + 1);
            // Whoever is near may lag, but what it has is in order and without gaps.
            let some = self.link.many(subject::RUNS, &subject, from).await?;
            let reached = some.last().map_or(0, |stored| stored.seq);
            let none = some.is_empty();
            entries.extend(some.iter().map(entry));
            if reached >= last.seq {
                return Ok(entries);
            }
            if none {
                break;
            }
        }
        self.rest_from_leader(&subject, last.seq, entries).await
    }

    async fn rest_from_leader(&self, subject: &str, last: u64, mut entries: Vec<(u64, Vec<u8>)>) -> Result<Vec<(u64, Vec<u8>)>, BusError> {
        loop {
            let reached = entries.last().map_or(0, |(seq, _)| *seq);
            if reached >= last {
                return Ok(entries);
            }
            match self.link.first_from(subject::RUNS, subject, reached + 1).await? {
                Some(stored) => entries.push(entry(&stored)),
                None => return Err(BusError::unavailable(Op("load", subject))),
            }
        }
    }

    /// The runs of a shard whose last decision left them open. Costs the server a look at every run it keeps; made for
    /// starts and slow sweeps. In a cluster it may miss what was decided this instant.
    pub async fn open_runs(&self, shard: ShardNo) -> Result<Vec<RunId>, BusError> {
        open_runs(&self.link, &subject::runs_of_shard(shard)).await
    }
}

/// The open runs among the subjects of a filter.
pub(crate) async fn open_runs(link: &Link, subjects: &str) -> Result<Vec<RunId>, BusError> {
    let filter = Filter { stream: subject::RUNS, subjects, headers_only: true };
    let mut open = Vec::new();
    for stored in scan::last_of_each(link, filter).await? {
        match (stored.header(OPEN_HEADER), stored.subject.rsplit('.').next().and_then(|token| token.parse().ok())) {
            (Some("false"), _) => {}
            // A message that does not say is taken for open: it is looked at, and nothing is overlooked.
            (_, Some(run)) => open.push(run),
            (_, None) => tracing::warn!(subject = stored.subject, "no run has this subject"),
        }
    }
    Ok(open)
}

fn entry(stored: &Stored) -> (u64, Vec<u8>) {
    (stored.seq, stored.payload.to_vec())
}
