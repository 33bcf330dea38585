//! Events as a list, some at a time.

use super::{Shown, place::Place, reading::Reading};
use crate::{
    answers::{Door, Refusal},
    app::App,
};
use domain::run::Told;
use serde::Serialize;
use utoipa::ToSchema;

/// Decisions that are looked through for one answer; where few events are wanted it may hold fewer than the limit, or none,
/// and still say where to go on.
const MAX_READ: usize = 4096;

/// Some events of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsBody {
    /// `{seq, n, at, order_name, order_num?, event_type, status, flow_id, trace_id, run_id, attempt?, worker?, message?,
    /// summary?, done_endpt?, data?, custom?}`, oldest first.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Told>,
    /// Goes into `after` for what follows; null while nothing has happened.
    next_after: Option<String>,
    /// More has happened already.
    more: bool,
}

/// Reads on until there are enough.
pub(super) async fn read(app: &App, mut reading: Reading, limit: usize) -> Result<EventsBody, Refusal> {
    let view = app.find_run(reading.run).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
    let shown = Shown::of(&view);
    let mut events: Vec<Told> = Vec::new();
    for _ in 0..MAX_READ {
        let Some(some) = reading.next(shown).await? else { return Ok(EventsBody::new(events, reading.place(), false)) };
        events.extend(some);
        if events.len() >= limit {
            let cut = events.len() > limit;
            events.truncate(limit);
            let last = events.last().filter(|_| cut).map(|told| Place::behind(told.seq, told.n)).or(reading.place());
            let more = cut || reading.next(shown).await?.is_some();
            return Ok(EventsBody::new(events, last, more));
        }
    }
    Ok(EventsBody::new(events, reading.place(), true))
}

impl EventsBody {
    fn new(events: Vec<Told>, next: Option<Place>, more: bool) -> Self {
        Self { events, next_after: next.map(|place| place.to_string()), more }
    }
}
