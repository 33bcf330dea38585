//! A scheduler around `domain`, step by step as the crate `scheduler` does it, file by file: `turn`, `places`, `locks`,
//! `syncs`, `asks`, `inbox`, `leases`, `sweep`. What is there done over NATS is done here over [`crate::store`]; what is decided is decided
//! by the same functions. A change of the order of steps there belongs here too.

pub mod asks;
pub mod inbox;
pub mod leases;
pub mod locks;
mod places;
pub mod planted;
pub mod sweep;
mod syncs;
pub mod turn;

use crate::core::{Away, Ctx};
use domain::{
    dispatch::Dispatcher,
    run::{self, Event, Input, JobState, Run},
};
use proto::{AttemptNo, JobNo, RunId, WorkerId, ids::AttemptId, lock::LockKey, sync::ServiceId};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// A scheduler's memory. A crash takes it.
#[derive(Debug)]
pub struct Memory {
    slots: RefCell<BTreeMap<RunId, Rc<Slot>>>,
    pub index: RefCell<Index>,
    pub ears: RefCell<leases::Ears>,
    desk: Rc<Cell<bool>>,
    /// Whose orders go out next.
    places: RefCell<Dispatcher>,
    /// Turns that have decided that orders go out, and have not published them all.
    publishing: Cell<u32>,
}

/// What has to be looked at regularly.
#[derive(Debug, Default)]
pub struct Index {
    pub open: BTreeSet<RunId>,
    /// Attempts that run, their worker and since when this process knows (ms).
    pub running: BTreeMap<AttemptId, (WorkerId, u64)>,
    pub stopping: BTreeSet<RunId>,
}

impl Index {
    fn forget(&mut self, run: RunId) {
        self.open.remove(&run);
        self.stopping.remove(&run);
        self.running.retain(|id, _| id.run != run);
    }
}

/// The one place in a process where a run is worked on.
#[derive(Debug, Default)]
struct Slot {
    busy: Rc<Cell<bool>>,
    state: RefCell<State>,
}

/// A run's state as far as this process knows it.
#[derive(Debug, Default)]
pub struct State {
    pub run: Option<Run>,
    pub seq: u64,
    pub loaded: bool,
    /// The commands that the log's entries follow.
    pub causes: BTreeSet<String>,
    /// The locks in whose lines the run stands, as far as this process knows.
    pub in_line: BTreeSet<LockKey>,
    /// Locks that this process gave back for the run, and whose state it kept: of a service, `None` of the source.
    pub returned: BTreeSet<LockKey>,
    pub noted: BTreeSet<Option<ServiceId>>,
    pub orders: BTreeMap<(JobNo, AttemptNo), u64>,
}

impl State {
    fn forget(&mut self) {
        let orders = std::mem::take(&mut self.orders);
        *self = Self { orders, ..Self::default() };
    }
}

/// A slot that is held. Given back when it is dropped.
#[derive(Debug)]
pub struct HeldSlot {
    slot: Rc<Slot>,
    pub state: State,
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        self.slot.state.replace(std::mem::take(&mut self.state));
        self.slot.busy.set(false);
    }
}

/// A turn at changing lock records in this process. Given back when it is dropped.
#[derive(Debug)]
struct Desk(Rc<Cell<bool>>);

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A scheduler.
#[derive(Debug, Clone)]
pub struct Shell {
    pub ctx: Ctx,
    pub memory: Rc<Memory>,
}

impl Shell {
    pub fn new(ctx: Ctx) -> Self {
        let memory = Memory {
            slots: RefCell::default(),
            index: RefCell::default(),
            ears: RefCell::default(),
            desk: Rc::default(),
            places: RefCell::new(Dispatcher::new(ctx.core.limits)),
            publishing: Cell::default(),
        };
        Self { ctx, memory: Rc::new(memory) }
    }

    /// Starts its loops.
    pub fn start(&self) {
        self.memory.ears.borrow_mut().wake_up(self.ctx.core.now.get());
        let (sweeping, judging) = (self.clone(), self.clone());
        self.ctx.spawn(async move { sweep::repeat(&sweeping).await });
        self.ctx.spawn(async move { leases::judge(&judging).await });
    }

