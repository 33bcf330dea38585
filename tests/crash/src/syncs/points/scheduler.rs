//! C33–C35: between a message and its decision, and between a decision and what is due after it. `:2` is where the first sync is
//! meant and not the selection before it.

use super::{Dies, SyncsScenario, What, of, push, unknown};

const fn scheduler(point: &'static str) -> Dies {
    Dies::At { role: "scheduler", point }
}

const fn with_worker(point: &'static str) -> Dies {
    Dies::AtWithWorker { role: "scheduler", point }
}

const fn queue(pushes: usize, moment: &'static str, deaths: &'static [Dies]) -> SyncsScenario {
    SyncsScenario { hold: Some("alpha"), ..of(What::Queue(pushes), push("C35", moment, deaths)) }
}

pub(super) const POINTS: &[SyncsScenario] = &[
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
];
