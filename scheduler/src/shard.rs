//! One shard in memory. Everything here is a cache or an index: losing it costs a read.

use crate::{Deps, lock_watch::LockWatch, pages, views::Pictures};
use bus::{Bus, BusError, KeyPair, Looked};
use domain::{
    dispatch::{Dispatcher, Limits},
    run::{self, Entry, Event, Input, Policy, Run},
};
use jiff::Timestamp;
use proto::{AttemptNo, JobNo, PoolName, RunId, Seat, ShardNo, codec, ids::AttemptId, lock::LockKey, sync::ServiceId};
use service::metrics::{Metrics, SchedulerMetrics};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// A shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) number: ShardNo,
    pub(crate) bus: Bus,
    pub(crate) policy: Policy,
    pub(crate) sealing: Arc<KeyPair>,
    pub(crate) metrics: SchedulerMetrics,
    pub(crate) all_metrics: Metrics,
    pub(crate) lease: Duration,
    pub(crate) sweep_every: Duration,
    /// How long RUNS keeps a message.
    pub(crate) retention: Duration,
    runs: Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<Slot>>>>,
    index: Mutex<Index>,
    wakes: mpsc::UnboundedSender<Wake>,
    pub(crate) pictures: Pictures,
    /// Lock records are changed by one turn of this process at a time: many that want one lock would only lose races.
    pub(crate) lock_desk: tokio::sync::Mutex<()>,
    pub(crate) lock_watch: LockWatch,
    /// Whose orders go out next.
    pub(crate) places: Mutex<Dispatcher>,
    /// Why the store is not as it must be, as the last sweep found it. Passing trouble is none.
    pub(crate) store_fault: Mutex<Option<String>>,
    /// How far the decisions of the shard were looked through for what other schedulers decided.
    pub(crate) looked: tokio::sync::Mutex<Looked>,
}

/// Something to feed to another run, found while working on one: done after it, never inside it, so that two runs that
/// hand locks to one another cannot wait for one another.
#[derive(Debug)]
pub(crate) struct Wake {
    pub(crate) run: RunId,
    pub(crate) input: Input,
}

pub(crate) type Wakes = mpsc::UnboundedReceiver<Wake>;

/// A run's state as far as this process knows it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) run: Option<Run>,
    /// Sequence of the last entry; 0 before the first.
    pub(crate) seq: u64,
    pub(crate) loaded: bool,
    /// Sequence that the published view shows.
    pub(crate) shown: u64,
    /// The locks in whose lines the run stands, as far as this process knows.
    pub(crate) in_line: BTreeSet<LockKey>,
    /// Locks that this process gave back for the run, and whose state it kept: of a service, `None` of the source. A run of
    /// many syncs is looked at often, and these are not done again each time.
    pub(crate) returned: BTreeSet<LockKey>,
    pub(crate) noted: BTreeSet<Option<ServiceId>>,
    /// Where in WORK the orders of queued attempts lie, as far as this process published them.
    pub(crate) orders: BTreeMap<(JobNo, AttemptNo), u64>,
    /// Commands that had their effect.
    pub(crate) causes: BTreeSet<String>,
    /// Pages of jobs that were touched since they were last shown.
    pub(crate) touched: BTreeSet<u32>,
    /// When the oldest entry of the log was written.
    pub(crate) told_at: Option<Timestamp>,
}

/// What has to be looked at regularly.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Runs that are not over.
    pub(crate) open: BTreeSet<RunId>,
    /// Attempts that run, their worker and since when this process knows.
    pub(crate) running: BTreeMap<AttemptId, RunningAttempt>,
    /// Runs with a stop signal to repeat.
    pub(crate) stopping: BTreeSet<RunId>,
    /// Runs whose view says that they go on.
    pub(crate) unfinished: BTreeSet<RunId>,
    /// Pools that runs have named since this process started.
    pub(crate) pools: BTreeSet<PoolName>,
    /// The locks that open runs hold by their logs.
    pub(crate) held: BTreeMap<RunId, Vec<LockKey>>,
    /// The same by lock.
    pub(crate) holders: BTreeMap<LockKey, RunId>,
}

impl Index {
    /// The run needs no watching any more.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.open.remove(&run);
        for key in self.held.remove(&run).unwrap_or_default() {
            if self.holders.get(&key) == Some(&run) {
                self.holders.remove(&key);
            }
        }
        self.stopping.remove(&run);
        self.running.retain(|id, _| id.run != run);
    }
}

