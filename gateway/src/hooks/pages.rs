//! `GET /v1/deliveries` and `/v1/deliveries/{id}`: what came, and what became of it.

use super::{
    explain::{Explain, explain},
    record::{Delivery, Verdict, is_key},
};
use crate::{
    answers::{FieldProblem, Refusal},
    app::{App, in_time},
    door::query::Params,
};
use axum::{
    Json,
    extract::{Path, State},
};
use bus::StoredDelivery;
use jiff::Timestamp;
use proto::{RunId, SourceId, git::CommitId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Largest page.
const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// The query of a list as it arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuery {
    source: Option<String>,
    verdict: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A valid one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Query {
    source: Option<SourceId>,
    /// Any of these; empty: all.
    verdicts: Vec<Verdict>,
    limit: usize,
    before: Option<u64>,
}

/// Deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveriesBody {
    deliveries: Vec<DeliveryBody>,
    /// Goes into `cursor` for what follows, also where a page is short or empty; null when nothing does.
    next_cursor: Option<String>,
}

/// A delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    id: String,
    #[schema(value_type = String)]
    source: SourceId,
    /// `github`, `gitlab`, `gitea`, `bitbucket-cloud`, `bitbucket-server`, `azure-devops`.
    kind: String,
    event: String,
    /// The forge's id of it.
    forge_id: String,
    #[schema(value_type = String, format = "date-time")]
    received_at: Timestamp,
    verdict: Verdict,
    /// Why nothing was done, or why it was not believed; else empty.
    reason: String,
    /// Which secret it was signed with.
    key_id: Option<String>,
    #[schema(value_type = Option<String>, format = "uuid")]
    run_id: Option<RunId>,
    body_sha256: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[schema(value_type = Option<String>)]
    before: Option<CommitId>,
    #[schema(value_type = Option<String>)]
    after: Option<CommitId>,
    forced: bool,
    /// Who pushed, in the forge's words.
    sender: Option<String>,
    /// The address it came from.
    from: Option<String>,
    /// Another delivery had the same id and another body.
    id_reused: bool,
    /// Why it had been ignored, before it was judged anew and made its run.
    was_ignored: Option<String>,
    /// Who had it done once more, and of which delivery; of one that was judged anew because a person wanted it, who.
    by: Option<String>,
    of: Option<String>,
}

/// A delivery, and why it became what it did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedBody {
    #[serde(flatten)]
    delivery: DeliveryBody,
    explain: Explain,
}

/// The list.
pub(crate) async fn list(State(app): State<Arc<App>>, Params(query): Params<RawQuery>) -> Result<Json<DeliveriesBody>, Refusal> {
    let Query { source, verdicts, limit, before } = query.validate()?;
    let wanted = |record: &Delivery| verdicts.is_empty() || verdicts.contains(&record.verdict);
    let page = in_time(async { Ok(app.bus.deliveries().before(source.as_ref(), before, limit, wanted).await?) }).await?;
    let deliveries = page.found.into_iter().map(|StoredDelivery { key, record, .. }| DeliveryBody::of(key, record)).collect();
    Ok(Json(DeliveriesBody { deliveries, next_cursor: page.next.map(|seq| seq.to_string()) }))
}

/// One of them.
pub(crate) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<ExplainedBody>, Refusal> {
    let record = find(&app, &id).await?;
    let view = match record.run {
        None => None,
        Some(run) => in_time(async { Ok(app.find_run(run).await?) }).await?,
    };
    let explain = explain(&record, view.as_ref());
    Ok(Json(ExplainedBody { delivery: DeliveryBody::of(id, record), explain }))
}

/// The record of an id.
pub(super) async fn find(app: &App, id: &str) -> Result<Delivery, Refusal> {
    if !is_key(id) {
        return Err(Refusal::DeliveryNotFound);
    }
    in_time(async { app.bus.deliveries().get(id).await?.ok_or(Refusal::DeliveryNotFound) }).await
}

impl DeliveryBody {
    fn of(id: String, record: Delivery) -> Self {
        let Delivery {
            source,
            kind,
            event,
            forge_id,
            received_at,
            verdict,
            reason,
            key_id,
            run,
            body_sha256,
            reference,
            before,
            after,
            ..
        } = record;
        Self {
            id,
            source,
            kind,
            event,
            forge_id,
            received_at,
            verdict,
            reason,
            key_id,
            run_id: run,
            body_sha256,
            reference,
            before,
            after,
            forced: record.forced,
            sender: record.sender,
            from: record.from,
            id_reused: record.id_reused,
            was_ignored: record.was_ignored,
            by: record.by,
            of: record.of,
        }
    }
}

impl RawQuery {
    fn validate(&self) -> Result<Query, Refusal> {
        let mut problems = Vec::new();
        let source = self.source.as_deref().map(str::parse).transpose();
        if let Err(error) = &source {
            let error: &proto::ids::BadId = error;
            problems.push(FieldProblem::new("source", error.to_string()));
        }
        let mut verdicts = Vec::new();
        for word in self.verdict.iter().flat_map(|words| words.split(',')) {
            match Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word) {
                Some(verdict) => verdicts.push(verdict),
                None => problems.push(FieldProblem::new("verdict", format!("must be of {}", Verdict::ALL.map(Verdict::as_str).join(", ")))),
            }
        }
        let limit = self.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n)));
        if limit.is_none() {
            problems.push(FieldProblem::new("limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        let before = self.cursor.as_deref().map(str::parse::<u64>).transpose();
        if before.is_err() {
            problems.push(FieldProblem::new("cursor", "is not a cursor of this API: take next_cursor as it is, or start without"));
        }
        match (source, limit, before) {
            (Ok(source), Some(limit), Ok(before)) if problems.is_empty() => Ok(Query { source, verdicts, limit, before }),
            _ => Err(Refusal::BadInput(problems)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&str, &str)]) -> RawQuery {
        serde_json::from_value(pairs.iter().map(|(k, v)| ((*k).to_owned(), serde_json::Value::from(*v))).collect()).unwrap()
    }

    #[test]
    fn a_query_names_all_that_is_wrong_with_it() {
        let good = raw(&[("source", "platform"), ("verdict", "refused,ignored"), ("limit", "200"), ("cursor", "17")]).validate().unwrap();
        assert_eq!((good.verdicts.as_slice(), good.limit, good.before), ([Verdict::Refused, Verdict::Ignored].as_slice(), 200, Some(17)));
        assert_eq!(raw(&[]).validate().unwrap().limit, DEFAULT_LIMIT);
        let bad = raw(&[("source", "*"), ("verdict", "good"), ("limit", "201"), ("cursor", "-1")]).validate().unwrap_err();
        let Refusal::BadInput(problems) = bad else { panic!("{bad:?}") };
        assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["source", "verdict", "limit", "cursor"]);
    }
}
