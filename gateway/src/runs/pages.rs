//! The jobs of a run of orders, read from the pages in which they stand: only the pages that are needed.

use crate::app::App;
use bus::BusError;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    RunId,
    view::{JobView, JobsPage},
};
use std::ops::Range;

/// Pages that are read at the same time.
const AT_ONCE: usize = 16;

/// The jobs in some pages, in their order. A page that no scheduler has written yet has none.
pub(crate) async fn read(app: &App, run: RunId, pages: Range<u32>) -> Result<Vec<JobView>, BusError> {
    let views = app.bus.views();
    let mut reads = Vec::new();
    for page in pages {
        reads.push(views.jobs(run, page));
    }
    let found: Vec<Option<JobsPage>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().flat_map(|page| page.jobs).collect())
}

/// Words for where a job may stand.
pub(crate) const STATUSES: [&str; 11] =
    ["blocked", "ready", "queued", "running", "waiting", "unknown", "succeeded", "failed", "timed_out", "cancelled", "skipped"];

/// Whether a job that stands so will not move any more.
pub(crate) fn is_over(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "timed_out" | "cancelled" | "skipped")
}