impl Index {
    /// What a run holds may change while it goes on: a sync gives its lock back when it is over.
    fn note_held(&mut self, run: &Run) {
        let held = run.locks_held();
        if self.held.get(&run.id).map_or(held.is_empty(), |before| *before == held) {
            return;
        }
        for key in self.held.remove(&run.id).unwrap_or_default() {
            if self.holders.get(&key) == Some(&run.id) {
                self.holders.remove(&key);
            }
        }
        self.holders.extend(held.iter().map(|key| (key.clone(), run.id)));
        if !held.is_empty() {
            self.held.insert(run.id, held);
        }
    }

    /// The run is open: what it holds and where it runs.
    fn note_open(&mut self, run: &Run) {
        self.open.insert(run.id);
        let of_orders = run.orders.iter().flat_map(|orders| orders.ready.keys().chain(orders.out.keys()));
        for pool in std::iter::once(&run.pool).chain(of_orders) {
            if !self.pools.contains(pool) {
                self.pools.insert(pool.clone());
            }
        }
        if run.cancel.is_some() {
            self.stopping.insert(run.id);
        }
        self.note_held(run);
    }
}

/// An attempt that runs.
#[derive(Debug, Clone)]
pub(crate) struct RunningAttempt {
    pub(crate) seat: Seat,
    pub(crate) since: Instant,
}

impl Shard {
    pub(crate) fn open(deps: &Deps, number: ShardNo, policy: Policy, limits: Limits) -> (Self, Wakes) {
        let (wakes, receiver) = mpsc::unbounded_channel();
        let shard = Self {
            number,
            bus: deps.bus.clone(),
            policy,
            sealing: deps.sealing.clone(),
            metrics: deps.metrics.scheduler(),
            all_metrics: deps.metrics.clone(),
            lease: deps.settings.scheduler.lease.into(),
            sweep_every: deps.settings.scheduler.sweep.into(),
            retention: deps.settings.scheduler.run_retention.into(),
            runs: Mutex::default(),
            index: Mutex::new(Index { pools: BTreeSet::from([PoolName::default()]), ..Index::default() }),
            wakes,
            pictures: Pictures::default(),
            lock_desk: tokio::sync::Mutex::default(),
            lock_watch: LockWatch::default(),
            places: Mutex::new(Dispatcher::new(limits)),
            store_fault: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        };
        (shard, receiver)
    }

