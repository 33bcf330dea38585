//! C4–C12: between a message and its acknowledgement, and between a decision and what is due after it.

use super::{Dies, Ends, Scenario, Then, at};

const fn scheduler(row: &'static str, moment: &'static str, point: &'static str) -> Scenario {
    at(row, moment, "scheduler", point)
}

const fn by_hand(scenario: Scenario) -> Scenario {
    Scenario { by_hand: true, ..scenario }
}

const fn with_queue(scenario: Scenario) -> Scenario {
    Scenario { queue: true, ..scenario }
}

/// The scheduler dies, and the worker that was to hear it.
const fn with_worker(row: &'static str, moment: &'static str, point: &'static str, ends: Ends) -> Scenario {
    Scenario { dies: Dies::AtWithWorker { role: "scheduler", point }, then: Then::Restart, ends, ..scheduler(row, moment, point) }
}

pub(super) const POINTS: &[Scenario] = &[
    scheduler("C4", "trigger taken, no run record", "scheduler.inbox.taken.Trigger"),
    scheduler("C4", "run record sent, its acknowledgement not seen", "bus.sent.run"),
    scheduler("C5", "run record written, nothing performed", "scheduler.committed.Accepted"),
    scheduler("C5", "performed, trigger not acknowledged", "scheduler.inbox.done.Trigger"),
    scheduler("C6", "lock record written, run does not know", "scheduler.locks.wanted.true"),
    scheduler("C6", "lock granted in the log not yet", "scheduler.deciding.LocksGranted"),
    scheduler("C6", "lock granted in the log, nothing performed", "scheduler.committed.LocksGranted"),
    scheduler("C7", "plan queued in the log, order not published", "scheduler.order.due"),
    scheduler("C7", "plan's order sent, its acknowledgement not seen", "bus.sent.work"),
    scheduler("C7", "plan's order published, turn not over", "scheduler.order.published"),
    scheduler("C7", "apply's order published, turn not over", "scheduler.order.published:2"),
    scheduler("C8", "permit of the plan about to be written", "scheduler.deciding.Permitted"),
    scheduler("C8", "permit of the plan written, answer not sent", "scheduler.answer.due.Permit"),
    scheduler("C8", "permit of the apply written, answer not sent", "scheduler.answer.due.Permit:2"),
    scheduler("C8", "word to start about to be written", "scheduler.deciding.EffectsStarted"),
    scheduler("C8", "word to start written, answer not sent", "scheduler.answer.due.Go"),
    with_worker("C8", "permit of the plan written, its worker dies too", "scheduler.answer.due.Permit", Ends::Success),
    with_worker("C8", "permit of the apply written, its worker dies too", "scheduler.answer.due.Permit:2", Ends::Success),
    with_worker("C8", "word to start written, its worker dies too", "scheduler.answer.due.Go", Ends::Unknown),
    scheduler("C9", "plan's report read, not decided", "scheduler.deciding.AttemptEnded"),
    scheduler("C9", "apply's report read, not decided", "scheduler.deciding.AttemptEnded:2"),
    scheduler("C9", "plan's report decided, not acknowledged", "scheduler.committed.AttemptEnded"),
    scheduler("C10", "end written, nothing performed", "scheduler.committed.RunEnded"),
    with_queue(scheduler("C10", "end written, another run waits for the lock", "scheduler.committed.RunEnded")),
    with_queue(scheduler("C11", "lock given back, nobody was given it", "scheduler.locks.released")),
    with_queue(scheduler("C11", "lock handed on, its new holder not woken", "scheduler.locks.handed")),
    scheduler("C11", "end written, its view not shown", "scheduler.view.due.Success"),
    by_hand(scheduler("C12", "approval read, not decided", "scheduler.deciding.ApprovalGiven")),
    by_hand(scheduler("C12", "approval written, apply not dispatched", "scheduler.committed.ApprovalGiven")),
    by_hand(scheduler("C12", "approval performed, not acknowledged", "scheduler.inbox.done.Command")),
    by_hand(scheduler("C12", "gate opened, its view not shown", "scheduler.view.due.AwaitingApproval")),
    Scenario {
        cancel: true,
        ends: Ends::Cancelled,
        steps: &[("apply", "hold persist")],
        ..scheduler("C12", "cancel written, stop not sent", "scheduler.committed.CancelRequested")
    },
];
