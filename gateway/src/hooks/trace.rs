//! A trace of deliveries that were not believed: the last few of each source, so that an operator sees that a forge signs with
//! another secret. What strangers can have written is bounded: one record and one line of the log a second of a gateway, twenty
//! records of a source.

use super::record::{Delivery, Verdict, refused_key};
use crate::{answers::chain, app::App, sources::Source};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Records of one source.
const SLOTS: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// When the last one was stored.
#[derive(Debug)]
pub(crate) struct Trace(Mutex<(Option<Instant>, u32)>);

impl Default for Trace {
    /// Gateways begin at different places, so that one that is started often does not always write over the same.
    fn default() -> Self {
        Self(Mutex::new((None, u32::from(uuid::Uuid::new_v4().as_bytes()[0]))))
    }
}

impl Trace {
    /// Where the next record goes, if there may be one now.
    fn slot(&self, now: Instant) -> Option<u32> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, next) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        *last = Some(now);
        *next = next.wrapping_add(1);
        Some(*next % SLOTS)
    }
}

/// What is known about a delivery that was not believed.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) event: String,
    pub(crate) delivery: String,
    pub(crate) reason: String,
    pub(crate) from: Option<IpAddr>,
}

/// Counts a delivery or request that was not believed, of its address too; keeps a trace and logs it, if there may be one now. The answer does not
/// wait for it: it is the same, and as fast, for all of them.
pub(crate) fn not_believed(app: &Arc<App>, source: &Source, refused: Refused) {
    let now = Instant::now();
    app.gateway_metrics.delivery(source.id.as_str(), Verdict::Refused.as_str());
    app.hearing.failed(refused.from, now);
    let Some(slot) = app.trace.slot(now) else { return };
    tracing::warn!(source = %source.id, why = refused.reason, from = ?refused.from, "a delivery is not believed; others within this second are only counted");
    let mut record = Delivery::new(source, &refused.event, &refused.delivery, Verdict::Refused);
    record.reason = refused.reason;
    record.from = refused.from.map(|from| from.to_string());
    let (app, key) = (Arc::clone(app), refused_key(&source.id, slot));
    tokio::spawn(async move {
        if let Err(error) = app.bus.deliveries().put(&key, &record).await {
            tracing::debug!(error = chain(&error), "the trace of a delivery that was not believed is not stored");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_trace_a_second_in_one_of_twenty_places() {
        let trace = Trace::default();
        let start = Instant::now();
        let first = trace.slot(start).unwrap();
        assert_eq!(trace.slot(start), None);
        assert_eq!(trace.slot(start + PAUSE / 2), None);
        let slots: Vec<u32> = (1..=SLOTS).filter_map(|n| trace.slot(start + PAUSE * n)).collect();
        assert_eq!(slots.len(), SLOTS as usize);
        assert!(slots.iter().all(|slot| *slot < SLOTS) && slots.last() == Some(&first));
    }
}
