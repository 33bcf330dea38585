//! The scheduler's shell, one store operation a step, as `scheduler/src/turn.rs`, `effects.rs`, `locks.rs`, `asks.rs` and
//! `inbox.rs` do it: load, decide, append with the expected sequence, perform, acknowledge.

use crate::{
    book::{Book, Decision, LockOp, LockOutcome, RunNo},
    rules::Rule,
    state::{Floating, Log, Origin, Outcome, Phase, Scheduler, State, Step, Task},
    words::{Due, Id, In, Msg, No, RunIx, Work, WorkerIx},
    world::World,
};
use std::sync::Arc;

impl World {
    /// Begins a turn: takes what set it off, loads the run, decides.
    pub(crate) fn begin_turn(&self, state: &mut State, s: usize, (origin, run, what): (Origin, RunIx, In)) {
        let task = Task { run, origin, cause: what, what, outcome: Outcome::Pending, step: Step::Answer(Log::default()) };
        let slot = self.load(state, s, run);
        self.consider(state, s, task, slot);
    }

    fn load(&self, state: &mut State, s: usize, run: RunIx) -> Log {
        let stored = state.runs[usize::from(run)];
        if !self.settings.remembers {
            return stored;
        }
        *state.schedulers[s].memory[usize::from(run)].get_or_insert(stored)
    }

    /// Decides on what the slot holds. A "no", and what is done without a decision, is checked against the store first.
    fn consider(&self, state: &mut State, s: usize, mut task: Task, mut slot: Log) {
        loop {
            let known = match (slot.run, task.what) {
                (None, In::Accept) => None,
                (Some(_), In::Accept) => Some(Outcome::Refused(No::AlreadySo)),
                (Some(_), In::Again) => Some(Outcome::Decided),
                (None, _) => Some(Outcome::NoSuchRun),
                (Some(run), what) => match &*self.decided(state, Some(run), task.run, what) {
                    Decision::Yes { .. } => None,
                    Decision::No(no) => Some(Outcome::Refused(*no)),
                },
            };
            let Some(outcome) = known else {
                task.step = Step::Commit(slot);
                break;
            };
            if state.runs[usize::from(task.run)].seq != slot.seq {
                slot = state.runs[usize::from(task.run)];
                self.remember(state, s, task.run, slot);
                continue;
            }
            task.conclude(outcome);
            let due = slot.run.map(|run| run.facts.outstanding.clone()).unwrap_or_default();
            task.step = Step::Perform { slot, due, granted: false };
            break;
        }
        self.settle(state, s, task);
    }

    fn remember(&self, state: &mut State, s: usize, run: RunIx, slot: Log) {
        if self.settings.remembers {
            state.schedulers[s].memory[usize::from(run)] = Some(slot);
        }
    }

    fn decided(&self, state: &State, base: Option<RunNo>, run: RunIx, what: In) -> Arc<Decision> {
        self.book.decide(&self.settings, base, run, (what, state.late))
    }

    /// Puts a task back, past the steps that do nothing to the store.
    fn settle(&self, state: &mut State, s: usize, mut task: Task) {
        if let Step::Perform { slot, due, granted } = &task.step
            && due.is_empty()
        {
            let slot = *slot;
            if *granted {
                // The locks were free: on at once, in the same hold of the slot.
                task.what = In::Granted;
                return self.consider(state, s, task, slot);
            }
            task.step = Step::Answer(slot);
            if task.origin == Origin::Own || (task.origin == Origin::Inbox && state.is_calm()) {
                return Self::answer(state, &task);
            }
        }
        state.schedulers[s].task = Some(task);
    }

    /// The next step of a turn. `lost`: the store does it, or will, but its answer is lost.
    pub(crate) fn step(&self, state: &mut State, s: usize, lost: bool) {
        let Some(mut task) = state.schedulers[s].task.take() else { return };
        match task.step.clone() {
            Step::Commit(slot) => self.commit(state, s, task, slot, lost),
            Step::ReadBack(base) => self.read_back(state, s, task, base),
            Step::Perform { slot, due, granted } => {
                let (first, rest) = (due[0], due[1..].to_vec());
                let (more, now_granted) = self.perform(state, s, task.run, first);
                let due = if lost { due } else { [more, rest].concat() };
                task.step = Step::Perform { slot, due, granted: granted || (now_granted && !lost) };
                self.settle(state, s, task);
            }
            Step::Answer(_) => Self::answer(state, &task),
        }
    }

