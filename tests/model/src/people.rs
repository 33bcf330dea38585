//! People, time and liars. A person acts on what the store shows; the command may find something else when it is decided.

use crate::{
    state::{Origin, State, Task, Worker},
    words::{Id, In, Msg, RunIx, Told, WorkerIx},
    world::{Action, World},
};
use domain::run::{GateState, JobState};

/// The digest of a plan that nobody made.
const OTHER_PLAN: u8 = 7;

impl World {
    pub(crate) fn people_moves(&self, state: &State, actions: &mut Vec<Action>) {
        for run in 0..self.runs() {
            self.person_moves(state, run, actions);
        }
        let waits = |run| state.facts(run).is_some_and(|facts| facts.gate == Some(GateState::Waiting));
        if self.settings.expires && !state.late && (0..self.runs()).any(waits) {
            actions.push(Action::TimeJumps);
        }
        if state.left.lies > 0 {
            self.lies(state, actions);
        }
    }

    fn person_moves(&self, state: &State, run: RunIx, actions: &mut Vec<Action>) {
        let Some(facts) = state.facts(run) else { return };
        let mut add = |what| actions.push(Action::Person(Msg { run, what }));
        let bit = 1 << run;
        let people = &state.people;
        if facts.is_waiting_for_a_person() {
            let (plan, _) = facts.plan.unwrap_or_default();
            if people.answered & bit == 0 {
                add(In::Approve { plan });
            }
            if self.settings.disputed && people.disputed & bit == 0 {
                add(In::Approve { plan: OTHER_PLAN });
                add(In::Reject);
            }
        }
        if self.settings.cancels.contains(&run) && !facts.is_over() {
            if people.cancelled & bit == 0 {
                add(In::Cancel { force: false });
            } else if self.settings.forced && people.forced & bit == 0 && facts.cancelled {
                add(In::Cancel { force: true });
            }
        }
        // The evidence says what to check: whether the tool still runs. Whoever settles a run has looked, and has taken
        // longer for it than an answer is good for.
        let may_go = |task: &Task| task.run == run && matches!((task.origin, task.cause), (Origin::Ask { .. }, In::Start { .. }));
        let runs_on = state.workers.iter().filter_map(Worker::changing).any(|id| id.run == run)
            || state.schedulers.iter().filter_map(|s| s.task.as_ref()).any(may_go);
        if facts.unknown && people.resolved & bit == 0 && !runs_on {
            add(In::Resolve { succeeded: true });
            add(In::Resolve { succeeded: false });
        }
        let begun = facts.jobs.iter().any(|job| job.state == JobState::Running);
        if self.settings.disputed && begun && !facts.unknown && people.disputed & bit == 0 {
            add(In::Resolve { succeeded: false });
        }
    }

    pub(crate) fn person_speaks(state: &mut State, message: Msg) {
        let bit = 1 << message.run;
        let unknown = state.facts(message.run).is_some_and(|facts| facts.unknown);
        let people = &mut state.people;
        match message.what {
            In::Approve { plan: OTHER_PLAN } | In::Reject => people.disputed |= bit,
            In::Approve { .. } => people.answered |= bit,
            In::Cancel { force: false } => people.cancelled |= bit,
            In::Cancel { force: true } => people.forced |= bit,
            In::Resolve { .. } if unknown => people.resolved |= bit,
            In::Resolve { .. } => people.disputed |= bit,
            In::Accept | In::Again | In::Granted | In::Begin { .. } | In::Start { .. } => {}
            In::Report { .. } | In::Lost { .. } | In::Tick => {}
        }
        state.inbox.push(message);
    }

    /// What a worker that lies may send about the attempts that run: in its own name about another's, or about its own
    /// what is not so.
    fn lies(&self, state: &State, actions: &mut Vec<Action>) {
        for run in 0..self.runs() {
            let Some(facts) = state.facts(run) else { continue };
            for (job, known) in (0_u8..).zip(&facts.jobs).filter(|(_, job)| job.state == JobState::Running) {
                let id = Id { run, job, attempt: known.attempt };
                let mut add = |worker, told| actions.push(Action::Liar(Msg { run, what: In::Report { id, worker, told } }));
                let Some(owner) = known.worker else { continue };
                let stranger: WorkerIx = 1 - owner;
                add(stranger, Told::Failed);
                add(owner, Told::Empty);
                add(owner, Told::NotStarted);
                add(owner, Told::Commit(9));
                add(stranger, Told::Applied);
            }
        }
    }
}
