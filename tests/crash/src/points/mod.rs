//! The table of crash points. One line is one moment: who dies where, what happens meanwhile, and what must follow.
//!
//! The rows are those of the fault matrix: C1–C3 the gateway, C4–C12 the scheduler, C13–C21 the worker. C22 is about
//! actions that do not exist yet (ssh, ansible, Proxmox); it has no points, and the report says so. Orders (C23–C30) and syncs
//! (C31–C39) have tables of their own.

mod gateway;
mod scheduler;
mod worker;

use crate::lane::WORKER;

/// One moment.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Row of the matrix, such as `C7`.
    pub row: &'static str,
    pub moment: &'static str,
    pub dies: Dies,
    pub then: Then,
    pub ends: Ends,
    /// A person approves; else the run was waved through beforehand.
    pub by_hand: bool,
    /// Another run waits for the same lock.
    pub queue: bool,
    /// The run is cancelled while its tool holds.
    pub cancel: bool,
    /// And then by force, because the tool does not listen.
    pub force: bool,
    /// What the fake tool does: verb and words.
    pub steps: &'static [(&'static str, &'static str)],
}

/// Who dies, and where.
#[derive(Debug, Clone, Copy)]
pub enum Dies {
    /// This process, at this point (`name` or `name:nth`).
    At { role: &'static str, point: &'static str },
    /// The same, and the worker with it.
    AtWithWorker { role: &'static str, point: &'static str },
    /// Processes on the worker's machine, while the tool holds.
    Holding(&'static [Victim]),
    /// The tool alone: its steps say how.
    Tool,
}

impl Dies {
    /// The processes of the fleet that are gone then, and come back as such.
    pub(crate) fn roles(self) -> Vec<&'static str> {
        match self {
            Self::At { role, .. } => vec![role],
            Self::AtWithWorker { role, .. } => vec![role, WORKER],
            Self::Holding(victims) if victims.contains(&Victim::Worker) => vec![WORKER],
            Self::Holding(_) | Self::Tool => Vec::new(),
        }
    }
}

/// A process on the worker's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Worker,
    Runner,
    Tool,
}

/// What happens to who died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is started again at once.
    Restart,
    /// It is started again when the run is unknown.
    RestartWhenUnknown,
    /// Another worker is started, and it only comes back in the end.
    Replace,
}

/// What must come of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Success,
    Failed,
    Cancelled,
    /// Unknown, until its worker comes back with the truth.
    LateSuccess,
    /// Unknown, with evidence and the lock held, until a person settles it.
    Unknown,
}

const PLAIN: Scenario = Scenario {
    row: "",
    moment: "",
    dies: Dies::Tool,
    then: Then::Restart,
    ends: Ends::Success,
    by_hand: false,
    queue: false,
    cancel: false,
    force: false,
    steps: &[],
};

/// Every moment, in the order of the matrix.
pub fn all() -> Vec<Scenario> {
    [gateway::POINTS, scheduler::POINTS, worker::BEFORE_EFFECTS, worker::EFFECTS].concat()
}

/// A process of this role dies at a point and is started again; the run succeeds all the same.
const fn at(row: &'static str, moment: &'static str, role: &'static str, point: &'static str) -> Scenario {
    Scenario { row, moment, dies: Dies::At { role, point }, ..PLAIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_moment_and_no_moment_is_there_twice() {
        let all = all();
        let rows: BTreeSet<&str> = all.iter().map(|scenario| scenario.row).collect();
        for row in 1..=21 {
            assert!(rows.contains(format!("C{row}").as_str()), "C{row}");
        }
        let moments: BTreeSet<_> = all.iter().map(|scenario| (scenario.row, scenario.moment)).collect();
        assert_eq!(moments.len(), all.len());
    }
}
