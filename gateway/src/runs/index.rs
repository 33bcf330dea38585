//! Every run in a few words, in memory, in the order of the list.
//!
//! Fed by a watch of VIEWS; the views themselves stay in the store and are read for the page that is shown. Losing the
//! index loses nothing: a started gateway reads it anew, and says so until it has.

use super::cursor::Place;
use super::filter::Filter;
use jiff::Timestamp;
use proto::{
    PoolName, RunId,
    message::RunSpec,
    sync::ReleaseKind,
    view::{RunStatus, RunView, WaitingFor},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// What the list knows of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) status: RunStatus,
    /// Canonical repository; empty where there is none.
    pub(crate) repo: Arc<str>,
    pub(crate) by: Arc<str>,
    /// What it releases, and into which environment.
    pub(crate) release: Option<(ReleaseKind, Arc<str>)>,
    /// Set while the run waits for a worker.
    queued: Option<Queued>,
    /// Sequence of the view this was made from.
    seq: u64,
}

/// A place in the line for a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Queued {
    pool: PoolName,
    since: Timestamp,
    id: RunId,
}

/// One page of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) runs: Vec<RunId>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Place>,
}

/// The runs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    runs: BTreeMap<Place, Summary>,
    places: HashMap<RunId, Place>,
    queue: BTreeSet<Queued>,
    /// Repositories and names repeat in thousands of runs.
    words: HashSet<Arc<str>>,
    complete: bool,
}

impl Index {
    /// Whether everything that was there at the start has been read.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Everything that was there has been read.
    pub(crate) fn completed(&mut self) {
        self.complete = true;
    }

    /// A run is new or has changed. An older view than the one known changes nothing.
    pub(crate) fn put(&mut self, view: &RunView) {
        let place = Place { accepted_at: view.accepted_at, id: view.id };
        if self.summary(view.id).is_some_and(|known| known.seq > view.seq) {
            return;
        }
        self.remove(view.id);
        let repo = match &view.spec {
            RunSpec::Terraform(spec) => spec.git_url.canonical(),
            RunSpec::Orders(spec) => spec.pull_request.as_ref().map(|pr| pr.repo.clone()).unwrap_or_default(),
            RunSpec::Sync(spec) => spec.git_url.canonical(),
            RunSpec::Probe(_) => String::new(),
        };
        let queued = queued(view);
        if let Some(queued) = &queued {
            self.queue.insert(queued.clone());
        }
        let release = match &view.spec {
            RunSpec::Sync(spec) => spec.release.as_ref().map(|order| (order.kind, self.word(spec.environment.as_str()))),
            RunSpec::Terraform(_) | RunSpec::Orders(_) | RunSpec::Probe(_) => None,
        };
        let summary = Summary { status: view.status, repo: self.word(&repo), by: self.word(&view.by), release, queued, seq: view.seq };
        self.places.insert(view.id, place);
        self.runs.insert(place, summary);
    }

    /// A run's time is over.
    pub(crate) fn remove(&mut self, id: RunId) {
        let Some(place) = self.places.remove(&id) else { return };
        if let Some(Summary { queued: Some(queued), .. }) = self.runs.remove(&place) {
            self.queue.remove(&queued);
        }
    }

    /// Up to `limit` runs behind `after` that pass the filter, newest first.
    pub(crate) fn page(&self, filter: &Filter, after: Option<Place>, limit: usize) -> Page {
        let behind = match after {
            Some(place) => self.runs.range(..place),
            None => self.runs.range(..),
        };
        let mut found = behind.rev().filter(|(_, summary)| filter.passes(summary)).map(|(place, _)| *place);
        let places: Vec<Place> = found.by_ref().take(limit).collect();
        let next = if found.next().is_some() { places.last().copied() } else { None };
        Page { runs: places.into_iter().map(|place| place.id).collect(), next }
    }

    /// A run's place in the line for its pool; 1 is next.
    pub(crate) fn queue_position(&self, id: RunId) -> Option<u32> {
        let own = self.summary(id)?.queued.as_ref()?;
        let before = self.queue.range(..own).rev().take_while(|other| other.pool == own.pool).count();
        Some(u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// The pools that runs wait for.
    pub(crate) fn pools(&self) -> BTreeSet<PoolName> {
        self.queue.iter().map(|queued| queued.pool.clone()).collect()
    }

    fn summary(&self, id: RunId) -> Option<&Summary> {
        self.places.get(&id).and_then(|place| self.runs.get(place))
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.words.get(text) {
            return Arc::clone(known);
        }
        let word: Arc<str> = Arc::from(text);
        self.words.insert(Arc::clone(&word));
        word
    }
}

/// The run's place in the line: since its oldest attempt that waits for a worker.
fn queued(view: &RunView) -> Option<Queued> {
    let Some(WaitingFor::Worker { pool, .. }) = &view.waiting_for else { return None };
    let attempts = view.jobs.iter().flat_map(|job| &job.attempts);
    let waiting = attempts.filter(|attempt| attempt.status == "queued").map(|attempt| attempt.queued_at).min();
    Some(Queued { pool: pool.clone(), since: waiting.unwrap_or(view.accepted_at), id: view.id })
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
