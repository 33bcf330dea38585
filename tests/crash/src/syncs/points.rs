//! C31–C39: every moment of a run of syncs at which a process can die, in the order in which a run comes by them.
//!
//! A scenario may name several deaths: each process dies at its first one, is started again to die at its next, and so on,
//! all in one run.

use crate::points::{
    Dies, Then,
    Victim::{self, Runner, Tool, Worker},
};

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

const fn gateway(point: &'static str) -> Dies {
    Dies::At { role: "gateway", point }
}

const fn scheduler(point: &'static str) -> Dies {
    Dies::At { role: "scheduler", point }
}

const fn with_worker(point: &'static str) -> Dies {
    Dies::AtWithWorker { role: "scheduler", point }
}

const fn worker(point: &'static str) -> Dies {
    Dies::At { role: "w1", point }
}

const fn push(row: &'static str, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { row, moment, deaths, ..PLAIN }
}

const fn of(what: What, scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { what, ..scenario }
}

const fn silent(ends: SyncsEnd, scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { silent: true, ends, ..scenario }
}

const fn unknown(scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { ends: SyncsEnd::Unknown, ..scenario }
}

const fn late(scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { ends: SyncsEnd::LateSuccess, then: Then::RestartWhenUnknown, hold: Some("alpha"), ..scenario }
}

const fn killed(row: &'static str, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { hold: Some("alpha"), ..push(row, moment, deaths) }
}

const fn queue(pushes: usize, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { hold: Some("alpha"), ..of(What::Queue(pushes), push("C35", moment, deaths)) }
}

const fn compose(then_deploys: bool, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    unknown(of(What::Compose { then_deploys }, push("C38", moment, deaths)))
}

const fn dokploy(then_deploys: bool, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    unknown(of(What::Dokploy { then_deploys }, push("C39", moment, deaths)))
}

const fn machine(victims: &'static [Victim]) -> Dies {
    Dies::Holding(victims)
}

