//! RUNS: one subject a run, on it every decision about the run in order. The one place where what is decided is decided.

use crate::batch::Write;
use crate::commit::Committer;
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::read::AtOnce;
use crate::scan::{self, Filter, Stored};
use async_nats::jetstream::stream::Info;
use proto::{RunId, ShardNo, subject};
use serde_json::json;
use std::collections::BTreeMap;

/// Header: whether the run is open after this decision.
const OPEN_HEADER: &str = "Navvy-Run-Open";
/// Header: sequence of the run's decision before this one, 0 where the log begins. Makes a log with a missing part visible.
const AFTER_HEADER: &str = "Navvy-Run-After";

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
        self.append(run, (expected_last, expected_last), entry, open).await
    }

    /// Appends an entry that tells everything before it again, under the same condition: the log of the open run begins
    /// there from now on, and what stands before may age out.
    pub async fn begin_again(&self, run: RunId, expected_last: u64, entry: Vec<u8>) -> Result<u64, BusError> {
        self.append(run, (expected_last, 0), entry, true).await
    }

    async fn append(&self, run: RunId, (expected, after): (u64, u64), entry: Vec<u8>, open: bool) -> Result<u64, BusError> {
        let open = if open { "true" } else { "false" };
        let headers = headers(&[(OPEN_HEADER, open), (AFTER_HEADER, &after.to_string())]);
        let write = Write { subject: subject::run(run), expected, headers, payload: entry.into() };
        self.committer.commit(write).await
    }

    /// Every decision about a run, oldest first, up to at least the last one that the stream's leader knows of now, each with
    /// the sequence that the next one has to expect. Empty: the run is unknown. [`BusError::Corrupt`]: a part is missing, such as a beginning that has
    /// outlived the age of the stream; a run without its beginning must not be decided about.
    pub async fn load(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, BusError> {
        let subject = subject::run(run);
        let Some(last) = self.link.last(subject::RUNS, &subject).await? else { return Ok(Vec::new()) };
        let mut log = Chain { subject: &subject, reached: 0, entries: Vec::new() };
        while log.reached < last.seq {
            // Whoever is near may lag, but what it has is in order and without gaps.
            let some = self.link.many(subject::RUNS, &subject, log.reached + 1, AtOnce::MANY).await?;
            if some.is_empty() {
                break;
            }
            log.extend(&some)?;
        }
        while log.reached < last.seq {
            let next = self.link.first_from(subject::RUNS, &subject, log.reached + 1).await?;
            log.extend(&[next.ok_or_else(|| BusError::unavailable(Op("load", &subject)))?])?;
        }
        Ok(log.entries)
    }

    /// Sequence of the run's last decision as the leader knows it; 0: there is none.
    pub async fn last_seq(&self, run: RunId) -> Result<u64, BusError> {
        Ok(self.link.last(subject::RUNS, &subject::run(run)).await?.map_or(0, |stored| stored.seq))
    }

    /// What was decided in a shard since `looked`, the last decision of each run; moves `looked` on. The first time, which
    /// costs the server a look at every run it keeps, it is the last decision of all. In a cluster it may miss what was
    /// decided this instant, which then comes the next time.
    pub async fn decided_since(&self, shard: ShardNo, looked: &mut Looked) -> Result<Vec<Decided>, BusError> {
        let info: Info = self.link.api(Op("look at", "STREAM.INFO.RUNS"), &json!({})).await?;
        // A stream with an earlier end is another stream.
        let from = if looked.0 > info.state.last_sequence { 0 } else { looked.0 };
        let subjects = subject::runs_of_shard(shard);
        let filter = Filter { stream: subject::RUNS, subjects: &subjects, headers_only: true };
        let found =
            if from == 0 { scan::last_of_each(&self.link, filter).await? } else { scan::all_from(&self.link, filter, from + 1).await? };
        looked.0 = found.iter().map(|stored| stored.seq).max().unwrap_or(0).max(from);
        let last: BTreeMap<RunId, Decided> = found.iter().filter_map(decided).map(|decided| (decided.run, decided)).collect();
        Ok(last.into_values().collect())
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
    let found = scan::last_of_each(link, filter).await?;
    Ok(found.iter().filter_map(decided).filter(|decided| decided.open).map(|decided| decided.run).collect())
}

fn decided(stored: &Stored) -> Option<Decided> {
    let run = stored.subject.rsplit('.').next().and_then(|token| token.parse().ok());
    if run.is_none() {
        tracing::warn!(subject = stored.subject, "no run has this subject");
    }
    // A message that does not say is taken for open: it is looked at, and nothing is overlooked.
    Some(Decided { run: run?, seq: stored.seq, open: stored.header(OPEN_HEADER) != Some("false") })
}

/// How far the decisions of a shard have been looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked(u64);

/// A run's last decision, as far as it can be told without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    pub run: RunId,
    pub seq: u64,
    /// Whether the run was open after it.
    pub open: bool,
}

/// JetStream sends its acknowledgements and answers wherever whoever asks wants them, a run's log included, whatever that
/// user may publish. Such a message decides nothing; it must not keep a run from going on, because nobody can remove it.
pub(crate) fn is_foreign(stored: &Stored) -> bool {
    stored.header(AFTER_HEADER).is_none() && stored.header(OPEN_HEADER).is_none()
}

/// A run's log being read, each decision hooked into the one before it.
struct Chain<'a> {
    subject: &'a str,
    reached: u64,
    entries: Vec<(u64, Vec<u8>)>,
}

impl Chain<'_> {
    fn extend(&mut self, some: &[Stored]) -> Result<(), BusError> {
        for stored in some {
            if is_foreign(stored) {
                tracing::error!(subject = self.subject, seq = stored.seq, "no scheduler wrote this into a run's log; it is passed over");
                self.reached = stored.seq;
                if let Some((expect, _)) = self.entries.last_mut() {
                    *expect = stored.seq;
                }
                continue;
            }
            let after = stored.header(AFTER_HEADER).and_then(|text| text.parse().ok());
            if after == Some(0) {
                // Told from its beginning: what came before may be here still, or be gone.
                self.entries.clear();
            } else if after != Some(self.reached) {
                let why = format!("what stands before the decision at {} is missing", stored.seq);
                return Err(BusError::corrupt(Op("load", self.subject), why));
            }
            self.reached = stored.seq;
            self.entries.push((stored.seq, stored.payload.to_vec()));
        }
        Ok(())
    }
}
