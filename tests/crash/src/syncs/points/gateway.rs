//! C31 and C32: between what is asked for and its answer.

use super::{Dies, SyncsEnd, SyncsScenario, What, of, push};

const fn gateway(point: &'static str) -> Dies {
    Dies::At { role: "gateway", point }
}

const fn silent(ends: SyncsEnd, scenario: SyncsScenario) -> SyncsScenario {
    SyncsScenario { silent: true, ends, ..scenario }
}

pub(super) const POINTS: &[SyncsScenario] = &[
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
];
