//! C36–C39: an attempt, from its order to the end of its folder. `:2` is where the first sync, or the release, is meant and not the
//! selection before it.

use super::{Dies, SyncsEnd, SyncsScenario, Then, What, of, push, unknown};
use crate::points::Victim::{self, Runner, Tool, Worker};

const fn at(role: &'static str, point: &'static str) -> Dies {
    Dies::At { role, point }
}

const fn worker(point: &'static str) -> Dies {
    Dies::At { role: "w1", point }
}

const fn late(scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { ends: SyncsEnd::LateSuccess, then: Then::RestartWhenUnknown, hold: Some("alpha"), ..scenario }
}

const fn killed(row: &'static str, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { hold: Some("alpha"), ..push(row, moment, deaths) }
}

const fn machine(victims: &'static [Victim]) -> Dies {
    Dies::Holding(victims)
}

const fn compose(then_deploys: bool, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    unknown(of(What::Compose { then_deploys }, push("C38", moment, deaths)))
}

const fn dokploy(then_deploys: bool, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    unknown(of(What::Dokploy { then_deploys }, push("C39", moment, deaths)))
}

pub(super) const POINTS: &[SyncsScenario] = &[
    push("C36", "selection's order pulled; permit got", &[worker("worker.order.pulled"), worker("worker.permit.got")]),
    push("C36", "about to select; selection's report written, not sent", &[worker("worker.phase.select"), worker("worker.report.written")]),
    push("C36", "selection reported, folder still there", &[worker("worker.report.stored")]),
    push("C36", "sync's order acknowledged; about to clone", &[worker("worker.order.settled:2"), worker("worker.phase.cloning")]),
    push("C36", "fetched, not checked out; about to ask for the last word", &[worker("worker.fetched"), worker("worker.effects.asking")]),
    SyncsScenario { then: Then::Replace, ..push("C36", "about to sync, replaced", &[worker("worker.phase.sync")]) },
    unknown(push("C36", "last word got, nothing started", &[worker("worker.effects.given")])),
    push("C36", "command started, worker back at once", &[worker("worker.runner.started.true")]),
    late(push("C36", "command started, worker away for a lease", &[worker("worker.runner.started.true")])),
    killed("C36", "in the command, the worker alone", &[machine(&[Worker])]),
    late(push("C36", "in the command, the worker alone, away for a lease", &[machine(&[Worker])])),
    unknown(killed("C36", "in the command, the machine", &[machine(&[Worker, Runner, Tool])])),
    unknown(killed("C36", "in the command, runner and tool", &[machine(&[Runner, Tool])])),
    push(
        "C36",
        "command ended, result not read; the next one's report not written",
        &[worker("worker.sync.ended"), worker("worker.report.due")],
    ),
    push(
        "C36",
        "sync's report written, not sent; the next one's stored",
        &[worker("worker.report.written:2"), worker("worker.report.stored")],
    ),
    push("C36", "sync's report sent, its acknowledgement not seen", &[worker("bus.sent.inbox:7")]),
    push("C36", "sync's log archived, folder still there", &[worker("worker.log.archived:2")]),
    of(What::Release, push("C37", "tag made, not pushed; pushed, not reported", &[worker("worker.tag.made"), worker("worker.tag.pushed")])),
    of(
        What::Release,
        SyncsScenario { then: Then::Replace, ..push("C37", "tag pushed, not reported, replaced", &[worker("worker.tag.pushed")]) },
    ),
    of(What::Release, push("C37", "release's report written, not sent", &[worker("worker.report.written:2")])),
    of(
        What::Release,
        push(
            "C37",
            "release read, not decided; decided",
            &[at("scheduler", "scheduler.deciding.ReleaseMade"), at("scheduler", "scheduler.committed.ReleaseMade")],
        ),
    ),
    of(
        What::Release,
        push(
            "C37",
            "everybody once: not answered, tag pushed, decided",
            &[at("gateway", "gateway.admitted"), at("scheduler", "scheduler.committed.ReleaseMade"), worker("worker.tag.pushed")],
        ),
    ),
    push(
        "C37",
        "everybody once: recorded, planned, command started",
        &[
            at("gateway", "gateway.delivery.recorded"),
            at("scheduler", "scheduler.committed.SyncPlanned"),
            worker("worker.runner.started.true"),
        ],
    ),
    compose(true, "files on the host, variables not", &[worker("worker.compose.copied")]),
    compose(true, "variables on the host, nothing started", &[worker("worker.compose.stored")]),
    compose(false, "containers started, not reported", &[worker("worker.compose.up")]),
    dokploy(true, "service there, nothing stored", &[worker("worker.dokploy.made")]),
    dokploy(true, "stored in Dokploy, not deployed", &[worker("worker.dokploy.stored")]),
    dokploy(true, "deployment asked for, not seen", &[worker("worker.dokploy.asked")]),
    dokploy(true, "deployment seen, not kept", &[worker("worker.dokploy.verified")]),
];
