//! Reads a run's log on from a place, and tells what it says.
//!
//! Bounded however many orders there are: it holds a portion of decisions as they are stored, one of them read, and the
//! names of the orders; not their states, and never the whole log.

use super::{Shown, place::Place};
use crate::app::App;
use bus::{BusError, Decision, Decisions};
use domain::run::{Entry, Narrator, Told};
use proto::{RunId, codec};
use std::collections::VecDeque;

/// Events that are told at a time: one decision may end ten thousand orders.
const AT_ONCE: usize = 256;

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) order: Option<String>,
    pub(crate) event_type: Option<String>,
}

impl Filter {
    fn lets(&self, told: &Told) -> bool {
        self.order.as_ref().is_none_or(|order| told.order_name == *order)
            && self.event_type.as_ref().is_none_or(|event_type| told.event_type == *event_type)
    }
}

/// A run's log, being told.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) run: RunId,
    decisions: Decisions,
    filter: Filter,
    place: Option<Place>,
    narrator: Option<Narrator>,
    /// Where the log begins, as far as it is kept.
    begins: u64,
    portion: VecDeque<Decision>,
    /// The decision that is told just now, and how many of its events have been.
    entry: Option<(u64, Entry, usize)>,
}

impl Reading {
    /// From behind a place, or from the beginning.
    pub(crate) fn new(app: &App, run: RunId, after: Option<Place>, filter: Filter) -> Self {
        let decisions = app.bus.decisions();
        Self { run, decisions, filter, place: after, narrator: None, begins: 0, portion: VecDeque::new(), entry: None }
    }

    /// Where it stands: everything up to here was read. Absent: nothing was.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// The next events that are wanted, of one decision at most; perhaps none of what was read is. `None`: what is shown of
    /// the run was told up to its end.
    pub(crate) async fn next(&mut self, shown: Shown) -> Result<Option<Vec<Told>>, BusError> {
        if self.entry.is_none() && !self.take_entry(shown.seq).await? {
            return Ok(None);
        }
        let (Some(narrator), Some((seq, entry, done))) = (&self.narrator, &mut self.entry) else { return Ok(None) };
        let seq = *seq;
        let mut some = Vec::new();
        let mut told = 0;
        for event in narrator.tell(seq, entry, Some(shown.summary)).skip(*done).take(AT_ONCE) {
            told += 1;
            self.place = Some(Place::behind(seq, event.n));
            if self.filter.lets(&event) {
                some.push(event);
            }
        }
        *done += told;
        if told < AT_ONCE {
            self.place = Some(Place::behind_all(seq));
            self.entry = None;
        }
        Ok(Some(some))
    }

    /// Reads the next decision. `false`: there is none up to `until`.
    async fn take_entry(&mut self, until: u64) -> Result<bool, BusError> {
        if self.narrator.is_none() && !self.meet().await? {
            return Ok(false);
        }
        if self.portion.is_empty() {
            let after = self.place.map_or(0, Place::whole_decision);
            self.portion = self.decisions.between(self.run, after, until).await?.into();
        }
        let (Some(decision), Some(narrator)) = (self.portion.pop_front(), &mut self.narrator) else { return Ok(false) };
        let entry = read(self.run, &decision)?;
        narrator.learn(&entry);
        let told = match self.place {
            Some(place) if place.seq == decision.seq => place.told().unwrap_or(usize::MAX),
            // What it tells again was told by the decisions before it, unless they are gone.
            Some(_) | None if decision.seq > self.begins => narrator.repeated(&entry),
            Some(_) | None => 0,
        };
        self.entry = Some((decision.seq, entry, told));
        Ok(true)
    }

    /// Reads who is in the run. `false`: nothing is known of it yet.
    async fn meet(&mut self) -> Result<bool, BusError> {
        let Some(first) = self.decisions.first(self.run).await? else { return Ok(false) };
        let narrator = Narrator::of(&read(self.run, &first)?);
        let mut narrator = narrator.ok_or_else(|| corrupt(self.run, first.seq, "the log does not begin with its acceptance"))?;
        self.begins = first.seq;
        self.catch_up(&mut narrator).await?;
        self.narrator = Some(narrator);
        Ok(true)
    }

    /// Whoever reads on from a place has not seen the decision that named the jobs.
    async fn catch_up(&self, narrator: &mut Narrator) -> Result<(), BusError> {
        let until = self.place.map_or(0, Place::whole_decision);
        let mut after = 0;
        while narrator.awaits_plan() && after < until {
            let portion = self.decisions.between(self.run, after, until).await?;
            let Some(last) = portion.last().map(|decision| decision.seq) else { break };
            for decision in &portion {
                narrator.learn(&read(self.run, decision)?);
            }
            after = last;
        }
        Ok(())
    }
}

fn read(run: RunId, decision: &Decision) -> Result<Entry, BusError> {
    codec::decode(&decision.entry).map_err(|error| corrupt(run, decision.seq, error))
}

fn corrupt(run: RunId, seq: u64, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BusError {
    BusError::Corrupt { what: format!("decision {seq} about run {run}"), source: Some(why.into()) }
}
