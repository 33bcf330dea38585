//! C23–C30: every moment of a run of orders at which a process can die, in the order in which a run comes by them.

use crate::points::{
    Dies, Then,
    Victim::{self, Runner, Tool, Worker},
};

/// One moment.
#[derive(Debug, Clone, Copy)]
pub struct OrdersScenario {
    pub row: &'static str,
    pub moment: &'static str,
    pub dies: Dies,
    pub then: Then,
    pub ends: OrdersEnd,
    /// The order that stays in the middle of a command until it is let go.
    pub hold: Option<&'static str>,
    /// Time limit of each order, in seconds.
    pub timeout_s: u32,
    /// Orders besides the diamond, so that the run has more than one page.
    pub leaves: usize,
}

/// What must come of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrdersEnd {
    /// Nothing was ever unknown.
    Success,
    /// An order was unknown until its worker came back with the truth.
    LateSuccess,
    /// An order was unknown, and the watchdog ended it.
    TimedOut,
}

const PLAIN: OrdersScenario = OrdersScenario {
    row: "",
    moment: "",
    dies: Dies::Tool,
    then: Then::Restart,
    ends: OrdersEnd::Success,
    hold: None,
    timeout_s: 120,
    leaves: 0,
};

const fn at(row: &'static str, moment: &'static str, role: &'static str, point: &'static str) -> OrdersScenario {
    OrdersScenario { row, moment, dies: Dies::At { role, point }, ..PLAIN }
}

const fn gateway(row: &'static str, moment: &'static str, point: &'static str) -> OrdersScenario {
    at(row, moment, "gateway", point)
}

const fn scheduler(row: &'static str, moment: &'static str, point: &'static str) -> OrdersScenario {
    at(row, moment, "scheduler", point)
}

const fn worker(row: &'static str, moment: &'static str, point: &'static str) -> OrdersScenario {
    at(row, moment, "w1", point)
}

const fn with_worker(row: &'static str, moment: &'static str, point: &'static str) -> OrdersScenario {
    OrdersScenario { dies: Dies::AtWithWorker { role: "scheduler", point }, ..scheduler(row, moment, point) }
}

const fn holding(row: &'static str, moment: &'static str, order: &'static str, victims: &'static [Victim]) -> OrdersScenario {
    OrdersScenario { row, moment, dies: Dies::Holding(victims), hold: Some(order), ..PLAIN }
}

/// Its worker comes back when the order is unknown, and tells how it ended.
const fn late(scenario: OrdersScenario) -> OrdersScenario {
    OrdersScenario { then: Then::RestartWhenUnknown, ends: OrdersEnd::LateSuccess, ..scenario }
}

/// Nobody ever tells how the order ended.
const fn watched(scenario: OrdersScenario) -> OrdersScenario {
    OrdersScenario { ends: OrdersEnd::TimedOut, timeout_s: 12, ..scenario }
}

const fn replaced(scenario: OrdersScenario) -> OrdersScenario {
    OrdersScenario { then: Then::Replace, ..scenario }
}

