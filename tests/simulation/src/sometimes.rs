//! "Sometimes": the hard cases that a good simulation meets. A count of 0 says that the world was too gentle.

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// A hard case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Case { $($(#[$doc])* $name,)* }

        impl Case {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// In words.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

cases! {
    ZombieRefused => "report of a zombie refused (an older attempt, or not its worker)",
    StaleBegin => "an older attempt refused to begin",
    PermitRefused => "a second permit refused",
    PermitTooLate => "a permit came too late and was not used",
    LastWordRefused => "the last word before side effects refused",
    AmbiguousApplied => "a commit without an answer that had been applied",
    AmbiguousLost => "a commit without an answer that had not",
    RaceLost => "a commit lost to another scheduler",
    StaleCaught => "a refusal taken back because memory was old",
    LockRaceLost => "a write to lock records lost to another scheduler",
    Redelivered => "a message that came again after its decision",
    DuplicateTrigger => "a trigger that was sent twice",
    CancelLost => "a cancel lost to completion",
    CancelWon => "a cancel that stopped what ran",
    KilledUnknown => "killed by force in its side effects: unknown",
    UnknownReached => "a worker lost in its side effects: unknown",
    LateResult => "a late result after unknown",
    SettledByPerson => "an unknown outcome settled by a person",
    LateAfterSettled => "a late result after a person had settled it, refused",
    LockHandedOver => "a lock handed to the next in line",
    LockSetTaken => "a set of two locks taken at once",
    ApprovalExpired => "an approval that expired",
    ApprovedLate => "an approval that came after its expiry, refused",
    SecondApprover => "a second approver told that it is so already",
    OtherPlan => "an approval of another plan refused",
    RetriesExhausted => "a job given up after its third start",
    Republished => "an order published again because it had gone",
    ToldApplied => "a restarted worker found that its tool had finished",
    AheadOfLog => "a report looked at again because the log that was read was old",
    FoundInInbox => "the end of an attempt found in the inbox before it was called lost",
    LieTold => "a lie of a worker",
    OrderLostBefore => "an order lost before the word to start its commands: tried again",
    OrderLostAfter => "an order lost after the word to start its commands: not tried again",
    OrderTimedOut => "an order stopped at its time limit",
    WatchdogFired => "an order ended by the watchdog",
    LateAfterWatchdog => "a result after the watchdog, refused",
    LateOrderResult => "a late result of a lost order, before the watchdog",
    TimeLimitReached => "the time of a whole run of orders over",
    OptionalFailed => "an optional order that failed and that others need",
    DeepCascade => "a failure that closed three levels of orders or more",
    OptionalAfterFailure => "an optional order that went out after a need of it had failed",
    PlaceHandedOn => "places handed from one run of orders to another",
    MostOut => "a run of orders with as many out as it may",
    ResultDuringTurn => "a result that came while another turn of its run was being made",
    KilledBeforePublish => "a scheduler killed between the decision that orders go out and their publishing",
    SupersededInLine => "a sync left to a newer run while it stood in line",
    SupersededQueued => "a sync left to a newer run while its order was out",
    PutOff => "a sync put off, because what it deploys to is to be left alone",
    PutOffTooOften => "a sync that was put off as often as it may be: failed",
    PutOffSuperseded => "a sync that was put off, and left to a newer run",
    SyncLockHandedOn => "a service's lock handed on while the run that had it goes on",
    NoteRaceLost => "a write to a service's state lost to another scheduler",
    UnknownWhileOthersGo => "a sync that is unknown and holds its lock while others of its run go on",
    SyncsInCircle => "services to be synced after one another in a circle: refused",
    ServiceTwice => "a selection that names a service twice: refused",
    ReleaseFirst => "a release made before the services are synced",
    ClockJumped => "a decision on a clock that had jumped",
}

/// How often each case was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(Vec<u64>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; Case::ALL.len()])
    }
}

impl Counts {
    /// Met once more.
    pub fn met(&mut self, case: Case) {
        self.0[case as usize] += 1;
    }

    /// How often.
    pub fn of(&self, case: Case) -> u64 {
        self.0[case as usize]
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// The cases that were never met.
    pub fn missing(&self) -> Vec<Case> {
        Case::ALL.iter().copied().filter(|case| self.of(*case) == 0).collect()
    }
}
