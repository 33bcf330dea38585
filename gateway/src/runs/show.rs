//! `GET /v1/runs` and `/v1/runs/{id}`.

use super::{Filter, RawPage, RawQuery, RunBody, RunsBody, cursor::Place, evidence, run_id, waiting};
use crate::{
    answers::{Door, Refusal},
    app::{App, in_time},
    door::query::Params,
};
use axum::{
    Json,
    extract::{Path, State},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::view::RunView;
use std::sync::Arc;

/// Views that are read at the same time for one page.
const AT_ONCE: usize = 16;

/// The list.
pub(crate) async fn list(State(app): State<Arc<App>>, Params(query): Params<RawQuery>) -> Result<Json<RunsBody>, Refusal> {
    let query = query.validate()?;
    let (views, next_cursor) = in_time(async {
        let (mut views, next_cursor) = read_page(&app, &query.filter, query.limit, query.after).await?;
        waiting::fill(&app, &mut views).await?;
        Ok((views, next_cursor))
    })
    .await?;
    Ok(Json(RunsBody { runs: views.into_iter().map(RunBody::listed).collect(), next_cursor }))
}

/// A page of runs that pass a filter, newest first, and the cursor of the next one.
pub(crate) async fn page(app: &App, filter: &Filter, page: &RawPage) -> Result<(Vec<RunView>, Option<String>), Refusal> {
    let (limit, after) = page.validate()?;
    read_page(app, filter, limit, after).await
}

async fn read_page(app: &App, filter: &Filter, limit: usize, after: Option<Place>) -> Result<(Vec<RunView>, Option<String>), Refusal> {
    let page = {
        let index = app.index.read();
        if !index.is_complete() {
            return Err(Refusal::Loading);
        }
        index.page(filter, after, limit)
    };
    let mut reads = Vec::new();
    for id in page.runs {
        reads.push(app.find_run(id));
    }
    let found: Vec<Option<RunView>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    // A view that is gone by now has aged out between the index and here.
    Ok((found.into_iter().flatten().collect(), page.next.map(Place::to_cursor)))
}

/// One run.
pub(crate) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<RunBody>, Refusal> {
    let view = find(&app, &id).await?;
    let evidence = evidence::of(&app, &view).await;
    Ok(Json(RunBody::whole(view).with_evidence(evidence)))
}

async fn find(app: &App, id: &str) -> Result<RunView, Refusal> {
    let id = run_id(id, Door::V1)?;
    in_time(async {
        let mut view = app.find_run(id).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
        waiting::fill(app, std::slice::from_mut(&mut view)).await?;
        Ok(view)
    })
    .await
}
