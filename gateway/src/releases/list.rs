//! `GET /v1/releases`: the runs that make releases, from the list of runs, with what became of them.

use super::request::kind;
use crate::{
    answers::{FieldProblem, Refusal},
    app::{App, in_time},
    door::query::Params,
    runs::{Filter, RawPage},
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use proto::{
    RunId, SourceId,
    git::{CommitId, GitRef},
    message::RunSpec,
    sync::{Environment, ReleaseKind},
    view::{RunStatus, RunView},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseBody {
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    /// Of the run: `running`, `success`, `failed`, `cancelled`, `unknown`.
    #[schema(value_type = String)]
    status: RunStatus,
    /// `staging`, `production`, `hotfix`, `rollback`.
    #[schema(value_type = String)]
    kind: ReleaseKind,
    /// Such as `v1.3.0`; null until it is made.
    tag: Option<String>,
    /// Whether the tag was there already, at the same commit.
    existed: bool,
    /// Why it is this version; empty until it is made.
    why: String,
    #[schema(value_type = Option<String>)]
    commit: Option<CommitId>,
    /// The release it is made from.
    #[schema(value_type = Option<String>)]
    from: Option<GitRef>,
    #[schema(value_type = String)]
    environment: Environment,
    #[schema(value_type = String)]
    source: SourceId,
    triggered_by: String,
    /// Who is known to have asked.
    by: String,
    #[schema(value_type = String, format = "date-time")]
    accepted_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Timestamp>,
}

/// A page of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleasesBody {
    /// Newest first.
    releases: Vec<ReleaseBody>,
    /// Goes into `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// The query as it arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuery {
    kind: Option<String>,
    environment: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The list.
pub(crate) async fn list(State(app): State<Arc<App>>, Params(query): Params<RawQuery>) -> Result<Json<ReleasesBody>, Refusal> {
    let (filter, page) = query.validate()?;
    let (views, next_cursor) = in_time(crate::runs::page(&app, &filter, &page)).await?;
    Ok(Json(ReleasesBody { releases: views.into_iter().filter_map(body).collect(), next_cursor }))
}

impl RawQuery {
    fn validate(self) -> Result<(Filter, RawPage), Refusal> {
        let mut problems = Vec::new();
        let wanted = self
            .kind
            .as_deref()
            .map(|word| kind(word).ok_or_else(|| FieldProblem::new("kind", "must be `staging`, `production`, `hotfix` or `rollback`")));
        let environment = self
            .environment
            .as_deref()
            .map(|name| name.parse::<Environment>().map_err(|error| FieldProblem::new("environment", error.to_string())));
        let wanted = wanted.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let environment = environment.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if problems.is_empty() {
            Ok((Filter::of_releases(wanted, environment), RawPage { limit: self.limit, cursor: self.cursor }))
        } else {
            Err(Refusal::BadInput(problems))
        }
    }
}

fn body(view: RunView) -> Option<ReleaseBody> {
    let RunSpec::Sync(spec) = view.spec else { return None };
    let order = spec.release?;
    let made = view.syncs.and_then(|syncs| syncs.release);
    Some(ReleaseBody {
        run_id: view.id,
        status: view.status,
        kind: order.kind,
        existed: made.as_ref().is_some_and(|made| made.existed),
        why: made.as_ref().map(|made| made.why.clone()).unwrap_or_default(),
        commit: made.as_ref().map(|made| made.commit.clone()).or(view.commit),
        tag: made.map(|made| made.tag),
        from: order.from,
        environment: spec.environment,
        source: spec.source,
        triggered_by: spec.triggered_by,
        by: view.by,
        accepted_at: view.accepted_at,
        ended_at: view.ended_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_query_names_its_fields() {
        let query = RawQuery { kind: Some("x".into()), environment: Some("a-b".into()), ..RawQuery::default() };
        let Err(Refusal::BadInput(problems)) = query.validate() else { panic!("refused") };
        assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["kind", "environment"]);
        let good = RawQuery { kind: Some("hotfix".into()), environment: Some("prod".into()), ..RawQuery::default() };
        assert!(good.validate().is_ok());
    }
}