    /// Whether the answer of the next step can be lost in a way that matters.
    pub(crate) fn can_lose(step: &Step) -> bool {
        match step {
            Step::Commit(_) => true,
            Step::Perform { due, .. } => matches!(due.first(), Some(Due::Want | Due::Release | Due::Grant(_))),
            Step::ReadBack(_) | Step::Answer(_) => false,
        }
    }

    fn commit(&self, state: &mut State, s: usize, mut task: Task, slot: Log, lost: bool) {
        let decision = self.decided(state, slot.run, task.run, task.what);
        let Decision::Yes { run: to, due, broken, .. } = &*decision else { return };
        if lost {
            // What expects an older place than the last is refused, whenever it arrives.
            if state.runs[usize::from(task.run)].seq == slot.seq {
                state.floating = Floating::InFlight { run: task.run, at: slot, to: *to, broken: *broken };
            }
            task.step = Step::ReadBack(slot);
            state.schedulers[s].memory[usize::from(task.run)] = None;
            state.schedulers[s].task = Some(task);
            return;
        }
        if state.runs[usize::from(task.run)].seq != slot.seq {
            // Somebody else was faster: forget, load, decide again.
            let slot = state.runs[usize::from(task.run)];
            self.remember(state, s, task.run, slot);
            return self.consider(state, s, task, slot);
        }
        let slot = Log { run: Some(*to), seq: slot.seq + 1 };
        Self::append(state, task.run, slot, *broken);
        self.remember(state, s, task.run, slot);
        task.conclude(Outcome::Decided);
        task.step = Step::Perform { slot, due: due.clone(), granted: false };
        self.settle(state, s, task);
    }

    fn append(state: &mut State, run: RunIx, to: Log, broken: crate::rules::Broken) {
        state.runs[usize::from(run)] = to;
        state.broken = state.broken.and(broken);
        // A write that expects an older place can never arrive any more.
        if let Floating::InFlight { run: other, at, .. } = state.floating
            && other == run
            && at.seq != to.seq
        {
            state.floating = Floating::None;
        }
    }

    /// The write whose answer was lost arrives after all.
    pub(crate) fn land(state: &mut State) {
        let Floating::InFlight { run, at, to, broken } = state.floating else { return };
        let awaited = |s: &Scheduler| s.task.as_ref().is_some_and(|task| matches!(task.step, Step::ReadBack(_)));
        state.floating = Floating::None;
        Self::append(state, run, Log { run: Some(to), seq: at.seq + 1 }, broken);
        if state.schedulers.iter().any(awaited) {
            state.floating = Floating::Landed;
        }
    }

    /// After a time-out nothing is assumed: the log is read, and one's own entry is known by its nonce.
    fn read_back(&self, state: &mut State, s: usize, mut task: Task, base: Log) {
        let slot = state.runs[usize::from(task.run)];
        self.remember(state, s, task.run, slot);
        if state.floating != Floating::Landed {
            return self.consider(state, s, task, slot);
        }
        state.floating = Floating::None;
        let decision = self.decided(state, base.run, task.run, task.what);
        task.conclude(Outcome::Decided);
        let due = slot.run.map(|run| Book::due_after(&self.settings, run, &decision)).unwrap_or_default();
        task.step = Step::Perform { slot, due, granted: false };
        self.settle(state, s, task);
    }

