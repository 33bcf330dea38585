//! What happened to a run, as a list and as a stream. It is the run's log in RUNS, told in public words
//! ([`domain::run::Narrator`]); nothing is stored twice.
//!
//! [`place`] says where an event stands, [`reading`] reads the log on from a place, some decisions at a time; [`list`] and
//! [`live`] hand out what it tells. Told is only what the run's view shows already, so nobody hears of an end that
//! `GET /v1/runs/{id}` does not know.

mod list;
mod live;
mod place;
mod reading;

use crate::{
    answers::{Door, Refusal},
    app::{App, in_time},
    auth::Who,
    door::query::Params,
    logs::{event_stream, last_event_id, switch},
    runs::{run_id, summary},
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use live::Live;
use place::Place;
use proto::{orders::DoneSummary, view::RunView};
use reading::{Filter, Reading};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc};

pub(crate) use list::EventsBody;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which events, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    after: Option<String>,
    limit: Option<String>,
    order: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    follow: Option<String>,
}

impl EventsQuery {
    fn after(&self) -> Result<Option<Place>, Refusal> {
        let parse = |text: &str| text.trim().parse().map_err(|()| Refusal::field("after", "must be SEQ or SEQ.N, as `next_after` has it"));
        self.after.as_deref().map(parse).transpose()
    }

    fn limit(&self) -> Result<usize, Refusal> {
        match self.limit.as_deref().map(str::parse::<usize>) {
            None => Ok(DEFAULT_LIMIT),
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(Refusal::field("limit", format!("must be 1 to {MAX_LIMIT}"))),
        }
    }
}

/// How far a run is shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    /// The last decision that is.
    seq: u64,
    summary: DoneSummary,
    over: bool,
}

impl Shown {
    fn of(view: &RunView) -> Self {
        Self { seq: view.seq, summary: summary(view), over: view.status.is_terminal() }
    }
}

/// The route.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Who(caller): Who,
    Path(id): Path<String>,
    Params(query): Params<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id = run_id(&id, Door::V1)?;
    let (after, limit, follow) = (query.after()?, query.limit()?, switch("follow", query.follow.as_deref())?);
    let filter = Filter { order: query.order, event_type: query.event_type };
    let reading = |after| Reading::new(&app, id, after, filter);
    if follow != Some(true) && !wants_stream(&headers) {
        return in_time(list::read(&app, reading(after), limit)).await.map(|body: EventsBody| Json(body).into_response());
    }
    // A place that cannot be understood is no place: better to be told twice than not at all.
    let after = last_event_id(&headers).and_then(|text| text.parse().ok()).or(after);
    let place = app.readers.enter(&caller)?;
    let live = in_time(Live::open(&app, caller, place, reading(after), follow != Some(false))).await?;
    let frames = stream::unfold(live, |mut live| async move {
        let frame = live.next().await?;
        Some((Ok::<_, Infallible>(frame), live))
    });
    Ok(event_stream(Body::from_stream(frames)))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_or_named() {
        let query =
            |after: &str, limit: &str| EventsQuery { after: Some(after.into()), limit: Some(limit.into()), ..EventsQuery::default() };
        assert_eq!(query("7.2", "1").after(), Ok("7.2".parse().ok()));
        assert_eq!((query("", "1000").limit(), EventsQuery::default().limit()), (Ok(1000), Ok(100)));
        for limit in ["0", "1001", "-1", "x"] {
            assert_eq!(query("", limit).limit().unwrap_err().named_field(), Some("limit"));
        }
        assert_eq!(query("x", "1").after().unwrap_err().named_field(), Some("after"));
    }

    #[test]
    fn a_stream_is_for_whoever_accepts_one() {
        let accept = |value: &'static str| HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]);
        assert!(wants_stream(&accept("text/event-stream")) && wants_stream(&accept("application/json, text/event-stream;q=0.9")));
        assert!(!wants_stream(&accept("*/*")) && !wants_stream(&HeaderMap::new()));
    }
}
