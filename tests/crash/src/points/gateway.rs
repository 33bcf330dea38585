//! C1–C3: between a request and its answer. The client repeats with the same Idempotency-Key.

use super::{Scenario, at};

const fn gateway(row: &'static str, moment: &'static str, point: &'static str) -> Scenario {
    at(row, moment, "gateway", point)
}

pub(super) const POINTS: &[Scenario] = &[
    gateway("C1", "request received, nothing looked at", "gateway.received"),
    gateway("C1", "request checked, nothing stored", "gateway.checked"),
    gateway("C1", "secrets stored, trigger not", "gateway.sealed"),
    gateway("C2", "trigger sent, its acknowledgement not seen", "bus.sent.inbox"),
    gateway("C3", "trigger stored, 202 not sent", "gateway.admitted"),
    Scenario { by_hand: true, ..gateway("C3", "approval stored, its answer not sent", "gateway.command.stored") },
];
