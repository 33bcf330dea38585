//! Webhooks of forges: who sent one, what it tells, what becomes of it, and what is kept of it.
//!
//! The way of a delivery: who sends nothing but bad ones is not heard ([`hearing`]); its headers are looked at before its body is
//! read ([`proof`], [`heading`]); the body is read within bounds ([`reading`], [`room`]), believed or not, and only then
//! understood ([`payload`], [`skim`]); what it means is decided in [`judge`]; [`accept`] stores the run and the record,
//! [`mod@anew`] does for what had been ignored; [`door`] answers; [`pages`] show the records, and [`mod@redeliver`] does one once
//! more. Which secrets are tried, and which repository is meant,
//! is the source's matter (`sources`): nothing of it comes from the request but the address.

mod accept;
mod anew;
mod door;
mod explain;
mod foresee;
mod heading;
mod hearing;
mod judge;
mod pages;
mod payload;
mod proof;
mod reading;
mod record;
mod redeliver;
mod room;
mod skim;
mod trace;

pub(crate) use door::{HookBody, deliver, hook};
pub(crate) use heading::is_delivery;
pub(crate) use hearing::Hearing;
pub(crate) use pages::{DeliveriesBody, ExplainedBody, list, one};
pub(crate) use proof::mark;
pub(crate) use reading::Held;
pub(crate) use redeliver::{RedeliveredBody, redeliver};
pub(crate) use room::Room;
pub(crate) use trace::{Refused, Trace, not_believed};

#[cfg(test)]
mod fixtures;

/// Longest text of somebody else's that is shown or kept, in characters.
pub(crate) const SHOWN: usize = 200;

/// A text of somebody else's as it may be shown: printable ASCII stays, everything else is spelt out, and it ends after `most`
/// characters.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            shown.push('~');
            break;
        }
        if c.is_ascii_graphic() || c == ' ' { shown.push(c) } else { shown.extend(c.escape_unicode()) }
    }
    shown
}
