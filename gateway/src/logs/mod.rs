//! A run's log for people: live lines, and plain text.
//!
//! The way of a byte: [`source`] reads one attempt in order, [`walk`] puts attempts and gates in order, [`lines`] cuts
//! lines, [`frame`] writes events, [`live`] is one reader of them, [`raw`] is the log as text; [`part`] says whose jobs they
//! are, [`listener`] is what live readers of anything have in common. Logs never pass the scheduler; what is masked was masked before it left the worker.

mod archive;
mod clocks;
pub(crate) mod frame;
mod lines;
pub(crate) mod listener;
mod live;
pub(crate) mod part;
mod raw;
mod readers;
mod segments;
pub(crate) mod source;
mod walk;

use crate::{
    answers::{Door, Refusal},
    app::{App, in_time},
    auth::Who,
    door::query::Params,
    runs::run_id,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use live::{Live, Wish};
use part::Part;
use proto::{RunId, log::LogPosition};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc};

pub(crate) use raw::text;
pub(crate) use readers::{Place, Readers};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx and its kin to pass on what comes as it comes.
const NO_BUFFERING: (HeaderName, HeaderValue) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// How to read a log live.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    follow: Option<String>,
    after: Option<String>,
    job: Option<String>,
}

impl LogQuery {
    /// What is asked for with it.
    fn wish(&self, run: RunId, headers: &HeaderMap) -> Result<Wish, Refusal> {
        Ok(Wish { run, part: Part::of(self.job.as_deref())?, after: self.after(headers), follow: self.follow()? })
    }

    /// Whether to stay for what is to come.
    fn follow(&self) -> Result<bool, Refusal> {
        Ok(switch("follow", self.follow.as_deref())?.unwrap_or(true))
    }

    /// Where to resume. A place that cannot be understood is no place: better to see a line twice than not at all.
    fn after(&self, headers: &HeaderMap) -> Option<LogPosition> {
        last_event_id(headers).or(self.after.as_deref())?.trim().parse().ok()
    }
}

/// A parameter that is 0 or 1.
pub(crate) fn switch(name: &str, value: Option<&str>) -> Result<Option<bool>, Refusal> {
    match value {
        None => Ok(None),
        Some("1" | "true") => Ok(Some(true)),
        Some("0" | "false") => Ok(Some(false)),
        Some(_) => Err(Refusal::field(name, "must be 0 or 1")),
    }
}

/// The id of the last event that a client has seen, as it says.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok())
}

/// `GET /deploy/{id}/logs`.
pub(crate) async fn of_deployment(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    Path(id): Path<String>,
    Params(query): Params<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let wish = query.wish(run_id(&id, Door::Deploy)?, &headers)?;
    stream_to(app, caller, wish, Door::Deploy).await
}

/// `GET /v1/runs/{id}/logs`.
pub(crate) async fn of_run(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    Path(id): Path<String>,
    Params(query): Params<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let wish = query.wish(run_id(&id, Door::V1)?, &headers)?;
    stream_to(app, caller, wish, Door::V1).await
}

async fn stream_to(app: Arc<App>, caller: crate::auth::Principal, wish: Wish, door: Door) -> Result<Response, Refusal> {
    let place = app.readers.enter(&caller)?;
    let live = in_time(Live::open(&app, caller, wish, place)).await?.ok_or(Refusal::RunNotFound(door))?;
    let frames = stream::unfold(live, |mut live| async move {
        let frame = live.next().await?;
        Some((Ok::<_, Infallible>(frame), live))
    });
    Ok(event_stream(Body::from_stream(frames)))
}

/// An answer of events, each passed on as it comes.
pub(crate) fn event_stream(events: Body) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")), NO_BUFFERING];
    (kind, events).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_resume_at_is_understood_or_ignored() {
        let query = |after: &str| LogQuery { after: Some(after.into()), ..LogQuery::default() };
        let header = |id: &'static str| HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(id))]);
        assert_eq!(query("0.1.7").after(&HeaderMap::new()), "0.1.7".parse().ok());
        assert_eq!(query("0.1.7").after(&header("2.1.9")), "2.1.9".parse().ok());
        for garbage in ["", "x", "-1", "99999999999999999999999.1.1", "1.1.1.1"] {
            assert_eq!(query(garbage).after(&HeaderMap::new()), None, "{garbage}");
            assert_eq!(LogQuery::default().after(&header(garbage)), None, "{garbage}");
        }
    }

    #[test]
    fn follow_is_a_switch() {
        let query = |follow: Option<&str>| LogQuery { follow: follow.map(str::to_owned), ..LogQuery::default() };
        assert_eq!(query(None).follow(), Ok(true));
        assert_eq!(query(Some("0")).follow(), Ok(false));
        assert!(query(Some("maybe")).follow().is_err());
    }
}
