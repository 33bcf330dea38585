//! C13–C21: an attempt, from its order to the end of its folder.

use super::{
    Dies, Ends, PLAIN, Scenario, Then,
    Victim::{Runner, Tool, Worker},
    at,
};

const fn worker(row: &'static str, moment: &'static str, point: &'static str) -> Scenario {
    at(row, moment, "w1", point)
}

/// It does not come back; another worker takes over.
const fn replaced(scenario: Scenario) -> Scenario {
    Scenario { then: Then::Replace, ..scenario }
}

const fn unknown(scenario: Scenario) -> Scenario {
    Scenario { ends: Ends::Unknown, ..scenario }
}

const fn late(scenario: Scenario) -> Scenario {
    Scenario { ends: Ends::LateSuccess, then: Then::RestartWhenUnknown, ..scenario }
}

const fn steps(steps: &'static [(&'static str, &'static str)], scenario: Scenario) -> Scenario {
    Scenario { steps, ..scenario }
}

/// Processes are killed while the tool holds.
const fn holding(
    row: &'static str,
    moment: &'static str,
    victims: &'static [super::Victim],
    steps: &'static [(&'static str, &'static str)],
) -> Scenario {
    Scenario { row, moment, dies: Dies::Holding(victims), steps, ..PLAIN }
}

/// The tool ends in a way of its own.
const fn tool(row: &'static str, moment: &'static str, ends: Ends, steps: &'static [(&'static str, &'static str)]) -> Scenario {
    Scenario { row, moment, dies: Dies::Tool, ends, steps, ..PLAIN }
}

pub(super) const BEFORE_EFFECTS: &[Scenario] = &[
    replaced(worker("C13", "order pulled, not asked", "worker.order.pulled")),
    worker("C13", "order pulled, not asked, comes back", "worker.order.pulled"),
    replaced(worker("C13", "permit got, order not acknowledged", "worker.permit.got")),
    worker("C13", "order acknowledged, nothing begun", "worker.order.settled"),
    worker("C13", "apply's order acknowledged, nothing begun", "worker.order.settled:2"),
    worker("C14", "about to clone", "worker.phase.cloning"),
    worker("C14", "fetched, not checked out", "worker.fetched"),
    replaced(worker("C14", "fetched, not checked out, replaced", "worker.fetched")),
    worker("C14", "about to init", "worker.phase.init"),
    worker("C14", "apply's own clone: fetched, not checked out", "worker.fetched:2"),
    worker("C15", "about to plan", "worker.phase.plan"),
    holding("C15", "in the plan", &[Worker], &[("plan", "hold")]),
    Scenario { then: Then::Replace, ..holding("C15", "in the plan, replaced", &[Worker], &[("plan", "hold")]) },
    holding("C15", "in the plan, with runner and tool", &[Worker, Runner, Tool], &[("plan", "hold")]),
    worker("C16", "plan made, not stored", "worker.plan.made"),
    steps(&[("plan", "pad:600000")], worker("C16", "plan half stored", "bus.object.read:4")),
    worker("C16", "plan stored, not reported", "worker.plan.stored"),
    worker("C16", "plan's report written, not sent", "worker.report.written"),
    worker("C16", "plan's report stored, folder still there", "worker.report.stored"),
];

pub(super) const EFFECTS: &[Scenario] = &[
    worker("C17", "about to ask for the word to start", "worker.effects.asking"),
    unknown(worker("C17", "word to start got, tool not started", "worker.effects.given")),
    late(steps(&[("apply", "sleep:9000 persist")], worker("C17", "runner started, worker away for a lease", "worker.runner.started.true"))),
    worker("C17", "runner started, worker back at once", "worker.runner.started.true"),
    late(holding("C18", "in the apply before its first state write, worker alone", &[Worker], &[("apply", "hold persist")])),
    late(holding("C18", "in the apply after its first state write, worker alone", &[Worker], &[("apply", "persist hold persist")])),
    unknown(holding(
        "C18",
        "in the apply before its first state write, the machine",
        &[Worker, Runner, Tool],
        &[("apply", "hold persist")],
    )),
    unknown(holding("C18", "in the apply after its first state write, the machine", &[Worker, Runner, Tool], &[("apply", "persist hold")])),
    unknown(holding("C18", "in the apply, runner and tool, the worker lives", &[Runner, Tool], &[("apply", "effect:part hold")])),
    unknown(holding("C18", "in the apply, worker and runner; the tool goes on", &[Worker, Runner], &[("apply", "deaf effect:part hold")])),
    worker("C19", "tool ended, nothing written down", "worker.tool.ended"),
    worker("C19", "report about to be written", "worker.report.due:2"),
    worker("C19", "report written, not sent", "worker.report.written:2"),
    worker("C19", "report sent, its acknowledgement not seen", "bus.sent.inbox:7"),
    worker("C19", "report stored, folder still there", "worker.report.stored:2"),
    worker("C19", "log archived, folder still there", "worker.log.archived:2"),
    unknown(steps(
        &[("apply", "effect:part errored exit:1")],
        worker("C20", "state that could not be saved, not stored", "worker.state.found"),
    )),
    unknown(steps(
        &[("apply", "effect:part errored exit:1")],
        worker("C20", "state that could not be saved, stored", "worker.state.stored"),
    )),
    tool("C20", "state that could not be saved, nobody dies", Ends::Unknown, &[("apply", "effect:part errored exit:1")]),
    tool("C21", "tool killed by SIGKILL", Ends::Unknown, &[("apply", "effect:part signal:9")]),
    tool("C21", "tool ends with SIGSEGV", Ends::Unknown, &[("apply", "effect:part signal:11")]),
    tool("C21", "tool ends with 139", Ends::Unknown, &[("apply", "effect:part exit:139")]),
    tool("C21", "tool ends with 2", Ends::Unknown, &[("apply", "effect:part exit:2")]),
    tool("C21", "tool ends with 1", Ends::Failed, &[("apply", "persist exit:1")]),
    tool("C21", "tool prints 20 MB", Ends::Success, &[("apply", "noise:20000000 persist")]),
    Scenario {
        cancel: true,
        ends: Ends::Cancelled,
        ..tool("C21", "tool is interrupted by a cancel", Ends::Cancelled, &[("apply", "hold persist")])
    },
    Scenario {
        cancel: true,
        force: true,
        ..tool("C21", "tool does not listen and is killed by force", Ends::Unknown, &[("apply", "deaf effect:part hold")])
    },
];
