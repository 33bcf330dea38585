//! The model: which steps a state allows, and what each makes of it.

use crate::{
    book::Book,
    facts::Facts,
    properties,
    scheduler_moves::SchedulerMove,
    settings::Settings,
    state::{Floating, Left, Log, People, Scheduler, State, Worker},
    words::{In, Msg, RunIx},
    worker::WorkerMove,
};
use stateright::{Model, Property};

/// A configuration, and the book of what production answered so far.
#[derive(Debug)]
pub struct World {
    pub settings: Settings,
    pub book: Book,
}

/// One step of anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Scheduler(usize, SchedulerMove),
    Worker(usize, WorkerMove),
    /// A write whose answer was lost arrives, or never does.
    Lands(bool),
    /// A person sends a command.
    Person(Msg),
    /// Somebody who is not entitled sends this.
    Liar(Msg),
    /// Every deadline passes.
    TimeJumps,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self { settings, book: Book::default() }
    }

    /// How many runs there are.
    pub(crate) fn runs(&self) -> RunIx {
        self.settings.runs.len() as RunIx
    }

    /// Nothing is left to do for anybody: every run is over, every lock is free, nothing lies about.
    pub fn is_done(&self, state: &State) -> bool {
        let over = |run| state.facts(run).is_some_and(Facts::is_over);
        (0..self.runs()).all(over) && state.locks.is_free && state.inbox.is_empty() && state.orders.is_empty()
    }

    /// Whether anything can still happen.
    pub fn is_stuck(&self, state: &State) -> bool {
        // A turn can always go on, and a message can always be taken.
        if !state.inbox.is_empty() || state.schedulers.iter().any(|scheduler| scheduler.task.is_some()) {
            return false;
        }
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let settings = &self.settings;
        let inbox = (0..self.runs()).map(|run| Msg { run, what: In::Accept }).collect();
        let state = State {
            runs: [Log::default(); 2],
            locks: self.book.free_locks(settings),
            inbox,
            orders: Vec::new(),
            floating: Floating::None,
            schedulers: [Scheduler::default(), Scheduler::default()],
            workers: [Worker::FRESH; 2],
            left: Left {
                crashes: settings.crashes,
                duplicates: settings.duplicates,
                ambiguous: settings.ambiguous,
                lies: u8::from(settings.hostile),
            },
            people: People::default(),
            late: false,
            broken: crate::rules::Broken::default(),
        };
        vec![state.canonical()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (s, scheduler) in state.schedulers.iter().enumerate() {
            // Of two that know and do the same, it does not matter which goes first.
            if s == 0 || *scheduler != state.schedulers[s - 1] {
                self.scheduler_moves(state, s, actions);
            }
        }
        for w in 0..usize::from(self.settings.workers) {
            self.worker_moves(state, w, actions);
        }
        if matches!(state.floating, Floating::InFlight { .. }) {
            actions.extend([Action::Lands(true), Action::Lands(false)]);
        }
        self.people_moves(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Scheduler(s, what) => self.scheduler_moves_on(&mut state, s, what),
            Action::Worker(w, what) => Self::worker_moves_on(&mut state, w, what),
            Action::Lands(true) => Self::land(&mut state),
            Action::Lands(false) => state.floating = Floating::None,
            Action::Person(message) => Self::person_speaks(&mut state, message),
            Action::Liar(message) => {
                state.left.lies -= 1;
                state.inbox.push(message);
            }
            Action::TimeJumps => state.late = true,
        }
        let state = state.canonical();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.settings)
    }
}
