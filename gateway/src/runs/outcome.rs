//! How a run, or one of its orders, ended, as the replaced order engine told it: the done marker and `result.json`.
//!
//! Derived when somebody asks, from the view and the log; kept for a day after the end of the run, as that engine did.

use super::{
    pages::{self, is_over},
    run_id,
};
use crate::{
    answers::{Door, Refusal},
    app::{App, in_time},
};
use axum::{
    Json,
    extract::{Path, State},
};
use bus::Written;
use jiff::{SignedDuration, Timestamp};
use proto::{
    JobNo,
    ids::AttemptId,
    orders::{DoneMarker, DoneSummary, RESULT_SCHEMA, ResultFile},
    view::{JobView, JobsPage, RunStatus, RunView},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How long after the end of a run its done marker and results can be read.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Longest log in a `result.json`, in bytes; of a longer one it is the end.
const MAX_LOG_BYTES: usize = 262_144;

/// The done marker: how the run ended, and nothing of what it did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct DoneBody(DoneMarker);

/// `{schema_version, status, log}` of an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct ResultBody(ResultFile);

/// `GET /v1/runs/{id}/done`.
pub(crate) async fn done(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<DoneBody>, Refusal> {
    let id = run_id(&id, Door::V1)?;
    let view = in_time(async { app.find_run(id).await?.ok_or(Refusal::RunNotFound(Door::V1)) }).await?;
    let marker = marker(&view).ok_or(Refusal::NotOver)?;
    still_kept(&view, Timestamp::now())?;
    Ok(Json(DoneBody(marker)))
}

/// `GET /v1/runs/{id}/orders/{num}/result.json`.
pub(crate) async fn result(State(app): State<Arc<App>>, Path((id, num)): Path<(String, String)>) -> Result<Json<ResultBody>, Refusal> {
    let (id, no) = (run_id(&id, Door::V1)?, order_no(&num)?);
    in_time(async {
        let view = app.find_run(id).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
        if view.orders.is_none_or(|orders| no.0 >= orders.total) {
            return Err(Refusal::OrderNotFound);
        }
        still_kept(&view, Timestamp::now())?;
        let page = JobsPage::of(no);
        let job = pages::read(&app, id, page..page + 1).await?.into_iter().find(|job| job.n == no).ok_or(Refusal::NotOver)?;
        let status = result_status(&job.status).ok_or(Refusal::NotOver)?.to_owned();
        let log = end_of(log_of(&app, &view, &job).await?);
        Ok(Json(ResultBody(ResultFile { schema_version: RESULT_SCHEMA.to_owned(), status, log })))
    })
    .await
}

/// `0001` and `1` are the first order.
fn order_no(num: &str) -> Result<JobNo, Refusal> {
    let digits = !num.is_empty() && num.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = num.parse().ok().filter(|_| digits).ok_or(Refusal::OrderNotFound)?;
    number.checked_sub(1).map(JobNo).ok_or(Refusal::OrderNotFound)
}

fn still_kept(view: &RunView, now: Timestamp) -> Result<(), Refusal> {
    match view.ended_at {
        Some(ended) if now.duration_since(ended) > KEPT => Err(Refusal::Gone),
        Some(_) | None => Ok(()),
    }
}

/// The marker of a run that is over.
pub(crate) fn marker(view: &RunView) -> Option<DoneMarker> {
    let status = match view.status {
        RunStatus::Success => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::TimedOut => "timed_out",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Running | RunStatus::AwaitingApproval | RunStatus::Unknown => return None,
    };
    Some(DoneMarker { status: status.to_owned(), summary: summary(view) })
}

/// How the orders of a run ended. Of any other run every job counts as one order; what never came about because the run
/// failed counts as failed, as it does among orders.
pub(crate) fn summary(view: &RunView) -> DoneSummary {
    if let Some(orders) = view.orders {
        let proto::orders::OrderCounts { succeeded, failed, timed_out, cancelled, .. } = orders;
        return DoneSummary { succeeded, failed, timed_out, cancelled };
    }
    let mut summary = DoneSummary::default();
    for job in &view.jobs {
        match job.status.as_str() {
            "succeeded" => summary.succeeded += 1,
            "failed" => summary.failed += 1,
            "timed_out" => summary.timed_out += 1,
            "cancelled" => summary.cancelled += 1,
            "skipped" if view.status == RunStatus::Cancelled => summary.cancelled += 1,
            "skipped" => summary.failed += 1,
            _ => {}
        }
    }
    summary
}

/// The replaced engine knew no cancel: who waits for a result must not wait for ever, so a cancelled order has failed.
fn result_status(status: &str) -> Option<&'static str> {
    match status {
        "succeeded" => Some("succeeded"),
        "timed_out" => Some("timed_out"),
        _ => is_over(status).then_some("failed"),
    }
}

/// The masked log of the order's last attempt, as far back as it is kept at hand, and why it did not succeed.
async fn log_of(app: &App, view: &RunView, job: &JobView) -> Result<String, Refusal> {
    let mut log = String::new();
    if let Some(attempt) = job.attempts.iter().max_by_key(|attempt| attempt.n).filter(|attempt| attempt.started_at.is_some()) {
        let id = AttemptId { run: view.id, job: job.n, attempt: attempt.n };
        let pool = job.pool.as_ref().unwrap_or(&view.pool).clone();
        let shared = app.tails.read(&app.bus, Written { id, pool, worker: attempt.worker.clone() }, true).await?;
        log = shared.lock().await.whole();
    }
    let why = match &job.failure {
        Some(failure) if !failure.message.is_empty() => failure.message.as_str(),
        Some(_) | None if job.status == "cancelled" => "cancelled",
        Some(_) | None => return Ok(log),
    };
    if !log.is_empty() && !log.ends_with('\n') {
        log.push('\n');
    }
    // What the commands said last often says it already.
    if !log.trim_end().ends_with(why) {
        log.push_str(why);
        log.push('\n');
    }
    Ok(log)
}

fn end_of(log: String) -> String {
    let Some(surplus) = log.len().checked_sub(MAX_LOG_BYTES).filter(|surplus| *surplus > 0) else { return log };
    let begin = (surplus..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    log[begin..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, at};
    use proto::orders::OrderCounts;

    #[test]
    fn an_order_s_number_is_read_with_and_without_zeros() {
        assert_eq!((order_no("0001"), order_no("1"), order_no("10000")), (Ok(JobNo(0)), Ok(JobNo(0)), Ok(JobNo(9999))));
        for bad in ["", "0", "0000", "+1", "-1", "x", "99999999999"] {
            assert_eq!(order_no(bad), Err(Refusal::OrderNotFound), "{bad}");
        }
    }

    #[test]
    fn a_marker_is_there_when_the_run_is_over_and_for_a_day() {
        let mut view = fixtures::view();
        view.orders = Some(OrderCounts { total: 6, succeeded: 3, failed: 2, cancelled: 1, ..OrderCounts::default() });
        assert_eq!((marker(&view), still_kept(&view, at(9_999_999))), (None, Ok(())));
        view.ended_at = Some(at(0));
        for (status, word) in [
            (RunStatus::Success, "succeeded"),
            (RunStatus::Failed, "failed"),
            (RunStatus::TimedOut, "timed_out"),
            (RunStatus::Cancelled, "cancelled"),
        ] {
            view.status = status;
            let summary = DoneSummary { succeeded: 3, failed: 2, timed_out: 0, cancelled: 1 };
            assert_eq!(marker(&view), Some(DoneMarker { status: word.into(), summary }));
        }
        assert_eq!(still_kept(&view, at(86_400)), Ok(()));
        assert_eq!(still_kept(&view, at(86_401)), Err(Refusal::Gone));
    }

    #[test]
    fn every_job_of_another_run_counts_as_an_order() {
        let mut view = fixtures::view();
        view.jobs = (0..3).map(|n| fixtures::job(n, "terraform", 1)).collect();
        for (job, status) in view.jobs.iter_mut().zip(["succeeded", "cancelled", "skipped"]) {
            job.status = status.into();
        }
        view.status = RunStatus::Cancelled;
        assert_eq!(summary(&view), DoneSummary { succeeded: 1, cancelled: 2, ..DoneSummary::default() });
        view.status = RunStatus::Failed;
        assert_eq!(summary(&view), DoneSummary { succeeded: 1, cancelled: 1, failed: 1, timed_out: 0 });
    }

    #[test]
    fn a_long_log_keeps_its_end_in_whole_characters() {
        assert_eq!(end_of("short\n".into()), "short\n");
        let long = end_of(format!("{}end", "é".repeat(MAX_LOG_BYTES)));
        assert!(long.len() <= MAX_LOG_BYTES && long.len() > MAX_LOG_BYTES - 2 && long.ends_with("éend"));
    }

    #[test]
    fn a_cancelled_order_has_failed_for_whoever_waits_for_its_result() {
        for (status, told) in
            [("succeeded", Some("succeeded")), ("timed_out", Some("timed_out")), ("failed", Some("failed")), ("cancelled", Some("failed"))]
        {
            assert_eq!(result_status(status), told);
        }
        assert!(["running", "queued", "blocked", "ready", "unknown"].iter().all(|status| result_status(status).is_none()));
    }
}
