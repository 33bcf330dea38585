//! The configurations. All faults of all roles at once on two runs are more states than CI has time for, so the product is
//! split: each fault meets two runs, each pair that meets in one run's life meets there, and each configuration is looked at
//! to its last state.

use crate::settings::{RunSettings, Settings};

fn run(locks: &[u8], auto_approve: bool) -> RunSettings {
    RunSettings { locks: locks.to_vec(), auto_approve }
}

/// One run with an approval.
fn gated() -> Vec<RunSettings> {
    vec![run(&[0], false)]
}

/// One run without.
fn auto() -> Vec<RunSettings> {
    vec![run(&[0], true)]
}

/// What CI looks at.
pub fn all() -> Vec<Settings> {
    let mut all = two_runs();
    all.extend(one_run());
    all
}

fn two_runs() -> Vec<Settings> {
    let apart = || vec![run(&[0], false), run(&[1], true)];
    let calm = Settings::calm;
    vec![
        Settings { meets: vec!["both runs succeed", "lock handed over"], ..calm("calm", "two runs, one lock") },
        Settings { runs: apart(), meets: vec!["both runs succeed"], ..calm("calm-apart", "two runs, a lock each") },
        Settings {
            crashes: 1,
            pauses: true,
            meets: vec![
                "both runs succeed",
                "lock handed over",
                "unknown",
                "unknown settled by a late result",
                "unknown settled by a person",
                "second permit refused",
                "straggler refused",
            ],
            ..calm("crash", "two runs, one lock; one death or silence of anybody")
        },
        Settings {
            duplicates: 1,
            meets: vec!["both runs succeed", "second permit refused", "straggler refused"],
            ..calm("twice", "two runs, one lock; one thing comes twice")
        },
        Settings {
            ambiguous: 1,
            cancels: vec![0],
            meets: vec![
                "both runs succeed",
                "cancel wins",
                "completion wins over cancel",
                "ambiguous commit had applied",
                "ambiguous commit lands late",
            ],
            ..calm("lost-answer", "two runs, one lock; one write's answer is lost, one run may be cancelled")
        },
        Settings {
            runs: apart(),
            ambiguous: 1,
            cancels: vec![0],
            meets: vec!["both runs succeed", "cancel wins", "ambiguous commit had applied"],
            ..calm("lost-answer-apart", "two runs, a lock each; one write's answer is lost, one run may be cancelled")
        },
        Settings {
            runs: vec![run(&[0, 1], false), run(&[1], true)],
            ambiguous: 1,
            meets: vec!["both runs succeed", "lock handed over", "ambiguous commit had applied"],
            ..calm("sets", "a run that wants two locks, one that wants one of them; one lost answer")
        },
    ]
}

fn one_run() -> Vec<Settings> {
    let calm = Settings::calm;
    vec![
        Settings {
            runs: auto(),
            crashes: 2,
            pauses: true,
            meets: vec!["unknown", "unknown settled by a late result", "unknown settled by a person", "second permit refused"],
            ..calm("two-crashes", "one run; two deaths or silences")
        },
        Settings {
            runs: gated(),
            duplicates: 1,
            ambiguous: 1,
            cancels: vec![0],
            meets: vec!["cancel wins", "completion wins over cancel", "ambiguous commit had applied", "start refused after a cancel"],
            ..calm("no-crash", "one run; a duplicate, a lost answer, an approval and a cancel")
        },
        Settings {
            runs: auto(),
            crashes: 1,
            pauses: true,
            ambiguous: 1,
            cancels: vec![0],
            meets: vec!["unknown settled by a late result", "cancel wins", "completion wins over cancel", "ambiguous commit had applied"],
            ..calm("crash-lost-cancel", "one run; a death or silence, a lost answer, a cancel, late results")
        },
        Settings {
            runs: gated(),
            crashes: 1,
            pauses: true,
            cancels: vec![0],
            meets: vec!["unknown settled by a late result", "unknown settled by a person", "cancel wins", "completion wins over cancel"],
            ..calm("crash-cancel", "one run; a death or silence, an approval, a cancel, late results")
        },
        Settings {
            runs: auto(),
            hasty: true,
            meets: vec!["unknown settled by a late result", "straggler refused"],
            ..calm("hasty", "one run; sweep and leases look at any time, a heartbeat overtakes a report")
        },
        Settings {
            runs: auto(),
            crashes: 1,
            pauses: true,
            cancels: vec![0],
            remembers: true,
            meets: vec!["unknown settled by a late result", "unknown settled by a person"],
            ..calm("remembers", "one run; schedulers decide on what they remember; a death or silence, a cancel")
        },
        Settings { cancels: vec![0], meets: vec!["cancel wins", "completion wins over cancel"], ..hunt::force() },
        hunt::people(),
        hunt::expiry(),
        hunt::liar(),
    ]
}