    /// Does one thing. What has to be done next because of it, and whether the turn's own run was given its locks.
    fn perform(&self, state: &mut State, s: usize, run: RunIx, due: Due) -> (Vec<Due>, bool) {
        match due {
            Due::Want => (Vec::new(), self.lock(state, LockOp::Want, run).granted),
            Due::Release => (self.lock(state, LockOp::Release, run).next.into_iter().map(Due::Grant).collect(), false),
            Due::Grant(waiter) => {
                if self.lock(state, LockOp::Want, waiter).granted {
                    state.schedulers[s].wakes |= 1 << waiter;
                }
                (Vec::new(), false)
            }
            Due::Publish(id) => {
                state.publish(id);
                (Vec::new(), false)
            }
            Due::Stop { id, worker, force } => {
                let worker = &mut state.workers[usize::from(worker)];
                if worker.is_up() && worker.has() == Some(id) {
                    worker.stop = Some(force || worker.stop == Some(true));
                }
                (Vec::new(), false)
            }
        }
    }

    fn lock(&self, state: &mut State, op: LockOp, run: RunIx) -> LockOutcome {
        let outcome = self.book.lock(&self.settings, state.locks, op, run);
        state.locks = outcome.table;
        outcome
    }

    /// The turn is over. A message is acknowledged by not coming back; a worker that still waits is answered.
    fn answer(state: &mut State, task: &Task) {
        let Origin::Ask { worker: w, nonce } = task.origin else { return };
        let Step::Answer(slot) = task.step else { return };
        let worker = &mut state.workers[usize::from(w)];
        if !worker.is_up() {
            return;
        }
        let yes = matches!(task.outcome, Outcome::Decided | Outcome::Refused(No::AlreadySo));
        match (worker.phase, task.cause) {
            (Phase::Asking { id, nonce: asked }, In::Begin { id: answered, .. }) if id == answered && asked == nonce => {
                let work = slot.run.filter(|_| yes).and_then(|run| Book::work(run, id));
                worker.phase = work.map_or(Phase::Idle, |work| Phase::Preparing { id, nonce, work });
                worker.stop = None;
                state.orders.retain(|order| order.id != id || order.taken != Some(w));
            }
            (Phase::Preparing { id, nonce: asked, work }, In::Start { id: answered, .. }) if id == answered && asked == nonce => {
                Self::last_word(state, (w, nonce), (id, work), yes);
            }
            (Phase::Idle | Phase::Asking { .. } | Phase::Preparing { .. } | Phase::Applying { .. }, _) => {}
            (Phase::TakenUp { .. } | Phase::Reporting { .. } | Phase::Down(_), _) => {}
        }
    }

    /// A yes is used at once: an old one is not used at all, and a lease lasts longer than a yes.
    fn last_word(state: &mut State, (w, nonce): (WorkerIx, u8), (id, work): (Id, Work), yes: bool) {
        if !yes {
            state.workers[usize::from(w)].phase = Phase::Reporting { id, told: crate::words::Told::NotStarted };
            return;
        }
        state.workers[usize::from(w)].phase = Phase::Applying { id };
        let Some(run) = state.runs[usize::from(id.run)].run else { return };
        let facts = &run.facts;
        let job = facts.jobs[usize::from(id.job)];
        let word = job.attempt == id.attempt && job.worker == Some(w) && job.nonce == Some(nonce) && job.effects;
        state.broken.add(Rule::OnePermit, !word);
        let Work::Apply { plan, commit } = work else { return state.broken.add(Rule::AsApproved, true) };
        let approved = facts.gate.is_none_or(|gate| gate == domain::run::GateState::Approved);
        state.broken.add(Rule::AsApproved, !approved || facts.plan != Some((plan, commit)) || facts.commit != Some(commit));
    }

    /// Killed: what was in memory is gone, and the message that was worked on comes again.
    pub(crate) fn crash_scheduler(state: &mut State, s: usize) {
        let scheduler = std::mem::take(&mut state.schedulers[s]);
        let Some(task) = scheduler.task else { return };
        if task.origin == Origin::Inbox {
            state.inbox.push(task.message());
        }
        if matches!(task.step, Step::ReadBack(_)) && state.floating == Floating::Landed {
            state.floating = Floating::None;
        }
    }
}

impl Task {
    pub(crate) fn message(&self) -> Msg {
        Msg { run: self.run, what: self.cause }
    }

    /// Who asked is told what came of the first decision, not of what followed from it.
    fn conclude(&mut self, outcome: Outcome) {
        if self.outcome == Outcome::Pending {
            self.outcome = outcome;
        }
    }
}
