//! VIEWS: what the scheduler shows of runs, and following it. A view never replaces a newer one.

use crate::bucket::{Bucket, is_marker, value_of};
use crate::error::{BusError, Op};
use crate::link::{Link, headers};
use crate::logs::Wake;
use crate::watch::{BucketWatch, Change};
use proto::view::{JobsPage, RunView};
use proto::{RunId, subject};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Lost races for one view before giving up; each one means that somebody else wrote it.
const TRIES: usize = 20;
/// Views whose last write is remembered. More, and all are forgotten: then they are read again.
const REMEMBERED: usize = 10_000;

/// The last write of a view: its revision, and the sequence of the decision it shows.
#[derive(Debug, Clone, Copy)]
struct Last {
    revision: u64,
    seq: u64,
}

/// The views of runs.
#[derive(Debug, Clone)]
pub struct Views {
    bucket: Bucket,
    last: Arc<Mutex<HashMap<RunId, Last>>>,
}

impl Views {
    pub(crate) fn new(link: Link) -> Self {
        Self { bucket: Bucket::new(link, subject::VIEWS), last: Arc::default() }
    }

    /// Shows a view, unless a newer one is shown already, and wakes whoever watches the run.
    pub async fn put(&self, view: &RunView) -> Result<(), BusError> {
        let key = subject::view_key(view.id);
        let mut last = self.remembered(view.id);
        for _ in 0..TRIES {
            let current = match last.take() {
                Some(last) => last,
                None => self.current(view.id).await?,
            };
            if current.seq > view.seq {
                self.remember(view.id, current);
                return Ok(());
            }
            match self.bucket.put_if(&key, view, current.revision).await {
                Ok(revision) => {
                    self.remember(view.id, Last { revision, seq: view.seq });
                    return self.ring(view.id).await;
                }
                Err(BusError::Conflict { .. }) => {}
                Err(other) => {
                    self.forget(view.id);
                    return Err(other);
                }
            }
        }
        Err(BusError::Conflict { what: format!("put {key}") })
    }

    /// A view, as the leader has it.
    pub async fn get(&self, run: RunId) -> Result<Option<RunView>, BusError> {
        Ok(self.bucket.get(&subject::view_key(run)).await?.value)
    }

    /// Shows some of a run's jobs, unless newer ones are shown already. Whoever watches the run is not woken: its view comes
    /// after its pages.
    pub async fn put_jobs(&self, page: &JobsPage) -> Result<(), BusError> {
        let key = subject::jobs_page_key(page.run, page.page);
        for _ in 0..TRIES {
            let (revision, seq) = match self.bucket.get::<JobsPage>(&key).await {
                Ok(there) => (there.revision, there.value.map_or(0, |there| there.seq)),
                Err(BusError::Corrupt { .. }) => (self.revision(&key).await?, 0),
                Err(other) => return Err(other),
            };
            if seq > page.seq {
                return Ok(());
            }
            match self.bucket.put_if(&key, page, revision).await {
                Ok(_) => return Ok(()),
                Err(BusError::Conflict { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Err(BusError::Conflict { what: format!("put {key}") })
    }

    /// Some of a run's jobs, as the leader has them.
    pub async fn jobs(&self, run: RunId, page: u32) -> Result<Option<JobsPage>, BusError> {
        Ok(self.bucket.get(&subject::jobs_page_key(run, page)).await?.value)
    }

    /// Wakes whenever what the API shows of a run has changed, and after a reconnection.
    pub async fn wake(&self, run: RunId) -> Result<Wake, BusError> {
        let changed = subject::changed(run);
        let views = self.bucket.link.subscribe(Op("listen to", &changed), None).await?;
        Ok(Wake::start(None, views, self.bucket.link.clone()))
    }

    /// Every view, then every change.
    pub async fn watch(&self) -> Result<ViewWatch, BusError> {
        Ok(ViewWatch { watch: BucketWatch::start(self.bucket.clone(), "run.*").await?, seen: HashMap::new() })
    }

    async fn current(&self, run: RunId) -> Result<Last, BusError> {
        let entry = self.bucket.get::<RunView>(&subject::view_key(run)).await;
        match entry {
            Ok(entry) => Ok(Last { revision: entry.revision, seq: entry.value.map_or(0, |view| view.seq) }),
            // Derived data of an unknown shape is replaced by what is derived now.
            Err(BusError::Corrupt { .. }) => Ok(Last { revision: self.revision(&subject::view_key(run)).await?, seq: 0 }),
            Err(other) => Err(other),
        }
    }

    async fn revision(&self, key: &str) -> Result<u64, BusError> {
        let stored = self.bucket.link.last(&self.bucket.stream(), &self.bucket.subject(key)).await?;
        Ok(stored.map_or(0, |stored| stored.seq))
    }

    async fn ring(&self, run: RunId) -> Result<(), BusError> {
        let subject = subject::changed(run);
        self.bucket.link.tell(Op("ring", &subject), headers(&[]), bytes::Bytes::new()).await
    }

    fn remembered(&self, run: RunId) -> Option<Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&run).copied()
    }

    fn remember(&self, run: RunId, last: Last) {
        let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(run, last);
    }

    fn forget(&self, run: RunId) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }
}

/// What happened to the views.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all events are views, and they are moved once")]
pub enum ViewEvent {
    /// A run looks like this now.
    Put(RunView),
    /// A run's view is gone: it has aged out.
    Gone(RunId),
    /// Everything that is there has been told; comes again after a lost connection.
    CaughtUp,
}

/// The views being followed.
#[derive(Debug)]
pub struct ViewWatch {
    watch: BucketWatch,
    /// The decision each run's view showed last.
    seen: HashMap<RunId, u64>,
}

impl ViewWatch {
    /// The next event; waits for one, over reconnections. Never `None` while the process lives. Never tells an older view of
    /// a run after a newer one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<ViewEvent> {
        loop {
            match self.watch.next().await {
                Change::CaughtUp => return Some(ViewEvent::CaughtUp),
                Change::Gone(key) => {
                    if let Some(run) = run_of(&key) {
                        self.seen.remove(&run);
                        return Some(ViewEvent::Gone(run));
                    }
                }
                Change::Put(stored) if is_marker(&stored) => {}
                Change::Put(stored) => match value_of::<RunView>(&stored) {
                    Ok(Some(view)) if self.seen.get(&view.id).is_none_or(|seq| *seq <= view.seq) => {
                        self.seen.insert(view.id, view.seq);
                        return Some(ViewEvent::Put(view));
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "a view that cannot be read is not shown"),
                },
            }
        }
    }
}

fn run_of(key: &str) -> Option<RunId> {
    key.strip_prefix("run.")?.parse().ok()
}
