//! `GET /v1/runs/{id}/jobs`: the jobs of a run, some at a time. Of a run of orders only the pages are read that are needed.

use super::{
    JobsBody,
    pages::{self, STATUSES},
    run_id,
};
use crate::{
    answers::{Door, Refusal},
    app::{App, in_time},
    door::query::Params,
};
use axum::{
    Json,
    extract::{Path, State},
};
use proto::view::{JobView, JobsPage, RunView};
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 200;
/// Pages that are looked through for one answer; where few jobs have the status that is asked for, it may hold fewer than
/// the limit, or none, and still say where to go on.
const MAX_PAGES: u32 = 64;

/// Which jobs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsQuery {
    from: Option<String>,
    limit: Option<String>,
    status: Option<String>,
}

/// The same, understood.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    from: u32,
    limit: u32,
    /// Empty: any.
    statuses: BTreeSet<String>,
}

impl JobsQuery {
    fn validate(self) -> Result<Wanted, Refusal> {
        let number = |name: &str, text: Option<String>, default: u32| match text.as_deref().map(str::parse::<u32>) {
            None => Ok(default),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(Refusal::field(name, "must be a whole number")),
        };
        let limit = number("limit", self.limit, DEFAULT_LIMIT)?;
        if limit == 0 || limit > MAX_LIMIT {
            return Err(Refusal::field("limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        let statuses: BTreeSet<String> = self.status.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
        if statuses.iter().any(|status| !STATUSES.contains(&status.as_str())) {
            return Err(Refusal::field("status", format!("must be one or more of {}, separated by commas", STATUSES.join(", "))));
        }
        Ok(Wanted { from: number("from", self.from, 0)?, limit, statuses })
    }
}

impl Wanted {
    /// Those of some jobs that are wanted, which come in their order, and where to go on; `beyond` is the number behind them.
    fn choose(&self, jobs: Vec<JobView>, beyond: Option<u32>) -> JobsBody {
        let wanted = |job: &JobView| job.n.0 >= self.from && (self.statuses.is_empty() || self.statuses.contains(&job.status));
        let mut jobs: Vec<JobView> = jobs.into_iter().filter(wanted).collect();
        let next = jobs.get(self.limit as usize).map(|job| job.n.0);
        jobs.truncate(self.limit as usize);
        JobsBody { jobs, next_from: next.or(beyond) }
    }
}

/// The route.
pub(crate) async fn jobs(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Params(query): Params<JobsQuery>,
) -> Result<Json<JobsBody>, Refusal> {
    let (id, wanted) = (run_id(&id, Door::V1)?, query.validate()?);
    in_time(async {
        let view = app.find_run(id).await?.ok_or(Refusal::RunNotFound(Door::V1))?;
        match view.orders {
            None => Ok(Json(wanted.choose(view.jobs, None))),
            Some(orders) => of_orders(&app, &view, orders.total, &wanted).await.map(Json),
        }
    })
    .await
}

async fn of_orders(app: &App, view: &RunView, total: u32, wanted: &Wanted) -> Result<JobsBody, Refusal> {
    let (first, count) = (wanted.from / JobsPage::SIZE, JobsPage::count(total));
    // One job more than the limit says where to go on.
    let portion = if wanted.statuses.is_empty() { JobsPage::count(wanted.from % JobsPage::SIZE + wanted.limit + 1) } else { MAX_PAGES };
    let end = first.saturating_add(portion).min(count);
    let jobs = pages::read(app, view.id, first.min(end)..end).await?;
    Ok(wanted.choose(jobs, (end < count).then_some(end * JobsPage::SIZE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn query(from: &str, limit: &str, status: &str) -> Result<Wanted, Refusal> {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        JobsQuery { from: text(from), limit: text(limit), status: text(status) }.validate()
    }

    #[test]
    fn what_is_asked_for_is_understood_or_named() {
        assert_eq!(query("", "", ""), Ok(Wanted { from: 0, limit: 100, statuses: BTreeSet::new() }));
        let statuses = ["failed", "timed_out"].map(str::to_owned).into();
        assert_eq!(query("7", "200", "failed,timed_out"), Ok(Wanted { from: 7, limit: 200, statuses }));
        for (from, limit, status, field) in [
            ("-1", "", "", "from"),
            ("", "0", "", "limit"),
            ("", "201", "", "limit"),
            ("", "", "bad", "status"),
            ("", "", "failed,", "status"),
        ] {
            assert_eq!(query(from, limit, status).unwrap_err().named_field(), Some(field));
        }
    }

    #[test]
    fn a_part_says_where_the_next_one_begins() {
        let jobs = || (0..10).map(|n| fixtures::job(n, "shell", 0)).collect::<Vec<_>>();
        let told = |body: JobsBody| (body.jobs.iter().map(|job| job.n.0).collect::<Vec<_>>(), body.next_from);
        assert_eq!(told(query("3", "2", "").unwrap().choose(jobs(), Some(10))), (vec![3, 4], Some(5)));
        assert_eq!(told(query("8", "2", "").unwrap().choose(jobs(), None)), (vec![8, 9], None));
        assert_eq!(told(query("", "", "failed").unwrap().choose(jobs(), Some(10))), (vec![], Some(10)));
    }
}
