//! A public event of a run: its log as whoever asks is told it. How a log becomes such events is in `narrator`.
//!
//! An event has a place: the sequence of the decision that brought it, and its number among the events of that decision.

use jiff::Timestamp;
use proto::{AttemptNo, RunId, WorkerId, orders::DoneSummary};
use serde::Serialize;
use serde_json::Value;

/// Stands in for an order's name in what concerns the whole run. No order is called so.
pub const WHOLE_RUN: &str = "_job";

/// A public event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// Sequence in RUNS of the decision that brought it.
    pub seq: u64,
    /// Its number among the events of that decision, from 0.
    pub n: u32,
    pub at: Timestamp,
    /// The name of the order or job; [`WHOLE_RUN`] for what concerns the run.
    pub order_name: String,
    /// `0001` is the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_num: Option<String>,
    pub event_type: String,
    pub status: String,
    /// Only of a run of orders.
    pub flow_id: Option<String>,
    /// Only of a run of orders.
    pub trace_id: Option<String>,
    pub run_id: RunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptNo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// At the end of the run: how many ended how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<DoneSummary>,
    /// At the beginning and the end of the run: where the done marker is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_endpt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The order's own words: type, status and data are what its commands told, and prove nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub custom: bool,
}

impl Told {
    pub(super) fn attempt(self, attempt: Option<AttemptNo>) -> Self {
        Self { attempt, ..self }
    }

    pub(super) fn message(self, message: &str) -> Self {
        Self { message: Some(message.to_owned()).filter(|message| !message.is_empty()), ..self }
    }

    pub(super) fn data(self, data: Value) -> Self {
        Self { data: Some(data).filter(|data| !data.is_null()), ..self }
    }
}
