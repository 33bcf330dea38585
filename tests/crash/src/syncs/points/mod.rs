//! C31–C39: every moment of a run of syncs at which a process can die, in the order in which a run comes by them.
//!
//! A scenario may name several deaths: each process dies at its first one, is started again to die at its next, and so on,
//! all in one run.

mod gateway;
mod scheduler;
mod worker;

use crate::points::{Dies, Then};

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct SyncsScenario {
    pub row: &'static str,
    pub moment: &'static str,
    pub what: What,
    /// In order for each process.
    pub deaths: &'static [Dies],
    pub then: Then,
    pub ends: SyncsEnd,
    /// The service that stays in the middle of its command until it is let go.
    pub hold: Option<&'static str>,
    /// The forge sends nothing again, whether it was answered or not.
    pub silent: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A push that changes two of three services; the second is synced after the first.
    Push,
    /// So many pushes of one service, each while the one before is held or waits.
    Queue(usize),
    /// A push that a person has done once more, when it is over.
    Redelivered,
    /// A version of two services, in production.
    Version,
    /// A staging release: a tag, and all services.
    Release,
    /// A push of the service of a host. Afterwards one that changes nothing of it either deploys, or has nothing to do.
    Compose { then_deploys: bool },
    /// The same of the service of Dokploy.
    Dokploy { then_deploys: bool },
}

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncsEnd {
    /// Nothing was ever unknown.
    Success,
    /// The first sync was unknown until its worker came back with the truth.
    LateSuccess,
    /// The first sync is unknown, with its lock held, until a person settles it.
    Unknown,
    /// Nobody was told that it was taken, and it was not: the next push catches up with it.
    Lost,
}

const PLAIN: SyncsScenario = SyncsScenario {
    row: "",
    moment: "",
    what: What::Push,
    deaths: &[],
    then: Then::Restart,
    ends: SyncsEnd::Success,
    hold: None,
    silent: false,
};

const fn push(row: &'static str, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { row, moment, deaths, ..PLAIN }
}

const fn of(what: What, scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { what, ..scenario }
}

const fn unknown(scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { ends: SyncsEnd::Unknown, ..scenario }
}

/// Every scenario, in the order of the matrix.
pub fn all() -> Vec<SyncsScenario> {
    [gateway::POINTS, scheduler::POINTS, worker::POINTS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_moment_and_no_moment_is_there_twice() {
        let all = all();
        let rows: BTreeSet<&str> = all.iter().map(|scenario| scenario.row).collect();
        let wanted: BTreeSet<String> = (31..=39).map(|row| format!("C{row}")).collect();
        assert_eq!(rows, wanted.iter().map(String::as_str).collect());
        let moments: BTreeSet<_> = all.iter().map(|scenario| (scenario.row, scenario.moment)).collect();
        assert_eq!(moments.len(), all.len());
    }

    #[test]
    fn whoever_dies_comes_back_as_the_scenario_says() {
        for scenario in all() {
            assert!(!scenario.deaths.is_empty(), "{}", scenario.moment);
            // Who is replaced, or waited for, dies once: nobody starts it again in between.
            assert!(scenario.then == Then::Restart || scenario.deaths.len() == 1, "{}", scenario.moment);
        }
    }
}
