//! What a worker counts: slots and log bytes.
//!
//! Several workers in one process (`navvy up --workers N`) share these.

use prometheus::{IntCounter, IntGauge};

use super::register::{Held, Register};

/// The worker's metrics. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    slots: IntGauge,
    busy: IntGauge,
    log_bytes: IntCounter,
}

impl WorkerMetrics {
    pub(super) fn register(register: &Register<'_>) -> Self {
        Self {
            slots: register.gauge("navvy_worker_slots", "Jobs that can run at a time."),
            busy: register.gauge("navvy_worker_slots_busy", "Slots in which a job runs."),
            log_bytes: register.counter("navvy_log_bytes_total", "Bytes of job output sent, after masking."),
        }
    }

    /// A worker with `slots` slots started in this process.
    pub fn add_slots(&self, slots: u32) {
        self.slots.add(i64::from(slots));
    }

    /// A slot is busy while the guard lives.
    pub fn busy_slot(&self) -> Held {
        Held::new(&self.busy)
    }

    /// So many bytes of output were sent.
    pub fn logged(&self, bytes: u64) {
        self.log_bytes.inc_by(bytes);
    }
}