    /// Whether it is about to publish orders that it has decided on.
    pub fn is_publishing(&self) -> bool {
        self.memory.publishing.get() > 0
    }

    /// How many places it counts as taken.
    pub fn places_taken(&self) -> u32 {
        self.memory.places.borrow().taken()
    }

    /// Whether a turn of this run is being made.
    fn is_busy(&self, run: RunId) -> bool {
        self.memory.slots.borrow().get(&run).is_some_and(|slot| slot.busy.get())
    }

    async fn slot(&self, run: RunId) -> HeldSlot {
        let slot = self.memory.slots.borrow_mut().entry(run).or_default().clone();
        take(&self.ctx, &slot.busy).await;
        let state = slot.state.take();
        HeldSlot { slot, state }
    }

    async fn desk(&self) -> Desk {
        take(&self.ctx, &self.memory.desk).await;
        Desk(self.memory.desk.clone())
    }

    fn wake(&self, run: RunId, input: Input) {
        let shell = self.clone();
        self.ctx.spawn(async move {
            let _ = shell.turn(run, turn::Cause::Input(input)).await;
        });
    }

    /// Keeps the index in step with what was just committed.
    fn note(&self, run: &Run, events: &[Event]) {
        let mut index = self.memory.index.borrow_mut();
        if run.is_over() {
            return index.forget(run.id);
        }
        index.open.insert(run.id);
        if run.cancel.is_some() {
            index.stopping.insert(run.id);
        }
        for event in events {
            if let Event::Permitted { job, attempt, worker, .. } = event {
                let id = AttemptId { run: run.id, job: *job, attempt: *attempt };
                index.running.insert(id, (worker.clone(), self.ctx.core.now.get()));
            } else if let Event::AttemptEnded { job, attempt, .. } = event {
                index.running.remove(&AttemptId { run: run.id, job: *job, attempt: *attempt });
            }
        }
    }

    /// Puts a run read from the store into the index.
    fn note_loaded(&self, run: &Run) {
        self.note(run, &[]);
        if run.is_over() {
            return;
        }
        let mut index = self.memory.index.borrow_mut();
        for (no, job) in (0_u32..).zip(&run.jobs) {
            let running = job.current().filter(|attempt| job.state == JobState::Running && attempt.ended.is_none());
            if let Some((no_, worker)) = running.and_then(|attempt| Some((attempt.no, attempt.worker.clone()?))) {
                let id = AttemptId { run: run.id, job: JobNo(no), attempt: no_ };
                index.running.entry(id).or_insert((worker, self.ctx.core.now.get()));
            }
        }
    }

    /// Reads the run's log if this process does not know it.
    async fn load(&self, state: &mut State, run: RunId) -> Result<(), Away> {
        if state.loaded {
            return Ok(());
        }
        let log = self.ctx.read(|store, stale| store.log(run, stale)).await?;
        state.seq = log.last().map_or(0, |(seq, _)| *seq);
        state.run = run::fold(log.iter().map(|(_, entry)| &**entry));
        state.causes = log.iter().filter_map(|(_, entry)| entry.cause.clone()).collect();
        state.loaded = true;
        if let Some(run) = &state.run {
            self.note_loaded(run);
        }
        Ok(())
    }

    /// Whether memory still shows the store. If not, the run is forgotten.
    async fn is_current(&self, state: &mut State, run: RunId) -> Result<bool, Away> {
        if self.ctx.read(|store, stale| store.last_seq(run, stale)).await? == state.seq {
            return Ok(true);
        }
        state.forget();
        Ok(false)
    }

    /// The run as the store has it now.
    async fn refresh(&self, state: &mut State, run: RunId) -> Result<(), Away> {
        if !state.loaded || !self.is_current(state, run).await? {
            self.load(state, run).await?;
        }
        Ok(())
    }
}

async fn take(ctx: &Ctx, busy: &Rc<Cell<bool>>) {
    while busy.get() {
        ctx.flag(busy, false, u64::MAX).await;
    }
    busy.set(true);
}
