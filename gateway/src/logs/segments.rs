//! The order of a run's log: jobs in order, attempts in order, an approval as a short log of its own.
//!
//! Pure: made from the view alone, so that every gateway at any time makes the same. Reading the bytes is `walk`'s part.

use crate::{answers::report, runs::pages::is_over};
use jiff::Timestamp;
use proto::{
    PoolName, WorkerId,
    ids::AttemptNo,
    message::JobAttempt,
    view::{AttemptView, JobView, RunView},
};

/// The action word of a gate.
const APPROVAL: &str = "approval";

/// One part of a run's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Whose part it is; the first half of a line's id.
    pub(crate) at: JobAttempt,
    /// Where its bytes are.
    pub(crate) origin: Origin,
}

/// Where the bytes of a segment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the store, written by a worker.
    Attempt {
        /// A worker had begun it.
        started: bool,
        /// When it was over; absent while it is not.
        ended_at: Option<Timestamp>,
        /// The pool in which it runs: the order's, or the run's.
        pool: PoolName,
        /// Who has its permit.
        worker: Option<WorkerId>,
    },
    /// Here: what happened at a gate. The text only ever grows.
    Gate {
        /// Whole lines.
        text: String,
        /// Nothing will be added.
        over: bool,
    },
}

/// The segments that exist so far, in the order of their ids.
///
/// `in_turn`: whoever reads on as a run goes on must not pass by what is still to come. Orders begin in any order, so those
/// behind the first one that is not over wait.
pub(crate) fn segments(view: &RunView, in_turn: bool) -> Vec<Segment> {
    let mut jobs: Vec<&JobView> = view.jobs.iter().collect();
    jobs.sort_by_key(|job| job.n);
    if in_turn && view.orders.is_some() {
        let first_open = jobs.iter().position(|job| !is_over(&job.status));
        jobs.truncate(first_open.map_or(jobs.len(), |first| first + 1));
    }
    jobs.into_iter().flat_map(|job| if job.action == APPROVAL { gate(view, job) } else { attempts(view, job) }).collect()
}

fn attempts(view: &RunView, job: &JobView) -> Vec<Segment> {
    let pool = job.pool.as_ref().unwrap_or(&view.pool);
    let mut attempts: Vec<&AttemptView> = job.attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt.n);
    let segment = |attempt: &AttemptView| Segment {
        at: JobAttempt { job: job.n, attempt: attempt.n },
        origin: Origin::Attempt {
            started: attempt.started_at.is_some(),
            ended_at: attempt.ended_at,
            pool: pool.clone(),
            worker: attempt.worker.clone(),
        },
    };
    attempts.into_iter().map(segment).collect()
}

