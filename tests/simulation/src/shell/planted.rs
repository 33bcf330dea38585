//! Bugs on purpose in the shell and in the workers, beside those in `domain::planted`. One at a time and per thread.

#[cfg(feature = "planted-bugs")]
macro_rules! wrong {
    ($bug:ident) => {
        $crate::shell::planted::is($crate::shell::planted::ShellBug::$bug)
    };
}

#[cfg(not(feature = "planted-bugs"))]
macro_rules! wrong {
    ($bug:ident) => {
        false
    };
}

pub(crate) use wrong;

#[cfg(feature = "planted-bugs")]
pub use on_purpose::{ShellBug, is, plant};

#[cfg(feature = "planted-bugs")]
mod on_purpose {
    use std::cell::Cell;

    /// What is wrong on purpose around the core.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ShellBug {
        /// A message is acknowledged before its decision is stored.
        AckBeforeCommit,
        /// A commit without an answer counts as stored.
        TimeoutIsYes,
        /// Decisions are appended whatever was appended meanwhile.
        CommitUnchecked,
        /// Lock records are written whatever was written meanwhile.
        LocksUnchecked,
        /// A "no" given on old memory is an answer.
        RefusesFromMemory,
        /// Effects are performed before the decision is stored.
        EffectsFirst,
        /// Waiters are not woken, and the sweep does not look at locks.
        NobodyWakesWaiters,
        /// A worker does not ask for the last word.
        NoLastWord,
        /// A worker uses an answer however old it is.
        OldAnswerUsed,
        /// A restarted worker starts again what it had begun.
        RestartedStartsAgain,
        /// A worker applies whatever plan it finds.
        AppliesAnyPlan,
        /// A command that comes again is decided again.
        CommandAgain,
        /// A "no" is said before it is sure that the command does not come again.
        NoBeforeAck,
        /// A worker whose run has gone on is told to ask again, for ever.
        StragglerAsksOn,
        /// A worker that was restarted forgets what it had not reported.
        SpoolForgotten,
        /// Places are given after a decision only, and not asked for again by the sweep.
        PlacesOnlyAfterDecisions,
        /// What goes out is decided, and not in the entry that is stored.
        PlacesNotWritten,
        /// A run that ended elsewhere keeps the places that it had as far as this scheduler knew.
        EndedKeepPlaces,
        /// A restarted worker runs the commands of an order again.
        CommandsRunAgain,
        /// A service's lock goes on before it is kept how the service stands.
        LocksBeforeNotes,
    }

    impl ShellBug {
        /// All of them.
        pub const ALL: [Self; 20] = [
            Self::AckBeforeCommit,
            Self::TimeoutIsYes,
            Self::CommitUnchecked,
            Self::LocksUnchecked,
            Self::RefusesFromMemory,
            Self::EffectsFirst,
            Self::NobodyWakesWaiters,
            Self::NoLastWord,
            Self::OldAnswerUsed,
            Self::RestartedStartsAgain,
            Self::AppliesAnyPlan,
            Self::SpoolForgotten,
            Self::StragglerAsksOn,
            Self::CommandAgain,
            Self::NoBeforeAck,
            Self::PlacesOnlyAfterDecisions,
            Self::PlacesNotWritten,
            Self::EndedKeepPlaces,
            Self::CommandsRunAgain,
            Self::LocksBeforeNotes,
        ];
    }

    thread_local! {
        static PLANTED: Cell<Option<ShellBug>> = const { Cell::new(None) };
    }

    /// Plants a bug in this thread, or takes it out.
    pub fn plant(bug: Option<ShellBug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted in this thread.
    pub fn is(bug: ShellBug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
