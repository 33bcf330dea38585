//! A worker, as `worker/src/slot.rs`, `attempt/begin.rs` and `attempt/recover.rs` do it: one attempt at a time, from its
//! order to its delivered report; what its disk tells after a death.

use crate::{
    book::Book,
    state::{Disk, Origin, Phase, State, Worker},
    words::{Id, In, Msg, Told, Work, WorkerIx},
    world::{Action, World},
};

/// What a worker does, or suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMove {
    /// Takes an order.
    Pulls(Id),
    /// Nobody answers in time: the order goes back.
    GivesBack,
    /// The attempt is over for it; the report is written down.
    Ends(Told),
    /// The report reaches the INBOX.
    Delivers,
    /// It dies; this is left.
    Dies(Disk),
    /// A dead worker's tool ends, and its runner writes down how; or nobody does.
    ToolEnds(Told),
    ToolVanishes,
    Starts,
    /// It is cut off for longer than a lease, and comes back.
    FallsSilent,
    ComesBack,
    /// It asks for the last word of an attempt that another has the permit for.
    Usurps(Id),
}

impl World {
    pub(crate) fn worker_moves(&self, state: &State, w: usize, actions: &mut Vec<Action>) {
        let mut add = |what| actions.push(Action::Worker(w, what));
        let worker = &state.workers[w];
        if worker.silent {
            add(WorkerMove::ComesBack);
        }
        match worker.phase {
            Phase::Idle if worker.is_up() && (w == 0 || !self.is_untouched(state)) => {
                state.orders.iter().filter(|order| order.is_free()).for_each(|order| add(WorkerMove::Pulls(order.id)));
                if let Some(id) = Self::running_apply(state, w).filter(|_| state.left.lies > 0) {
                    add(WorkerMove::Usurps(id));
                }
            }
            Phase::Asking { id, .. } if state.left.duplicates > 0 && being_answered(state, w, id) => add(WorkerMove::GivesBack),
            Phase::Idle | Phase::Asking { .. } => {}
            Phase::Preparing { .. } | Phase::Applying { .. } | Phase::TakenUp { .. } => self.endings(worker).for_each(add),
            Phase::Reporting { .. } if worker.is_up() => add(WorkerMove::Delivers),
            Phase::Reporting { .. } => {}
            Phase::Down(disk) => {
                if let Disk::Tool { .. } = disk {
                    tool_endings(self.settings.fails).for_each(|told| add(WorkerMove::ToolEnds(told)));
                    add(WorkerMove::ToolVanishes);
                }
                add(WorkerMove::Starts);
            }
        }
        if state.left.crashes > 0 && worker.is_up() && worker.phase != Phase::Idle {
            actions.extend(deaths(worker.phase).into_iter().map(|disk| Action::Worker(w, WorkerMove::Dies(disk))));
            if self.settings.pauses {
                actions.push(Action::Worker(w, WorkerMove::FallsSilent));
            }
        }
    }

    /// Nobody has begun anything: it does not matter which worker is the first.
    fn is_untouched(&self, state: &State) -> bool {
        let named = |run| state.facts(run).is_some_and(|facts| facts.jobs.iter().any(|job| job.attempt > 1 || job.worker.is_some()));
        state.workers.iter().all(|worker| *worker == Worker::FRESH)
            && !(0..self.runs()).any(named)
            && state.left.crashes == self.settings.crashes
            && state.left.duplicates == self.settings.duplicates
    }

    /// How an attempt can end on a live worker.
    fn endings(&self, worker: &Worker) -> impl Iterator<Item = WorkerMove> + use<> {
        let mut told = Vec::new();
        match worker.phase {
            Phase::Preparing { id, work: Work::Plan { commit }, .. } => {
                told.push(Told::Planned { plan: id.attempt, commit: commit.unwrap_or(id.attempt) });
                told.extend(worker.stop.map(|_| Told::Stopped { clean: true }));
                told.extend(self.settings.fails.then_some(Told::Failed));
            }
            Phase::Preparing { work: Work::Apply { .. }, .. } => {
                told.extend(worker.stop.map(|_| Told::NotStarted));
            }
            Phase::Applying { .. } | Phase::TakenUp { .. } => {
                told.extend(tool_endings(self.settings.fails));
                told.extend(worker.stop.map(|force| Told::Stopped { clean: !force }));
            }
            Phase::Idle | Phase::Asking { .. } | Phase::Reporting { .. } | Phase::Down(_) => {}
        }
        told.into_iter().map(WorkerMove::Ends)
    }

    /// An apply that somebody else has the permit for and has not started.
    fn running_apply(state: &State, w: usize) -> Option<Id> {
        let other = state.workers.iter().enumerate().find(|(other, _)| *other != w)?.1;
        match other.phase {
            Phase::Preparing { id, work: Work::Apply { .. }, .. } => Some(id),
            Phase::Preparing { .. } | Phase::Idle | Phase::Asking { .. } | Phase::Applying { .. } => None,
            Phase::TakenUp { .. } | Phase::Reporting { .. } | Phase::Down(_) => None,
        }
    }

