//! Walks through a run's log: segment after segment, byte after byte, in the order of the ids.
//!
//! It knows where it stands and what the view says; it waits for nothing. A walk that finds nothing more says so, and its
//! owner decides whether to wait for more ([`super::live`]) or to be content ([`super::raw`], `follow=0`).

use super::{
    part::Part,
    segments::{Origin, Segment, segments},
    source::{Pulled, Source},
};
use bus::{Bus, BusError, Written};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{PoolName, RunId, WorkerId, ids::AttemptId, log::LogPosition, message::JobAttempt, view::RunView};
use std::time::{Duration, Instant};

/// After this long an attempt's log is looked for in the archive first.
const ARCHIVED_AFTER: Duration = Duration::from_hours(1);
/// How long after its end an attempt's last bytes may still be on their way, if its log does not say where it ends.
const STRAGGLING: Duration = Duration::from_secs(10);

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes of a segment; `offset` is that of their first one.
    Bytes { at: JobAttempt, offset: u64, bytes: Bytes },
    /// Bytes of a segment are missing (0: nobody knows how many); it goes on at `offset`.
    Gap { at: JobAttempt, missing: u64, offset: u64 },
    /// The segment is complete.
    SegmentOver,
    /// Nothing more now. `whole`: the segment is complete. `straggling`: look again soon, nothing may announce the rest.
    Dry { whole: bool, straggling: bool },
    /// The run is over and everything was walked through.
    Done,
}

/// A place in a run's log, and the way on from there.
#[derive(Debug)]
pub(crate) struct Walk {
    bus: Bus,
    run: RunId,
    part: Part,
    segments: Vec<Segment>,
    /// Nothing will be added after the last segment.
    over: bool,
    /// Waits for the last bytes of an attempt that has just ended.
    patient: bool,
    /// The place to resume at has not been found yet among the segments.
    resuming: bool,
    /// Where it stands: everything before is behind.
    at: Option<JobAttempt>,
    offset: u64,
    source: Option<Source>,
    /// Since when the segment has been over without its log saying so.
    straggling_since: Option<Instant>,
}

impl Walk {
    /// Starts behind `after`, or at the beginning. The view has the jobs of the part that is read: [`Part::view`]. `patient`:
    /// stays for what is to come; else it is content with what is there now.
    pub(crate) fn new(bus: Bus, view: &RunView, part: Part, after: Option<LogPosition>, patient: bool) -> Self {
        let at = after.map(|place| JobAttempt { job: place.job, attempt: place.attempt });
        let mut walk = Self {
            bus,
            run: view.id,
            part,
            segments: Vec::new(),
            over: false,
            patient,
            resuming: at.is_some(),
            at,
            offset: after.map_or(0, |place| place.offset),
            source: None,
            straggling_since: None,
        };
        walk.refresh(view);
        walk
    }

    /// Only one attempt, from its beginning, as it is now.
    pub(crate) fn of_attempt(bus: Bus, view: &RunView, at: JobAttempt) -> Option<Self> {
        let mut walk = Self::new(bus, view, Part::Job(at.job), None, false);
        walk.segments.retain(|segment| segment.at == at);
        walk.over = true;
        (!walk.segments.is_empty()).then_some(walk)
    }

    /// Takes note of what the view says now.
    pub(crate) fn refresh(&mut self, view: &RunView) {
        self.segments = segments(view, self.patient);
        self.over = self.part.is_over(view);
    }

    /// How far the log of the running attempt that it reads reaches beyond the place where it stands, in bytes; 0 when it
    /// reads none. An estimate from below.
    pub(crate) async fn behind(&mut self) -> Result<u64, BusError> {
        let running = self.current().is_some_and(|n| match self.segments[n].origin {
            Origin::Attempt { ended_at, .. } => ended_at.is_none(),
            Origin::Gate { .. } => false,
        });
        match &mut self.source {
            Some(source) if running => source.behind().await,
            Some(_) | None => Ok(0),
        }
    }

    /// What comes next.
    pub(crate) async fn step(&mut self) -> Result<Step, BusError> {
        if self.resuming && !self.segments.is_empty() {
            self.resuming = false;
            if !self.segments.iter().any(|segment| Some(segment.at) == self.at) {
                return Ok(self.begin_again());
            }
        }
        let Some(n) = self.current() else {
            return Ok(if self.over { Step::Done } else { DRY });
        };
        let segment = self.segments[n].clone();
        if self.at != Some(segment.at) {
            self.enter(segment.at);
        }
        match segment.origin {
            Origin::Gate { text, over } => Ok(self.gate(n, &text, over)),
            Origin::Attempt { started, ended_at, pool, worker } => self.attempt(n, (started, ended_at), pool, worker).await,
        }
    }

