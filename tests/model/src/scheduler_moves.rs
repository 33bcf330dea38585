//! When a scheduler begins a turn, and what else can happen to it.

use crate::{
    book::{Decision, LockOp},
    state::{Order, Origin, Phase, State, Step, Task},
    words::{Due, Id, In, Msg, No, RunIx, Work, WorkerIx},
    world::{Action, World},
};
use domain::run::{JobState, LockState};

/// What a scheduler does, or suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerMove {
    /// Takes a message from the INBOX.
    Takes(Msg),
    /// Takes a worker's question.
    Hears(WorkerIx),
    /// Takes a worker's question that the other one works on already.
    HearsToo(WorkerIx),
    /// Tells a run that it has its locks.
    Wakes(RunIx),
    /// Says that an attempt has lost its worker.
    Judges(Id),
    /// Looks at an open run.
    Sweeps(RunIx),
    /// Finds a lock that lies free.
    SweepsLocks(RunIx),
    /// Makes the next step of its turn.
    GoesOn,
    /// As `GoesOn`, and the store's answer is lost.
    LosesAnswer,
    /// As `GoesOn`, and the acknowledgement is lost.
    LosesAck,
    Dies,
}

impl World {
    pub(crate) fn scheduler_moves(&self, state: &State, s: usize, actions: &mut Vec<Action>) {
        use SchedulerMove::{Dies, GoesOn, LosesAck, LosesAnswer};
        let mut add = |what| actions.push(Action::Scheduler(s, what));
        let scheduler = &state.schedulers[s];
        let Some(task) = &scheduler.task else {
            if scheduler.wakes != 0 && state.left.crashes > 0 {
                add(Dies);
            }
            return self.idle_moves(state, s, actions);
        };
        add(GoesOn);
        if state.left.ambiguous > 0 && Self::can_lose(&task.step) {
            add(LosesAnswer);
        }
        if state.left.duplicates > 0 && matches!(task.step, Step::Answer(_)) && task.origin == Origin::Inbox {
            add(LosesAck);
        }
        if state.left.crashes > 0 {
            add(Dies);
        }
    }

    fn idle_moves(&self, state: &State, s: usize, actions: &mut Vec<Action>) {
        let mut add = |what| actions.push(Action::Scheduler(s, what));
        let mut before = None;
        for message in &state.inbox {
            if before != Some(message) {
                add(SchedulerMove::Takes(*message));
            }
            before = Some(message);
        }
        for w in 0..self.settings.workers {
            if self.question(state, w).is_some() {
                let busy = state.schedulers.iter().any(|s| s.task.as_ref().is_some_and(|task| asks(task, w)));
                if !busy {
                    add(SchedulerMove::Hears(w));
                } else if state.left.duplicates > 0 {
                    add(SchedulerMove::HearsToo(w));
                }
            }
        }
        for run in 0..self.runs() {
            if state.schedulers[s].wakes & (1 << run) != 0 {
                add(SchedulerMove::Wakes(run));
            }
            if let Some(id) = self.lost_attempt(state, run) {
                add(SchedulerMove::Judges(id));
            }
            if self.may_sweep(state, run) && self.sweep_finds(state, run) {
                add(SchedulerMove::Sweeps(run));
            }
        }
        for run in state.locks.forgotten.iter().copied() {
            if self.may_sweep(state, run) {
                add(SchedulerMove::SweepsLocks(run));
            }
        }
    }

    /// What a worker asks, when it may be asked.
    fn question(&self, state: &State, w: WorkerIx) -> Option<(RunIx, In)> {
        let worker = &state.workers[usize::from(w)];
        if !worker.is_up() {
            return None;
        }
        match worker.phase {
            Phase::Asking { id, nonce } => Some((id.run, In::Begin { id, worker: w, nonce })),
            // The last word also looks at the lock records: without them there is no yes, but there is a no.
            Phase::Preparing { id, nonce, work: Work::Apply { .. } } => {
                let start = In::Start { id, worker: w, nonce };
                (Self::holds_locks(state, id.run) || !self.would_start(state, id.run, start)).then_some((id.run, start))
            }
            Phase::Preparing { .. } | Phase::Idle | Phase::Applying { .. } | Phase::TakenUp { .. } => None,
            Phase::Reporting { .. } | Phase::Down(_) => None,
        }
    }

    fn would_start(&self, state: &State, run: RunIx, start: In) -> bool {
        let decision = self.book.decide(&self.settings, state.runs[usize::from(run)].run, run, (start, state.late));
        match &*decision {
            Decision::Yes { .. } | Decision::No(No::AlreadySo) => true,
            Decision::No(No::AlreadyPermitted | No::Straggler | No::Cancelling | No::Over | No::Other) => false,
        }
    }

    pub(crate) fn holds_locks(state: &State, run: RunIx) -> bool {
        state.locks.holders & (1 << run) != 0
    }

