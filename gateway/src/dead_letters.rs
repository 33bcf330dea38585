//! `GET /v1/dead-letters`: messages that nobody could handle. What is in them is not shown: they are not what they should
//! be, so nobody knows what they hold.

use crate::{
    answers::{FieldProblem, Refusal},
    app::{App, in_time},
    door::query::Params,
};
use axum::{Json, extract::State};
use bus::Buried;
use proto::message::DeadLetter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The query as it arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuery {
    after: Option<String>,
}

/// Dead letters, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLettersBody {
    dead_letters: Vec<DeadLetterBody>,
    /// Goes into `after` for what follows; null when nothing does.
    next_after: Option<u64>,
}

/// A dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterBody {
    /// Its place in the stream DEAD, for `nats stream get DEAD`.
    place: u64,
    /// `{stream, subject, seq, deliveries, at, why}`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    about: DeadLetter,
    bytes: usize,
}

/// Shown at a time.
const PAGE: usize = 200;

/// The route.
pub(crate) async fn list(State(app): State<Arc<App>>, Params(query): Params<RawQuery>) -> Result<Json<DeadLettersBody>, Refusal> {
    let after = match query.after.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(Refusal::BadInput(vec![FieldProblem::new("after", "must be a number, as in next_after")])),
    };
    let found = in_time(async { Ok(app.bus.dead_letters().list(after).await?) }).await?;
    let next_after = found.get(PAGE - 1).filter(|_| found.len() > PAGE).map(|last| last.seq);
    let shown = |buried: Buried| DeadLetterBody { place: buried.seq, about: buried.about, bytes: buried.payload.len() };
    Ok(Json(DeadLettersBody { dead_letters: found.into_iter().take(PAGE).map(shown).collect(), next_after }))
}