    pub(crate) fn worker_moves_on(state: &mut State, w: usize, what: WorkerMove) {
        let ix = w as WorkerIx;
        match what {
            WorkerMove::Pulls(id) => {
                let nonce = Self::fresh_nonce(state, id, ix);
                state.orders.iter_mut().filter(|order| order.id == id).for_each(|order| order.taken = Some(ix));
                state.workers[w].phase = Phase::Asking { id, nonce };
            }
            WorkerMove::GivesBack => {
                state.left.duplicates -= 1;
                give_back(state, ix);
                state.workers[w].phase = Phase::Idle;
            }
            WorkerMove::Ends(told) => {
                let Some(id) = state.workers[w].has() else { return };
                state.workers[w].phase = Phase::Reporting { id, told };
                state.workers[w].stop = None;
            }
            WorkerMove::Delivers => {
                let Phase::Reporting { id, told } = state.workers[w].phase else { return };
                state.inbox.push(Msg { run: id.run, what: In::Report { id, worker: ix, told } });
                state.workers[w].phase = Phase::Idle;
            }
            WorkerMove::Dies(disk) => {
                state.left.crashes -= 1;
                give_back(state, ix);
                state.workers[w] = Worker { phase: Phase::Down(disk), ..Worker::FRESH };
            }
            WorkerMove::ToolEnds(told) => {
                let Some(id) = state.workers[w].changing() else { return };
                state.workers[w].phase = Phase::Down(Disk::Report { id, told });
            }
            WorkerMove::ToolVanishes => {
                let Some(id) = state.workers[w].changing() else { return };
                state.workers[w].phase = Phase::Down(Disk::Folder { id });
            }
            WorkerMove::Starts => state.workers[w].phase = after_start(state.workers[w].phase),
            WorkerMove::FallsSilent => {
                state.left.crashes -= 1;
                state.workers[w].silent = true;
                // Longer than any answer is good for: what was asked before is answered to nobody.
                for task in state.schedulers.iter_mut().filter_map(|s| s.task.as_mut()) {
                    if matches!(task.origin, Origin::Ask { worker, .. } if worker == ix) {
                        task.origin = Origin::Own;
                    }
                }
            }
            WorkerMove::ComesBack => state.workers[w].silent = false,
            WorkerMove::Usurps(id) => {
                state.left.lies -= 1;
                let Some(run) = state.runs[usize::from(id.run)].run else { return };
                let Some(work) = Book::work(run, id) else { return };
                state.workers[w].phase = Phase::Preparing { id, nonce: Self::fresh_nonce(state, id, ix), work };
            }
        }
    }

    /// A nonce that nobody knows of this attempt: names are only compared, so the smallest will do.
    fn fresh_nonce(state: &State, id: Id, w: WorkerIx) -> u8 {
        let stored = state.facts(id.run).and_then(|facts| {
            let job = facts.jobs[usize::from(id.job)];
            (job.attempt == id.attempt && job.worker == Some(w)).then_some(job.nonce).flatten()
        });
        let asked = state.schedulers.iter().filter_map(|s| match s.task.as_ref()?.origin {
            Origin::Ask { worker, nonce } if worker == w => Some(nonce),
            Origin::Ask { .. } | Origin::Inbox | Origin::Own => None,
        });
        let known: Vec<u8> = asked.chain(stored).collect();
        (0..=u8::MAX).find(|nonce| !known.contains(nonce)).unwrap_or_default()
    }
}

fn tool_endings(fails: bool) -> impl Iterator<Item = Told> {
    [Some(Told::Applied), fails.then_some(Told::Failed)].into_iter().flatten()
}

fn being_answered(state: &State, w: usize, asked: Id) -> bool {
    state.schedulers.iter().filter_map(|s| s.task.as_ref()).any(|task| {
        matches!(task.origin, Origin::Ask { worker, .. } if usize::from(worker) == w)
            && matches!(task.cause, In::Begin { id, .. } if id == asked)
    })
}

/// An order that was not acknowledged comes back.
fn give_back(state: &mut State, w: WorkerIx) {
    state.orders.iter_mut().filter(|order| order.taken == Some(w)).for_each(|order| order.taken = None);
}

/// What a death can leave on the disk.
fn deaths(phase: Phase) -> Vec<Disk> {
    match phase {
        Phase::Idle | Phase::Down(_) => Vec::new(),
        Phase::Asking { .. } => vec![Disk::Nothing],
        Phase::Preparing { id, .. } => vec![Disk::Nothing, Disk::Folder { id }],
        // The runner outlives the worker, or the machine dies with all that is on it.
        Phase::Applying { id } | Phase::TakenUp { id } => vec![Disk::Tool { id }],
        // A report that was not written down in time: the exit record tells the same of an apply, nothing does of a plan.
        Phase::Reporting { id, told: told @ Told::Planned { .. } } => vec![Disk::Report { id, told }, Disk::Folder { id }],
        Phase::Reporting { id, told } => vec![Disk::Report { id, told }],
    }
}

/// What a worker does with what it finds of its former life.
fn after_start(phase: Phase) -> Phase {
    match phase {
        Phase::Down(Disk::Nothing) => Phase::Idle,
        Phase::Down(Disk::Folder { id }) => Phase::Reporting { id, told: Told::Unclear },
        Phase::Down(Disk::Tool { id }) => Phase::TakenUp { id },
        Phase::Down(Disk::Report { id, told }) => Phase::Reporting { id, told },
        up @ (Phase::Idle | Phase::Asking { .. } | Phase::Preparing { .. } | Phase::Applying { .. }) => up,
        up @ (Phase::TakenUp { .. } | Phase::Reporting { .. }) => up,
    }
}