    /// An attempt whose worker is down, silent, or up and without it.
    fn lost_attempt(&self, state: &State, run: RunIx) -> Option<Id> {
        let facts = state.facts(run)?;
        let job = facts.jobs.iter().position(|job| job.state == JobState::Running)?;
        let id = Id { run, job: job as u8, attempt: facts.jobs[job].attempt };
        let worker = state.workers.get(usize::from(facts.jobs[job].worker?))?;
        let told = |what| matches!(what, In::Report { id: about, .. } if about == id);
        let on_its_way = state.inbox.iter().any(|message| told(message.what))
            || state.schedulers.iter().any(|s| s.task.as_ref().is_some_and(|task| told(task.cause)));
        let unlisted = worker.has() != Some(id) && (self.settings.hasty || !on_its_way);
        (!worker.is_up() || unlisted).then_some(id)
    }

    fn may_sweep(&self, state: &State, run: RunIx) -> bool {
        let busy = |s: &crate::state::Scheduler| {
            s.wakes & (1 << run) != 0 || s.task.as_ref().is_some_and(|task| task.run == run || grants(task, run))
        };
        self.settings.hasty || !state.schedulers.iter().any(busy)
    }

    /// Whether doing again what is due would change anything.
    fn sweep_finds(&self, state: &State, run: RunIx) -> bool {
        let Some(no) = state.runs[usize::from(run)].run else { return false };
        let tick = self.book.decide(&self.settings, Some(no), run, (In::Tick, state.late));
        if matches!(&*tick, Decision::Yes { .. }) {
            return true;
        }
        let facts = &no.facts;
        facts.outstanding.iter().any(|due| match due {
            Due::Want => {
                let outcome = self.book.lock(&self.settings, state.locks, LockOp::Want, run);
                outcome.table != state.locks || (outcome.granted && facts.lock == LockState::Wanted)
            }
            Due::Release => self.book.lock(&self.settings, state.locks, LockOp::Release, run).table != state.locks,
            Due::Publish(id) => !state.orders.iter().any(|order| order.id == *id),
            Due::Stop { id, worker, force } => {
                let worker = &state.workers[usize::from(*worker)];
                worker.is_up() && worker.has() == Some(*id) && worker.stop < Some(*force)
            }
            Due::Grant(_) => false,
        })
    }

    pub(crate) fn scheduler_moves_on(&self, state: &mut State, s: usize, what: SchedulerMove) {
        match what {
            SchedulerMove::Takes(message) => {
                let at = state.inbox.iter().position(|m| *m == message).expect("the message was there when it was offered");
                state.inbox.remove(at);
                self.begin_turn(state, s, (Origin::Inbox, message.run, message.what));
            }
            SchedulerMove::Hears(w) | SchedulerMove::HearsToo(w) => {
                state.left.duplicates -= u8::from(matches!(what, SchedulerMove::HearsToo(_)));
                let Some((run, asked)) = self.question(state, w) else { return };
                let (In::Begin { nonce, .. } | In::Start { nonce, .. }) = asked else { return };
                self.begin_turn(state, s, (Origin::Ask { worker: w, nonce }, run, asked));
            }
            SchedulerMove::Wakes(run) => {
                state.schedulers[s].wakes &= !(1 << run);
                self.begin_turn(state, s, (Origin::Own, run, In::Granted));
            }
            SchedulerMove::Judges(id) => self.begin_turn(state, s, (Origin::Own, id.run, In::Lost { id })),
            SchedulerMove::Sweeps(run) => self.begin_turn(state, s, (Origin::Own, run, In::Tick)),
            SchedulerMove::SweepsLocks(run) => {
                let step = Step::Perform { slot: state.runs[usize::from(run)], due: vec![Due::Grant(run)], granted: false };
                let outcome = crate::state::Outcome::Decided;
                state.schedulers[s].task = Some(Task { run, origin: Origin::Own, cause: In::Again, what: In::Again, outcome, step });
            }
            SchedulerMove::GoesOn => self.step(state, s, false),
            SchedulerMove::LosesAnswer => {
                state.left.ambiguous -= 1;
                self.step(state, s, true);
            }
            SchedulerMove::LosesAck => {
                state.left.duplicates -= 1;
                let message = state.schedulers[s].task.as_ref().map(Task::message);
                state.inbox.extend(message);
                self.step(state, s, false);
            }
            SchedulerMove::Dies => {
                state.left.crashes -= 1;
                Self::crash_scheduler(state, s);
            }
        }
    }
}

fn asks(task: &Task, w: WorkerIx) -> bool {
    matches!(task.origin, Origin::Ask { worker, .. } if worker == w)
}

/// Whether a turn is about to give a lock to this run.
fn grants(task: &Task, run: RunIx) -> bool {
    match &task.step {
        Step::Perform { due, .. } => due.contains(&Due::Grant(run)) || due.contains(&Due::Release),
        Step::Commit(_) | Step::ReadBack(_) | Step::Answer(_) => false,
    }
}

impl Order {
    pub(crate) fn is_free(self) -> bool {
        self.taken.is_none()
    }
}
