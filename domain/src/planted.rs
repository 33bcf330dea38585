//! Bugs on purpose, to show that the simulation and the model would find them. Compiled only with the feature
//! `planted-bugs`, which nothing but `tests/simulation` and `tests/model` ask for; without it `planted!` is the word `false`.
//!
//! One bug at a time and per thread: a check that finds it has found that one.

#[cfg(feature = "planted-bugs")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}

#[cfg(not(feature = "planted-bugs"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

pub(crate) use planted;

#[cfg(feature = "planted-bugs")]
pub use on_purpose::{Bug, is, plant};

#[cfg(feature = "planted-bugs")]
mod on_purpose {
    use std::cell::Cell;

    /// What is wrong on purpose, in the words of the rule that is missing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Bug {
        /// A permit is given as often as it is asked for (I6).
        PermitAgain,
        /// An older attempt may begin (I7).
        StaleBegin,
        /// Somebody without the permit may start the side effects (I6).
        AnybodyStarts,
        /// Side effects start after a cancel was accepted (I11).
        StartsAfterCancel,
        /// What follows a finished job is started after a cancel was accepted (I11).
        GoesOnAfterCancel,
        /// Jobs go out before the run holds its locks (I1).
        QueuedWithoutLocks,
        /// Another plan than the one that was looked at can be approved (I5).
        ApprovesAnyPlan,
        /// An approval is taken after it has expired.
        ApprovesLate,
        /// An approval that was refused can still be given (I3).
        ApprovesRefused,
        /// What runs can be settled by a person as if it were unknown (I3).
        ResolvesAnything,
        /// A cancel leaves what is queued as it is (I10).
        CancelKeepsQueued,
        /// An approval never expires (I10).
        NeverExpires,
        /// A report of an older attempt counts (I7).
        StaleReport,
        /// A report of somebody without the permit counts (I7).
        AnybodyReports,
        /// A report counts after the job is over (I3).
        ReportAfterEnd,
        /// A second answer to which commit it is replaces the first (I5).
        CommitRebound,
        /// An unclear outcome is called failed, and the lock goes on (I4).
        UnclearIsFailed,
        /// A worker lost in its side effects is replaced by another (I4).
        LostEffectsRetried,
        /// An unknown run gives its locks back (I1, I4).
        UnknownReleasesLock,
        /// A worker that had the word to start and says that it did nothing is believed (I4).
        NotStartedBelieved,
        /// A success is believed whatever it brings (I8).
        AnySuccessBelieved,
        /// A tool that was killed in its side effects counts as stopped cleanly (I4).
        KilledIsClean,
        /// A job that loses its workers is tried for ever (I10).
        NoRetryLimit,
        /// A run ends while an outcome is unknown (I3).
        EndsWithUnknown,
        /// Orders are published once and never again (I10).
        OrdersNotRepeated,
        /// Locks are asked for once and never again (I10).
        LocksNotRepeated,
        /// A lock is taken from its holder (I1).
        StealsLock,
        /// A set of locks is taken in part (I10: two runs wait for one another).
        TakesPart,
        /// Who gives a lock back that another holds frees it (I1).
        FreesOthersLock,
        /// An order waits for the first of its needs only (O1).
        OneNeedIsEnough,
        /// Whether a failure stops a dependent is asked of the order that failed, not of the dependent (O2).
        AsksTheFailedOne,
        /// A failure closes what needs the order, and not what needs that (O2).
        ClosesOneLevel,
        /// An optional order waits for the success of what it needs (O3).
        OptionalWaitsForSuccess,
        /// A run has more orders out than it may (O4).
        MoreThanMayBeOut,
        /// An order that was lost gives its place away, though it may still run (O4).
        LostGivesItsPlace,
        /// An order whose worker cannot say what was done is tried again (O5).
        TriesUnclearAgain,
        /// A result that comes after the watchdog counts (O6).
        BelievedAfterWatchdog,
        /// The watchdog does not look at orders that were lost (I10).
        WatchdogSkipsLost,
        /// The end of a run's time leaves what is queued as it is (O7).
        TimeLimitKeepsQueued,
        /// The end of a run's time stops nothing and keeps nothing from starting (O7).
        TimeLimitStopsNobody,
        /// An order that need not succeed decides how its run ends (O8).
        OptionalDecides,
        /// Places that a run did not use stay granted to it (I10).
        GrantsNeverGivenUp,
        /// A sync goes out, and starts its side effects, before it holds its lock (I1).
        SyncsWithoutLock,
        /// The lock of a sync that is over is kept until its run is over (S1).
        SyncLockKept,
        /// A sync whose outcome is unknown gives its lock back (I1, I4).
        UnknownSyncReturnsLock,
        /// A sync that runs is left to a newer run (S2).
        SupersedesRunning,
        /// A sync that others of its run wait for is left to a newer run (S2).
        SupersedesNeeded,
        /// Who came earlier counts as newer too: two runs leave a service to one another (S3).
        EarlierIsNewer,
        /// A sync is left to a newer run's that waits for another of its run, and is skipped if that one fails (S3).
        LeavesToWhoMaySkip,
        /// A sync that was put off is not tried again (I10).
        PutOffForgotten,
        /// A sync is put off as often as its worker likes (I10).
        PutOffForEver,
        /// What a run told before is told again over what a later one told (S4).
        NoteGoesBack,
    }

    impl Bug {
        /// All of them.
        pub const ALL: [Self; 52] = [
            Self::PermitAgain,
            Self::StaleBegin,
            Self::AnybodyStarts,
            Self::StartsAfterCancel,
            Self::GoesOnAfterCancel,
            Self::QueuedWithoutLocks,
            Self::ApprovesAnyPlan,
            Self::ApprovesLate,
            Self::ApprovesRefused,
            Self::ResolvesAnything,
            Self::CancelKeepsQueued,
            Self::NeverExpires,
            Self::StaleReport,
            Self::AnybodyReports,
            Self::ReportAfterEnd,
            Self::CommitRebound,
            Self::UnclearIsFailed,
            Self::LostEffectsRetried,
            Self::UnknownReleasesLock,
            Self::NotStartedBelieved,
            Self::AnySuccessBelieved,
            Self::KilledIsClean,
            Self::NoRetryLimit,
            Self::EndsWithUnknown,
            Self::OrdersNotRepeated,
            Self::LocksNotRepeated,
            Self::StealsLock,
            Self::TakesPart,
            Self::FreesOthersLock,
            Self::OneNeedIsEnough,
            Self::AsksTheFailedOne,
            Self::ClosesOneLevel,
            Self::OptionalWaitsForSuccess,
            Self::MoreThanMayBeOut,
            Self::LostGivesItsPlace,
            Self::TriesUnclearAgain,
            Self::BelievedAfterWatchdog,
            Self::WatchdogSkipsLost,
            Self::TimeLimitKeepsQueued,
            Self::TimeLimitStopsNobody,
            Self::OptionalDecides,
            Self::GrantsNeverGivenUp,
            Self::SyncsWithoutLock,
            Self::SyncLockKept,
            Self::UnknownSyncReturnsLock,
            Self::SupersedesRunning,
            Self::SupersedesNeeded,
            Self::EarlierIsNewer,
            Self::LeavesToWhoMaySkip,
            Self::PutOffForgotten,
            Self::PutOffForEver,
            Self::NoteGoesBack,
        ];

        /// Whether only a run of orders or of syncs shows it.
        pub fn is_of_many(self) -> bool {
            self >= Self::OneNeedIsEnough
        }
    }

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in this thread, or takes it out.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted in this thread.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
