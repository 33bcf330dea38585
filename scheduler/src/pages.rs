//! The jobs of runs that have many, shown in pages: what a decision touched is written again, and nothing else.

use crate::shard::{Shard, Slot};
use bus::BusError;
use domain::run::{self, Event, Run};
use proto::{JobNo, view::JobsPage};
use std::collections::BTreeSet;

/// Every page of a run: what was shown before this process knew the run is not known.
pub(crate) fn all(run: &Run) -> BTreeSet<u32> {
    if run.orders.is_some() { (0..JobsPage::count(run.jobs.len() as u32)).collect() } else { BTreeSet::new() }
}

/// Notes the pages that a decision touched.
pub(crate) fn touch(touched: &mut BTreeSet<u32>, run: &Run, events: &[Event]) {
    if run.orders.is_none() {
        return;
    }
    for event in events {
        match event {
            Event::Accepted { .. } => touched.extend(all(run)),
            Event::JobQueued { job, .. }
            | Event::Permitted { job, .. }
            | Event::EffectsStarted { job, .. }
            | Event::PhaseEntered { job, .. }
            | Event::AttemptEnded { job, .. }
            | Event::JobFailed { job, .. }
            | Event::JobTimedOut { job, .. }
            | Event::JobCancelled { job }
            | Event::JobSkipped { job }
            | Event::JobUnknown { job, .. }
            | Event::JobSucceeded { job } => touch_with_feeds(touched, run, *job),
            Event::OrdersSkipped { orders } | Event::OrdersCancelled { orders } => {
                for job in orders {
                    touch_with_feeds(touched, run, *job);
                }
            }
            // Of runs whose jobs stand in no pages.
            Event::JobLocked { .. }
            | Event::SyncPlanned { .. }
            | Event::ReleaseMade { .. }
            | Event::ServiceSynced { .. }
            | Event::JobPostponed { .. }
            | Event::JobSuperseded { .. } => {}
            Event::LocksGranted
            | Event::ApprovalOpened { .. }
            | Event::ApprovalGiven { .. }
            | Event::ApprovalRefused { .. }
            | Event::ApprovalExpired { .. }
            | Event::CommitPinned { .. }
            | Event::CancelRequested { .. }
            | Event::TimeLimitReached
            | Event::OrderTold { .. }
            | Event::Resolved { .. }
            | Event::RunEnded { .. } => {}
        }
    }
}

/// An order, and, where it is over, what has become ready by that. How many others a blocked one still waits for is not
/// shown, so its page stays as it is.
fn touch_with_feeds(touched: &mut BTreeSet<u32>, run: &Run, no: JobNo) {
    touched.insert(JobsPage::of(no));
    let Some(job) = run.job(no).filter(|job| job.state.is_over()) else { return };
    let ready = job.feeds.iter().filter(|feed| run.job(**feed).is_some_and(|fed| fed.unmet == 0));
    touched.extend(ready.copied().map(JobsPage::of));
}

/// The touched pages as they are now; they count as shown until they could not be.
pub(crate) fn due(slot: &mut Slot) -> Vec<JobsPage> {
    let touched = std::mem::take(&mut slot.touched);
    let Some(run) = &slot.run else { return Vec::new() };
    touched.into_iter().filter_map(|page| run::jobs_page(run, page, slot.seq)).collect()
}

/// Writes pages. Those that could not be written are due again.
pub(crate) async fn show(shard: &Shard, slot: &tokio::sync::Mutex<Slot>, pages: Vec<JobsPage>) -> Result<(), BusError> {
    let mut pages = pages.into_iter();
    while let Some(page) = pages.next() {
        if let Err(error) = shard.bus.views().put_jobs(&page).await {
            slot.lock().await.touched.extend(pages.map(|page| page.page).chain([page.page]));
            return Err(error);
        }
        failpoint::failpoint!("scheduler.page.shown");
    }
    Ok(())
}