/// Every scenario. `:2` is where the first sync is meant and not the selection before it.
pub const ALL: &[SyncsScenario] = &[
    push("C31", "delivery taken, nothing stored", &[gateway("gateway.received"), gateway("gateway.checked"), gateway("gateway.sealed")]),
    push("C31", "delivery's run stored, its record not", &[gateway("bus.sent.inbox"), gateway("gateway.admitted")]),
    push("C31", "delivery recorded, not answered", &[gateway("gateway.delivery.recording"), gateway("gateway.delivery.recorded")]),
    silent(SyncsEnd::Lost, push("C31", "nothing stored, never sent again", &[gateway("gateway.sealed")])),
    silent(SyncsEnd::Success, push("C31", "run stored, never sent again", &[gateway("gateway.admitted")])),
    silent(SyncsEnd::Success, push("C31", "record due, never sent again", &[gateway("gateway.delivery.recording")])),
    silent(SyncsEnd::Success, push("C31", "recorded, never sent again", &[gateway("gateway.delivery.recorded")])),
    of(What::Redelivered, push("C31", "done once more: run stored, not recorded", &[gateway("gateway.redelivery.recording")])),
    of(
        What::Version,
        push(
            "C32",
            "version asked for; its stamp used up; recorded, its run not stored",
            &[gateway("gateway.received"), gateway("gateway.stamp.used"), gateway("gateway.deployment.recorded")],
        ),
    ),
    of(What::Version, push("C32", "version's run stored, not answered", &[gateway("bus.sent.inbox"), gateway("gateway.admitted")])),
    of(What::Release, push("C32", "release ordered, nothing stored", &[gateway("gateway.received"), gateway("gateway.sealed")])),
    of(What::Release, push("C32", "release's run stored, not answered", &[gateway("bus.sent.inbox"), gateway("gateway.admitted")])),
    push("C33", "run about to be made; its record sent", &[scheduler("scheduler.deciding.Accepted"), scheduler("bus.sent.run")]),
    push("C33", "trigger not acknowledged; sync's order sent", &[scheduler("scheduler.inbox.done.Trigger"), scheduler("bus.sent.work")]),
    push(
        "C33",
        "permit written; commit read, not pinned; pinned; selection's report taken; done, not acknowledged",
        &[
            scheduler("scheduler.committed.Permitted"),
            scheduler("scheduler.deciding.CommitPinned"),
            scheduler("scheduler.committed.CommitPinned"),
            scheduler("scheduler.inbox.taken.Report"),
            scheduler("scheduler.inbox.done.Report"),
        ],
    ),
    push(
        "C33",
        "trigger taken; made; selection's order due; published; permitted",
        &[
            scheduler("scheduler.inbox.taken.Trigger"),
            scheduler("scheduler.committed.Accepted"),
            scheduler("scheduler.order.due"),
            scheduler("scheduler.order.published"),
            scheduler("scheduler.answer.due.Permit"),
        ],
    ),
    push(
        "C33",
        "selection read, not decided; decided; not noted; noted",
        &[scheduler("scheduler.deciding.SyncPlanned"), scheduler("scheduler.note.due.Source"), scheduler("scheduler.note.kept.Source")],
    ),
    push(
        "C33",
        "selection decided; lock record written; lock known",
        &[
            scheduler("scheduler.committed.SyncPlanned"),
            scheduler("scheduler.locks.wanted.true"),
            scheduler("scheduler.deciding.JobLocked"),
            scheduler("scheduler.committed.JobLocked"),
        ],
    ),
    push(
        "C34",
        "sync queued, not published; permitted; last word written; its end decided; shown as running",
        &[
            scheduler("scheduler.committed.JobQueued:2"),
            scheduler("scheduler.committed.Permitted"),
            scheduler("scheduler.committed.EffectsStarted"),
            scheduler("scheduler.committed.AttemptEnded"),
            scheduler("scheduler.view.due.Running"),
        ],
    ),
    push(
        "C34",
        "word to start about to be written; written, answer not sent",
        &[scheduler("scheduler.deciding.EffectsStarted"), scheduler("scheduler.answer.due.Go")],
    ),
    push("C34", "permit written, its worker dies too", &[with_worker("scheduler.answer.due.Permit:2")]),
    unknown(push("C34", "word to start written, its worker dies too", &[with_worker("scheduler.answer.due.Go")])),
    push(
        "C34",
        "sync's report read, not decided; the next one decided; service not noted",
        &[
            scheduler("scheduler.deciding.ServiceSynced"),
            scheduler("scheduler.committed.ServiceSynced"),
            scheduler("scheduler.note.due.Service"),
        ],
    ),
    push(
        "C34",
        "service noted; lock given back; the end about to be written",
        &[scheduler("scheduler.note.kept.Service"), scheduler("scheduler.locks.released"), scheduler("scheduler.deciding.RunEnded")],
    ),
    push("C34", "end written, nothing performed", &[scheduler("scheduler.committed.RunEnded")]),
    push("C34", "end written, not shown", &[scheduler("scheduler.view.due.Success")]),
    queue(2, "lock given back, the next push waits", &[scheduler("scheduler.locks.released")]),
    queue(2, "lock handed to the next push, not woken", &[scheduler("scheduler.locks.handed")]),
    queue(3, "newest wins: about to be written", &[scheduler("scheduler.deciding.JobSuperseded")]),
    queue(3, "newest wins: written, nothing performed", &[scheduler("scheduler.committed.JobSuperseded")]),
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
    push("C36", "sync's log archived, folder still there", &[worker("worker.log.archived:2")]),
    of(What::Release, push("C37", "tag made, not pushed; pushed, not reported", &[worker("worker.tag.made"), worker("worker.tag.pushed")])),
    of(What::Release, push("C37", "tag pushed, not reported", &[worker("worker.tag.pushed")])),
    of(What::Release, push("C37", "release's report written, not sent", &[worker("worker.report.written:2")])),
    of(
        What::Release,
        push(
            "C37",
            "release read, not decided; decided",
            &[scheduler("scheduler.deciding.ReleaseMade"), scheduler("scheduler.committed.ReleaseMade")],
        ),
    ),
    of(
        What::Release,
        push(
            "C37",
            "everybody once: not answered, tag pushed, decided",
            &[gateway("gateway.admitted"), scheduler("scheduler.committed.ReleaseMade"), worker("worker.tag.pushed")],
        ),
    ),
    push(
        "C37",
        "everybody once: recorded, planned, command started",
        &[gateway("gateway.delivery.recorded"), scheduler("scheduler.committed.SyncPlanned"), worker("worker.runner.started.true")],
    ),
    compose(true, "files on the host, variables not", &[worker("worker.compose.copied")]),
    compose(true, "variables on the host, nothing started", &[worker("worker.compose.stored")]),
    compose(false, "containers started, not reported", &[worker("worker.compose.up")]),
    dokploy(true, "service there, nothing stored", &[worker("worker.dokploy.made")]),
    dokploy(true, "stored in Dokploy, not deployed", &[worker("worker.dokploy.stored")]),
    dokploy(true, "deployment asked for, not seen", &[worker("worker.dokploy.asked")]),
    dokploy(true, "deployment seen, not kept", &[worker("worker.dokploy.verified")]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_moment_and_no_moment_is_there_twice() {
        let rows: BTreeSet<&str> = ALL.iter().map(|scenario| scenario.row).collect();
        let wanted: BTreeSet<String> = (31..=39).map(|row| format!("C{row}")).collect();
        assert_eq!(rows, wanted.iter().map(String::as_str).collect());
        let moments: BTreeSet<_> = ALL.iter().map(|scenario| (scenario.row, scenario.moment)).collect();
        assert_eq!(moments.len(), ALL.len());
    }

    #[test]
    fn whoever_dies_comes_back_as_the_scenario_says() {
        for scenario in ALL {
            assert!(!scenario.deaths.is_empty(), "{}", scenario.moment);
            // Who is replaced, or waited for, dies once: nobody starts it again in between.
            assert!(scenario.then == Then::Restart || scenario.deaths.len() == 1, "{}", scenario.moment);
        }
    }
}