/// Every moment. `:2` and more is where several orders are under way at once: after the first, three go out together. Workers
/// die while they have one order only: another one may have its last word and not be started, which nobody can know.
pub const ALL: &[OrdersScenario] = &[
    gateway("C23", "orders received, nothing looked at", "gateway.received"),
    gateway("C23", "pages sealed, trigger not stored", "gateway.sealed"),
    gateway("C23", "trigger sent, its acknowledgement not seen", "bus.sent.inbox"),
    gateway("C23", "trigger stored, 202 not sent", "gateway.admitted"),
    scheduler("C24", "graph taken, no run record", "scheduler.inbox.taken.Trigger"),
    scheduler("C24", "run record with its first order sent, its acknowledgement not seen", "bus.sent.run"),
    scheduler("C24", "run record with its first order written, nothing published", "scheduler.committed.Accepted"),
    scheduler("C25", "places filled, commit lost", "scheduler.deciding.JobQueued:2"),
    scheduler("C25", "places filled, commit sent, its acknowledgement not seen", "bus.sent.run:8"),
    scheduler("C25", "three orders queued in the log, none published", "scheduler.committed.JobQueued:2"),
    scheduler("C25", "one order of three sent, its acknowledgement not seen", "bus.sent.work:2"),
    scheduler("C25", "one order of three published", "scheduler.order.published:2"),
    scheduler("C25", "two orders of three published", "scheduler.order.published:3"),
    scheduler("C26", "permit about to be written", "scheduler.deciding.Permitted:2"),
    scheduler("C26", "permit written, answer not sent", "scheduler.answer.due.Permit:2"),
    with_worker("C26", "permit written, its worker dies too", "scheduler.answer.due.Permit"),
    scheduler("C26", "last word about to be written", "scheduler.deciding.EffectsStarted:2"),
    scheduler("C26", "last word written, answer not sent", "scheduler.answer.due.Go:2"),
    watched(with_worker("C26", "last word written, its worker dies too", "scheduler.answer.due.Go")),
    scheduler("C26", "what an order told read, not decided", "scheduler.deciding.OrderTold"),
    scheduler("C26", "an order's end read, not decided", "scheduler.deciding.AttemptEnded:2"),
    scheduler("C26", "failure of the optional order decided, not acknowledged", "scheduler.committed.JobFailed"),
    scheduler("C27", "end written, nothing shown", "scheduler.committed.RunEnded"),
    OrdersScenario { leaves: 30, ..scheduler("C27", "one page of two shown", "scheduler.page.shown") },
    scheduler("C27", "pages of the end shown, its view not", "scheduler.pages.shown.Success"),
    worker("C28", "order pulled, not asked", "worker.order.pulled"),
    worker("C28", "permit got, order not acknowledged", "worker.permit.got"),
    worker("C28", "order acknowledged, nothing begun", "worker.order.settled"),
    worker("C28", "about to fetch credentials", "worker.phase.credentials"),
    worker("C28", "about to fetch the code", "worker.phase.cloning"),
    replaced(worker("C28", "about to run, replaced", "worker.phase.run")),
    worker("C28", "about to ask for the last word", "worker.effects.asking"),
    watched(worker("C29", "last word got, nothing started", "worker.effects.given")),
    worker("C29", "runner started, worker back at once", "worker.runner.started.true"),
    late(OrdersScenario { hold: Some("base"), ..worker("C29", "runner started, worker away for a lease", "worker.runner.started.true") }),
    holding("C29", "in a command, the worker alone", "left", &[Worker]),
    late(holding("C29", "in a command, the worker alone, away for a lease", "left", &[Worker])),
    watched(holding("C29", "in a command, the machine", "left", &[Worker, Runner, Tool])),
    watched(OrdersScenario {
        then: Then::RestartWhenUnknown,
        ..holding("C29", "in a command, the machine, away for a lease", "left", &[Worker, Runner, Tool])
    }),
    watched(holding("C29", "in a command, the runner alone", "left", &[Runner])),
    worker("C30", "commands done, report not written", "worker.report.due"),
    worker("C30", "events told, result not", "worker.events.told"),
    worker("C30", "report written, not sent", "worker.report.written"),
    worker("C30", "report sent, its acknowledgement not seen", "bus.sent.inbox:5"),
    worker("C30", "report stored, folder still there", "worker.report.stored"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_moment_and_no_moment_is_there_twice() {
        let rows: BTreeSet<&str> = ALL.iter().map(|scenario| scenario.row).collect();
        let wanted: BTreeSet<String> = (23..=30).map(|row| format!("C{row}")).collect();
        assert_eq!(rows, wanted.iter().map(String::as_str).collect());
        let moments: BTreeSet<_> = ALL.iter().map(|scenario| (scenario.row, scenario.moment)).collect();
        assert_eq!(moments.len(), ALL.len());
    }
}
