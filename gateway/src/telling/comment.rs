//! The comment of a run, as its view and pages tell it. When which call is due is decided in [`crate::forge::commenter`];
//! here its memory is kept in NOTICES.

use super::{Telling, follow::Next};
use crate::forge::{
    Forge,
    comment::{Comment, Ending, Identity, Line, Moment, State},
    commenter::{self, Around, Pace, Shown, Step, Wanted},
};
use bus::{BusError, Held};
use jiff::Timestamp;
use proto::{
    orders::{OrdersSpec, PullRequest},
    subject,
    view::{JobView, JobsPage, RunStatus, RunView},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The forge, and how it is treated.
#[derive(Debug)]
pub(crate) struct Commenting {
    forge: Arc<dyn Forge>,
    pace: Pace,
    /// Until when it takes no calls from us, about whichever run.
    quiet_until: Mutex<Option<Timestamp>>,
}

impl Commenting {
    pub(crate) fn new(forge: Arc<dyn Forge>, pace: Pace) -> Self {
        Self { forge, pace, quiet_until: Mutex::default() }
    }

    /// Shows what is so now, if it is due.
    pub(super) async fn tell(&self, telling: &Telling, view: &RunView, spec: &OrdersSpec, on: &PullRequest) -> Result<Next, BusError> {
        let (notices, key) = (telling.app.bus.notices(), subject::comment_key(view.id));
        let mut held: Held<Shown> = notices.get(&key).await?;
        let identity = Identity::new(&spec.search_tag, &view.id, &spec.flow_id());
        let comment = comment_of(view, lines(telling, view).await?, identity.clone(), &telling.public_url);
        let wanted = Wanted::of(&comment);
        let now = Timestamp::now();
        let quiet_until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        let around = Around { now, me: &telling.me, quiet_until, pace: &self.pace };
        let write = match commenter::next(&held.value, &wanted, &around) {
            Step::Nothing => return Ok(Next::Settled),
            Step::WaitUntil(at) => return Ok(Next::At(at)),
            Step::Write(write) => write,
        };
        held.value = held.value.claimed(&around);
        held.revision = notices.change(&key, &held).await?;
        let outcome = commenter::perform(self.forge.as_ref(), on, &identity, write, &wanted, &self.pace).await;
        let after = Around { now: Timestamp::now(), ..around };
        if let Some(until) = outcome.quiet_until(after.now) {
            *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
        held.value = held.value.after(&wanted, &outcome, &after);
        if let Some(problem) = &held.value.problem {
            tracing::warn!(run = %view.id, problem, given_up = held.value.given_up, "the comment of a run could not be written");
        }
        notices.change(&key, &held).await?;
        // Once more: what it shows now may be what is wanted, or not yet.
        Ok(match commenter::next(&held.value, &wanted, &after) {
            Step::Nothing => Next::Settled,
            Step::WaitUntil(at) => Next::At(at),
            Step::Write(_) => Next::At(after.now),
        })
    }
}

async fn lines(telling: &Telling, view: &RunView) -> Result<Vec<Line>, BusError> {
    let mut lines = Vec::new();
    for page in 0..JobsPage::count(view.orders.map_or(0, |orders| orders.total)) {
        // Not shown yet: its orders wait.
        let Some(page) = telling.app.bus.views().jobs(view.id, page).await? else { continue };
        lines.extend(page.jobs.iter().map(line));
    }
    Ok(lines)
}

fn line(job: &JobView) -> Line {
    let state = match job.status.as_str() {
        "running" => State::Running,
        "unknown" => State::Unknown,
        "succeeded" => State::Succeeded,
        "failed" | "skipped" => State::Failed,
        "timed_out" => State::TimedOut,
        "cancelled" => State::Cancelled,
        // Blocked, ready or out: it has not begun.
        _ => State::Queued,
    };
    Line { name: job.name.clone(), state, reason: job.failure.as_ref().map(|failure| failure.message.clone()) }
}

fn comment_of(view: &RunView, orders: Vec<Line>, identity: Identity, public_url: &str) -> Comment {
    let counts = view.orders.unwrap_or_default();
    let link = (!public_url.is_empty()).then(|| format!("{public_url}/v1/runs/{}", view.id));
    Comment { identity, moment: moment(view), orders, counts, link }
}

fn moment(view: &RunView) -> Moment {
    let ended = view.ended_at.unwrap_or(view.accepted_at);
    let took = Duration::try_from(ended.duration_since(view.accepted_at)).unwrap_or_default();
    let failed = |ending| {
        let why = view.failure.as_ref().map(|failure| failure.message.clone());
        Moment::Failure { ending, why, took }
    };
    match view.status {
        RunStatus::Success => Moment::End { took },
        RunStatus::Failed => failed(Ending::Failed),
        RunStatus::TimedOut => failed(Ending::TimedOut),
        RunStatus::Cancelled => failed(Ending::Cancelled),
        RunStatus::Running | RunStatus::AwaitingApproval | RunStatus::Unknown => {
            let counts = view.orders.unwrap_or_default();
            let untouched = counts.blocked + counts.ready + counts.queued == counts.total;
            if untouched { Moment::Start } else { Moment::Progress }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proto::orders::OrderCounts;

    #[test]
    fn a_view_is_told_at_four_moments() {
        let counts = |queued, running| Some(OrderCounts { total: 2, queued, running, ..OrderCounts::default() });
        for (status, orders, expected) in [
            (RunStatus::Running, counts(2, 0), "Start"),
            (RunStatus::Running, counts(1, 1), "Progress"),
            (RunStatus::Success, counts(0, 0), "End"),
            (RunStatus::Failed, counts(0, 0), "Failure"),
            (RunStatus::TimedOut, counts(0, 0), "Failure"),
            (RunStatus::Cancelled, counts(0, 0), "Failure"),
        ] {
            let view = RunView { status, orders, ..fixtures::view() };
            assert!(format!("{:?}", moment(&view)).starts_with(expected), "{status:?}");
        }
    }
}
