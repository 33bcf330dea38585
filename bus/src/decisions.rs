//! RUNS as whoever shows it reads it: some decisions of a run at a time, in their order. Nothing is decided by what is read
//! here, so a follower that lags is good enough; whoever decides reads with `run_log`.

use crate::error::BusError;
use crate::link::Link;
use crate::read::AtOnce;
use crate::run_log::is_foreign;
use crate::scan::Stored;
use bytes::Bytes;
use proto::{RunId, subject};

/// What one request brings; a decision that is longer comes alone.
const AT_ONCE: AtOnce = AtOnce { messages: 256, bytes: Some(256 * 1024) };

/// The decisions about runs, to be read only.
#[derive(Debug, Clone)]
pub struct Decisions {
    link: Link,
}

/// A decision as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub seq: u64,
    pub entry: Bytes,
}

impl Decisions {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// The oldest decision about a run that is kept.
    pub async fn first(&self, run: RunId) -> Result<Option<Decision>, BusError> {
        let subject = subject::run(run);
        let mut from = 1;
        while let Some(stored) = self.link.near(subject::RUNS, &subject, from).await? {
            if !is_foreign(&stored) {
                return Ok(Some(decision(stored)));
            }
            from = stored.seq + 1;
        }
        Ok(None)
    }

    /// Some decisions about a run behind one and up to another, oldest first, about as many as fit into 256 KiB. Empty: there are
    /// none. `until` is the last one that is known to be there: it is found although a follower lags.
    pub async fn between(&self, run: RunId, after: u64, until: u64) -> Result<Vec<Decision>, BusError> {
        let subject = subject::run(run);
        let mut after = after;
        while after < until {
            let mut some = self.link.many(subject::RUNS, &subject, after + 1, AT_ONCE).await?;
            if some.is_empty() && self.link.is_clustered() {
                some.extend(self.link.first_from(subject::RUNS, &subject, after + 1).await?);
            }
            let Some(last) = some.last() else { break };
            after = last.seq;
            let wanted = some.into_iter().filter(|stored| stored.seq <= until && !is_foreign(stored));
            let found: Vec<Decision> = wanted.map(decision).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

fn decision(stored: Stored) -> Decision {
    Decision { seq: stored.seq, entry: stored.payload }
}