/// Larger ones, for an hour and a machine to spare.
pub fn large() -> Vec<Settings> {
    let calm = Settings::calm;
    vec![
        Settings { crashes: 1, pauses: true, cancels: vec![0], ..calm("crash-cancel-two", "two runs; a death or silence, a cancel") },
        Settings { crashes: 1, pauses: true, ambiguous: 1, ..calm("crash-lost-two", "two runs; a death or silence, a lost answer") },
        Settings {
            runs: gated(),
            crashes: 2,
            pauses: true,
            cancels: vec![0],
            ..calm("two-crashes-cancel", "one run; two deaths, a cancel")
        },
        Settings { crashes: 2, ..calm("two-crashes-two", "two runs; two deaths") },
    ]
}

/// Small ones, in which planted bugs are looked for.
pub mod hunt {
    use super::{Settings, auto, gated, run};

    pub fn two_runs() -> Settings {
        Settings::calm("two runs", "nothing goes wrong")
    }

    pub fn duplicate() -> Settings {
        Settings { runs: auto(), duplicates: 1, ..Settings::calm("duplicate", "one run; one thing comes twice") }
    }

    pub fn crash() -> Settings {
        Settings { runs: auto(), crashes: 1, pauses: true, ..Settings::calm("one crash", "one run; one death or silence") }
    }

    pub fn two_crashes() -> Settings {
        Settings { runs: auto(), crashes: 2, pauses: true, ..Settings::calm("two crashes", "one run; two deaths or silences") }
    }

    pub fn two_runs_and_a_crash() -> Settings {
        Settings { runs: vec![run(&[0], true), run(&[0], true)], crashes: 1, ..Settings::calm("two runs, crash", "one death") }
    }

    pub fn cancel() -> Settings {
        Settings { runs: auto(), cancels: vec![0], ..Settings::calm("cancel", "one run; a cancel") }
    }

    pub fn cancelled_waiter() -> Settings {
        Settings { cancels: vec![0, 1], ..Settings::calm("cancelled waiter", "two runs, both may be cancelled") }
    }

    pub fn force() -> Settings {
        Settings {
            runs: auto(),
            cancels: vec![0],
            forced: true,
            fails: true,
            ..Settings::calm("force", "one run; a cancel, then with force; tools may fail")
        }
    }

    pub fn people() -> Settings {
        Settings {
            runs: gated(),
            cancels: vec![0],
            disputed: true,
            expires: true,
            ..Settings::calm("people", "one run; approvals of another plan, rejections, expiry, cancel, resolving what runs")
        }
    }

    pub fn liar() -> Settings {
        Settings { runs: gated(), hostile: true, ..Settings::calm("liar", "one run; a worker lies once") }
    }

    pub fn expiry() -> Settings {
        Settings { runs: gated(), expires: true, ..Settings::calm("expiry", "one run; an approval that may come too late") }
    }

    pub fn sets() -> Settings {
        Settings {
            runs: vec![run(&[0, 1], false), run(&[1], true)],
            ..Settings::calm("set", "a run that wants two locks, one that wants one of them")
        }
    }
}