/// A gate that nobody has reached yet says nothing.
fn gate(view: &RunView, job: &JobView) -> Vec<Segment> {
    let Some(approval) = &view.approval else { return Vec::new() };
    let over = matches!(job.status.as_str(), "succeeded" | "failed" | "cancelled" | "skipped");
    let outcome = match approval.state.as_str() {
        "approved" => Some(report::GATE_APPROVED),
        "rejected" => Some(report::GATE_REJECTED),
        "expired" => Some(report::GATE_EXPIRED),
        _ if over && view.cancel.is_some() => Some(report::GATE_CANCELLED),
        _ => None,
    };
    // `opened_at` is when somebody began to wait; a run that was cancelled before that never waited.
    if approval.opened_at.is_none() {
        return Vec::new();
    }
    let text = [Some(report::GATE_WAITING), outcome].into_iter().flatten().fold(String::new(), |text, line| text + line + "\n");
    vec![Segment { at: JobAttempt { job: job.n, attempt: AttemptNo::FIRST }, origin: Origin::Gate { text, over } }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, at};
    use proto::{
        JobNo,
        orders::OrderCounts,
        view::{ApprovalView, CancelView},
    };

    fn ids(view: &RunView) -> Vec<(u32, u32)> {
        segments(view, true).iter().map(|segment| (segment.at.job.0, segment.at.attempt.0)).collect()
    }

    fn gated(state: &str, job: &str) -> RunView {
        let mut view = fixtures::view();
        view.jobs = vec![fixtures::job(0, "terraform", 1), fixtures::job(1, "approval", 0), fixtures::job(2, "terraform", 0)];
        job.clone_into(&mut view.jobs[1].status);
        view.approval = Some(ApprovalView { state: state.into(), by: None, at: None, opened_at: Some(at(5)), expires_at: None });
        view
    }

    fn gate_text(view: &RunView) -> Option<(String, bool)> {
        segments(view, true).into_iter().find_map(|segment| match segment.origin {
            Origin::Gate { text, over } => Some((text, over)),
            Origin::Attempt { .. } => None,
        })
    }

    #[test]
    fn jobs_and_attempts_come_in_order_whatever_the_view_s_order() {
        let mut view = gated("approved", "succeeded");
        view.jobs[2] = fixtures::job(2, "terraform", 2);
        view.jobs.reverse();
        view.jobs[0].attempts.reverse();
        assert_eq!(ids(&view), [(0, 1), (1, 1), (2, 1), (2, 2)]);
        assert_eq!(view.jobs[0].n, JobNo(2));
    }

    #[test]
    fn the_gate_tells_its_story_and_only_adds_to_it() {
        let waiting = "Waiting for approval...\n".to_owned();
        assert_eq!(gate_text(&gated("waiting", "waiting")), Some((waiting.clone(), false)));
        for (state, line) in [
            ("approved", "✅ Deployment approved, continuing with apply...\n"),
            ("rejected", "❌ Deployment rejected by user\n"),
            ("expired", "⏱️ Approval timeout exceeded\n"),
        ] {
            assert_eq!(gate_text(&gated(state, "succeeded")), Some((waiting.clone() + line, true)), "{state}");
        }
        let mut cancelled = gated("waiting", "cancelled");
        cancelled.cancel = Some(CancelView { by: "ann".into(), at: at(9), force: false });
        assert_eq!(gate_text(&cancelled), Some((waiting + "🛑 Deployment cancelled by user\n", true)));
    }

    #[test]
    fn an_order_is_read_where_its_own_pool_wrote_it() {
        let mut view = fixtures::view();
        view.jobs = vec![fixtures::job(0, "shell", 1), fixtures::job(1, "shell", 1)];
        view.jobs[1].pool = Some("gpu".parse().unwrap());
        let pools = segments(&view, false).into_iter().map(|segment| match segment.origin {
            Origin::Attempt { pool, .. } => pool.to_string(),
            Origin::Gate { .. } => String::new(),
        });
        assert_eq!(pools.collect::<Vec<_>>(), ["default", "gpu"]);
    }

    #[test]
    fn orders_that_began_before_their_turn_wait_for_it() {
        let mut view = fixtures::view();
        view.orders = Some(OrderCounts::default());
        view.jobs = vec![fixtures::job(0, "shell", 1), fixtures::job(1, "shell", 0), fixtures::job(2, "shell", 1)];
        view.jobs[0].status = "succeeded".into();
        view.jobs[1].status = "blocked".into();
        assert_eq!((ids(&view), segments(&view, false).len()), (vec![(0, 1)], 2));
        view.jobs[1] = fixtures::job(1, "shell", 1);
        assert_eq!(ids(&view), [(0, 1), (1, 1)]);
        view.jobs[1].status = "failed".into();
        assert_eq!(ids(&view), [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn a_gate_that_was_never_reached_is_silent() {
        let mut view = gated("waiting", "skipped");
        view.approval.as_mut().unwrap().opened_at = None;
        assert_eq!(gate_text(&view), None);
        view.approval = None;
        assert_eq!(gate_text(&view), None);
    }
}