    /// The one place in this process where a run is worked on.
    pub(crate) fn slot(&self, run: RunId) -> Arc<tokio::sync::Mutex<Slot>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).entry(run).or_default().clone()
    }

    /// Forgets runs that are over and that nobody works on.
    pub(crate) fn evict_ended(&self) {
        let index = self.index();
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|run, slot| index.open.contains(run) || Arc::strong_count(slot) > 1);
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_store(&self, fault: Option<String>) {
        *self.store_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Why this shard cannot work, for a reason that does not pass by itself.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock_watch.trouble().or_else(|| self.store_fault.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(crate) fn wake(&self, run: RunId, input: Input) {
        // The receiver lives as long as the process; when it is gone, the sweep of the next process does the same.
        let _ = self.wakes.send(Wake { run, input });
    }

    /// Waits until nobody works on a run: every turn that has begun is committed and performed.
    pub(crate) async fn settle(&self) {
        let slots: Vec<_> = self.runs.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for slot in slots {
            drop(slot.lock().await);
        }
    }

    /// Keeps the index in step with what was just committed.
    pub(crate) fn note(&self, run: &Run, events: &[Event]) {
        let mut index = self.index();
        if run.is_over() {
            index.forget(run.id);
            return;
        }
        index.note_open(run);
        for event in events {
            match event {
                Event::Permitted { job, attempt, worker, .. } => {
                    let id = AttemptId { run: run.id, job: *job, attempt: *attempt };
                    let seat = Seat { pool: run.pool_of(*job).clone(), worker: worker.clone() };
                    index.running.insert(id, RunningAttempt { seat, since: Instant::now() });
                }
                Event::AttemptEnded { job, attempt, .. } => {
                    index.running.remove(&AttemptId { run: run.id, job: *job, attempt: *attempt });
                }
                Event::Accepted { .. }
                | Event::LocksGranted
                | Event::JobLocked { .. }
                | Event::SyncPlanned { .. }
                | Event::ReleaseMade { .. }
                | Event::ServiceSynced { .. }
                | Event::JobSuperseded { .. }
                | Event::JobPostponed { .. }
                | Event::JobQueued { .. }
                | Event::ApprovalOpened { .. }
                | Event::ApprovalGiven { .. }
                | Event::ApprovalRefused { .. }
                | Event::ApprovalExpired { .. }
                | Event::EffectsStarted { .. }
                | Event::PhaseEntered { .. }
                | Event::CommitPinned { .. }
                | Event::JobSucceeded { .. }
                | Event::JobFailed { .. }
                | Event::JobCancelled { .. }
                | Event::JobSkipped { .. }
                | Event::JobTimedOut { .. }
                | Event::OrdersSkipped { .. }
                | Event::OrdersCancelled { .. }
                | Event::TimeLimitReached
                | Event::OrderTold { .. }
                | Event::JobUnknown { .. }
                | Event::CancelRequested { .. }
                | Event::Resolved { .. }
                | Event::RunEnded { .. } => {}
            }
        }
    }

    /// Puts a run read from the store into the index.
    pub(crate) fn note_loaded(&self, run: &Run) {
        let mut index = self.index();
        if run.is_over() {
            index.forget(run.id);
            return;
        }
        index.note_open(run);
        for (no, job) in (0_u32..).zip(&run.jobs) {
            let Some(attempt) = job.current().filter(|attempt| job.state == run::JobState::Running && attempt.ended.is_none()) else {
                continue;
            };
            let Some(worker) = attempt.worker.clone() else { continue };
            let id = AttemptId { run: run.id, job: JobNo(no), attempt: attempt.no };
            let seat = Seat { pool: run.pool_of(JobNo(no)).clone(), worker };
            index.running.entry(id).or_insert(RunningAttempt { seat, since: Instant::now() });
        }
    }
}

impl Slot {
    /// Reads the run's log if this process does not know it.
    pub(crate) async fn load(&mut self, shard: &Shard, run: RunId) -> Result<(), BusError> {
        if self.loaded {
            return Ok(());
        }
        let entries;
        (self.run, self.seq, entries) = read_run(&shard.bus, run).await?;
        let told = entries.iter().flat_map(|entry| entry.before.iter().chain(std::iter::once(entry)));
        self.told_at = entries.first().map(|entry| entry.at);
        self.causes = told.filter_map(|entry| entry.cause.clone()).collect();
        self.loaded = true;
        if let Some(run) = &self.run {
            shard.note_loaded(run);
            self.touched = pages::all(run);
        }
        Ok(())
    }

    /// Whether memory still shows the store. If not, the run is forgotten. A commit needs no such question, because it is
    /// refused when memory is old; everything else that is decided from memory does: another scheduler may have gone on.
    pub(crate) async fn is_current(&mut self, shard: &Shard, run: RunId) -> Result<bool, BusError> {
        if shard.bus.run_log().last_seq(run).await? == self.seq {
            return Ok(true);
        }
        self.forget();
        Ok(false)
    }

    /// The run as the store has it now.
    pub(crate) async fn refresh(&mut self, shard: &Shard, run: RunId) -> Result<(), BusError> {
        if !self.loaded || !self.is_current(shard, run).await? {
            self.load(shard, run).await?;
        }
        Ok(())
    }

    /// Forgets the run: what is in memory may not be what is in the store.
    pub(crate) fn forget(&mut self) {
        let orders = std::mem::take(&mut self.orders);
        *self = Self { orders, shown: self.shown, ..Self::default() };
    }
}

/// A run as its log in the store tells it, with the log's last sequence and the log itself.
pub(crate) async fn read_run(bus: &Bus, run: RunId) -> Result<(Option<Run>, u64, Vec<Entry>), BusError> {
    let stored = bus.run_log().load(run).await?;
    let mut entries = Vec::with_capacity(stored.len());
    for (seq, bytes) in &stored {
        let entry: Entry = codec::decode(bytes)
            .map_err(|source| BusError::Corrupt { what: format!("entry {seq} of the log of run {run}"), source: Some(source.into()) })?;
        entries.push(entry);
    }
    Ok((run::fold(&entries), stored.last().map_or(0, |(seq, _)| *seq), entries))
}