    fn enter(&mut self, at: JobAttempt) {
        self.at = Some(at);
        self.offset = 0;
        self.source = None;
        self.straggling_since = None;
    }

    /// The first segment at or behind the place where it stands.
    fn current(&self) -> Option<usize> {
        let key = |at: JobAttempt| (at.job, at.attempt);
        match self.at {
            None => (!self.segments.is_empty()).then_some(0),
            Some(at) => self.segments.iter().position(|segment| key(segment.at) >= key(at)),
        }
    }

    fn gate(&mut self, n: usize, text: &str, over: bool) -> Step {
        let at = self.segments[n].at;
        let offset = self.offset;
        let Some(rest) = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..)) else {
            return self.begin_again();
        };
        if !rest.is_empty() {
            self.offset += rest.len() as u64;
            return Step::Bytes { at, offset, bytes: Bytes::copy_from_slice(rest) };
        }
        if over { self.segment_over(n) } else { DRY }
    }

    async fn attempt(
        &mut self,
        n: usize,
        (started, ended_at): (bool, Option<Timestamp>),
        pool: PoolName,
        worker: Option<WorkerId>,
    ) -> Result<Step, BusError> {
        let at = self.segments[n].at;
        let id = AttemptId { run: self.run, job: at.job, attempt: at.attempt };
        if self.source.is_none() {
            let long_ago = ended_at.is_some_and(|ended| age(ended) > ARCHIVED_AFTER);
            let (bus, of) = (self.bus.clone(), Written { id, pool, worker: worker.clone() });
            self.source = Some(if long_ago { Source::archived(bus, of, self.offset).await? } else { Source::new(bus, of, self.offset) });
        }
        let Some(source) = &mut self.source else { return Ok(DRY) };
        source.written_by(worker.as_ref());
        let pulled = source.pull(ended_at.is_some()).await?;
        let offset = std::mem::replace(&mut self.offset, source.offset());
        Ok(match pulled {
            Pulled::Bytes { bytes, .. } => {
                self.straggling_since = None;
                Step::Bytes { at, offset, bytes }
            }
            Pulled::Gap(missing) => Step::Gap { at, missing, offset: self.offset },
            Pulled::End => self.segment_over(n),
            Pulled::Dry => self.dry(n, started, ended_at),
            Pulled::Beyond => self.begin_again(),
        })
    }

    /// Nothing is stored behind the place where it stands, and the log does not say that this is its end.
    fn dry(&mut self, n: usize, started: bool, ended_at: Option<Timestamp>) -> Step {
        // Orders run side by side: whoever does not wait for one reads what the others have written.
        if !self.patient && n + 1 < self.segments.len() {
            return self.segment_over(n);
        }
        // An attempt that the view calls ended may be a lost one whose worker comes back with the rest: as long as nothing
        // follows it, that is waited for.
        let nothing_follows = n + 1 == self.segments.len() && !self.over;
        let Some(ended_at) = ended_at.filter(|_| !nothing_follows) else { return DRY };
        let since = *self.straggling_since.get_or_insert_with(Instant::now);
        let waited = since.elapsed() >= STRAGGLING || age(ended_at) > 10 * STRAGGLING;
        if waited || !started || !self.patient { self.segment_over(n) } else { Step::Dry { whole: false, straggling: true } }
    }

    /// Goes to the next segment; at the last one it stays, and is over with it.
    fn segment_over(&mut self, n: usize) -> Step {
        if n + 1 < self.segments.len() {
            self.enter(self.segments[n + 1].at);
            return Step::SegmentOver;
        }
        if self.over { Step::Done } else { Step::Dry { whole: true, straggling: false } }
    }

    /// The place it was to resume at does not exist in this run: another run's, or made up. Nothing is skipped by it.
    fn begin_again(&mut self) -> Step {
        self.at = None;
        self.offset = 0;
        self.source = None;
        Step::SegmentOver
    }
}

const DRY: Step = Step::Dry { whole: false, straggling: false };

/// How long ago; a moment in the future is now.
fn age(moment: Timestamp) -> Duration {
    Timestamp::now().duration_since(moment).try_into().unwrap_or_default()
}
