//! Before the way in: a source whose secrets have not been fetched yet can tell nobody from another. Its deliveries are 503, and
//! come again; refused as unsigned, forges would switch the webhook off.

use super::door;
use crate::{answers::Refusal, app::App, sources::Source};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use std::sync::Arc;

/// `POST /hooks/{source}`.
pub(crate) async fn hook(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Result<Response, Refusal> {
    if app.sources.get(&id).is_some_and(|source| !source.is_ready()) {
        return Err(Refusal::Unavailable);
    }
    door::hook(State(app), Path(id), request).await
}

/// Takes in a delivery of a source, and answers.
pub(crate) async fn deliver(app: &Arc<App>, source: &Source, request: Request) -> Result<Response, Refusal> {
    if !source.is_ready() {
        return Err(Refusal::Unavailable);
    }
    door::deliver(app, source, request).await
}
