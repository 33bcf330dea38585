//! `GET /v1/runs/{id}/log.txt`: the log as it is, what is there now.
//!
//! One attempt, or the whole run in the order of the live log. Sent as it is read, never held whole.

use super::{
    part::Part,
    walk::{Step, Walk},
};
use crate::{
    answers::{Door, Refusal, chain, report},
    app::{App, in_time},
    door::query::Params,
    runs::run_id,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use proto::{AttemptNo, JobNo, message::JobAttempt, view::RunView};
use serde::Deserialize;
use std::sync::Arc;

/// Which part of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextQuery {
    job: Option<String>,
    attempt: Option<String>,
}

impl TextQuery {
    /// The attempt that is asked for; without one the latest of the job; without a job the whole run.
    fn attempt(&self, view: &RunView) -> Result<Option<JobAttempt>, Refusal> {
        let number = |field: &str, text: &Option<String>| match text.as_deref().map(str::parse::<u32>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(Refusal::field(field, "must be a whole number")),
        };
        match (number("job", &self.job)?, number("attempt", &self.attempt)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Refusal::field("job", "is required with attempt")),
            (Some(job), Some(attempt)) => Ok(Some(JobAttempt { job: JobNo(job), attempt: AttemptNo(attempt) })),
            (Some(job), None) => {
                let found = view.jobs.iter().find(|known| known.n == JobNo(job)).ok_or(Refusal::LogNotFound)?;
                let attempt = found.attempts.iter().map(|attempt| attempt.n).max().unwrap_or(AttemptNo::FIRST);
                Ok(Some(JobAttempt { job: JobNo(job), attempt }))
            }
        }
    }
}

/// The route.
pub(crate) async fn text(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Params(query): Params<TextQuery>,
) -> Result<Response, Refusal> {
    let id = run_id(&id, Door::V1)?;
    let part = Part::of(query.job.as_deref())?;
    let view = in_time(part.view(&app, id)).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
    let walk = match query.attempt(&view)? {
        None => Some(Walk::new(app.bus.clone(), &view, part, None, false)),
        Some(at) => Walk::of_attempt(app.bus.clone(), &view, at),
    };
    let walk = walk.ok_or(Refusal::LogNotFound)?;
    let body = Body::from_stream(stream::unfold(Some(walk), |walk| async move { next(walk?).await }));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], body).into_response())
}

type Next = Option<(Result<Bytes, std::io::Error>, Option<Walk>)>;

/// The next bytes. An error breaks the answer off, so that a part is never taken for the whole.
async fn next(mut walk: Walk) -> Next {
    loop {
        match walk.step().await {
            Ok(Step::Bytes { bytes, .. }) => return Some((Ok(bytes), Some(walk))),
            Ok(Step::Gap { missing, .. }) => return Some((Ok(Bytes::from(report::gap_mark(missing))), Some(walk))),
            Ok(Step::SegmentOver) => {}
            Ok(Step::Dry { .. } | Step::Done) => return None,
            Err(error) => {
                tracing::warn!(error = chain(&error), "a log was not sent to its end");
                return Some((Err(std::io::Error::other("the store cannot be read")), None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn the_part_that_is_asked_for() {
        let mut view = fixtures::view();
        view.jobs = vec![fixtures::job(0, "terraform", 2), fixtures::job(1, "approval", 0)];
        let ask = |job: Option<&str>, attempt: Option<&str>| {
            let query = TextQuery { job: job.map(str::to_owned), attempt: attempt.map(str::to_owned) };
            query.attempt(&view).map(|at| at.map(|at| (at.job.0, at.attempt.0))).map_err(|refusal| refusal.text())
        };
        assert_eq!(ask(None, None), Ok(None));
        assert_eq!(ask(Some("0"), None), Ok(Some((0, 2))));
        assert_eq!(ask(Some("1"), None), Ok(Some((1, 1))));
        assert_eq!(ask(Some("0"), Some("1")), Ok(Some((0, 1))));
        assert!(ask(Some("7"), None).is_err() && ask(Some("-1"), None).is_err() && ask(None, Some("1")).is_err());
    }
}
