//! From a job to what is stored: which run it is, its defaults, its rules, its pages.
//!
//! Pure but for drawing the id of a run that is like no other. A job that may come again (`Idempotency-Key`, or `run_id`
//! in the job) is the same run in everything, defaults included.

use super::{Asked, Desk, Intake, pages::pages};
use crate::{
    answers::{FieldProblem, Refusal, chain},
    deploy::identity::{self, Identity, Repeatable},
};
use domain::orders::{Defaults, JobRequest, Problem};
use proto::{RunId, ShardNo};
use sha2::{Digest as _, Sha256};

/// Why a job is not stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The job itself is wrong; under these ids it would have run.
    Job {
        problems: Vec<Problem>,
        run: RunId,
        trace_id: String,
    },
    Request(Refusal),
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Request(refusal) => refusal,
            Rejected::Job { problems, .. } => {
                Self::BadInput(problems.into_iter().map(|problem| FieldProblem::new(problem.field, problem.text)).collect())
            }
        }
    }
}

/// What is stored for a job.
pub(super) fn prepare(desk: &Desk<'_>, asked: &Asked<'_>, job: JobRequest) -> Result<Intake, Rejected> {
    let identity = identify(desk, asked, &job)?;
    let run = identity.run;
    let defaults =
        Defaults { trace_id: derived(run, "trace id"), search_tag: derived(run, "search tag"), run_key: identity.run_key.clone() };
    let trace_id = job.trace_id().map_or_else(|| defaults.trace_id.clone(), str::to_owned);
    let mut job = job.validate(desk.rules, defaults).map_err(|problems| Rejected::Job { problems, run, trace_id })?;
    let pages = pages(&job.bundles).map_err(|error| {
        tracing::error!(error = chain(&error), "the bundles of a run cannot be encoded");
        Refusal::Internal
    })?;
    job.spec.page_starts = pages.starts;
    Ok(Intake { job, pages: pages.plain, identity, by: asked.by.to_owned() })
}

fn identify(desk: &Desk<'_>, asked: &Asked<'_>, job: &JobRequest) -> Result<Identity, Refusal> {
    let key = match (identity::key_of(asked.headers)?, job.run_id()) {
        (Some(key), Some(run_id)) if !key.eq_ignore_ascii_case(&run_id) => {
            return Err(Refusal::field("run_id", "is another key than Idempotency-Key: send one of them"));
        }
        (Some(key), _) => Some(key),
        (None, run_id) => run_id,
    };
    let Some(key) = key else {
        // A run of orders has no repository of its own; any shard will do, and in turn all of them.
        return Ok(Identity::fresh(ShardNo::of(&uuid::Uuid::new_v4().to_string(), desk.shards)));
    };
    let shard = ShardNo::of(&format!("{}/{key}", asked.by), desk.shards);
    Ok(Identity::repeatable(&Repeatable { caller: asked.by, key: &key, body: asked.body, secret: desk.secret }, shard))
}

/// Eight hexadecimal digits that belong to a run; no secret.
fn derived(run: RunId, what: &str) -> String {
    hex::encode(&Sha256::digest(format!("{what} of {run}").as_bytes())[..4])
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, job, order};
    use super::*;
    use proto::{codec::decode, orders::OrderBundle};
    use serde_json::json;

    #[test]
    fn what_is_stored_belongs_together() {
        let orders: Vec<_> = (0..300).map(|n| json!({"cmds": ["x".repeat(1_000)], "timeout": 60, "order_name": format!("o{n}")})).collect();
        let intake = Fixture::default().prepare(&job(&json!(orders))).unwrap();
        let starts = &intake.job.spec.page_starts;
        assert!(starts.len() > 1 && starts.len() == intake.pages.len());
        let bundles: Vec<OrderBundle> = intake.pages.iter().flat_map(|page| decode::<Vec<OrderBundle>>(page).unwrap()).collect();
        assert_eq!(bundles, intake.job.bundles);
        assert!(bundles.iter().all(|bundle| bundle.run_key == intake.identity.run_key));
        for (page, start) in starts.iter().enumerate() {
            assert_eq!(intake.job.spec.page_of(proto::JobNo(*start)), Some(page as u32));
        }
        assert_eq!(intake.by, "ci");
    }

    #[test]
    fn a_job_with_a_key_is_the_same_run_again() {
        let body = job(&json!([order()]));
        let with_header = Fixture::default().key("k1");
        assert_eq!(with_header.prepare(&body), with_header.prepare(&body));
        let mut with_id = body.clone();
        with_id["run_id"] = json!("0192f0c1-7e3a-7abc-8def-0123456789ab");
        let fixture = Fixture::default();
        let first = fixture.prepare(&with_id).unwrap();
        assert_eq!(Ok(&first), fixture.prepare(&with_id).as_ref());
        let mut other = with_id.clone();
        other["username"] = json!("bob");
        let second = fixture.prepare(&other).unwrap();
        assert_eq!(first.identity.message_id, second.identity.message_id, "the store finds out that the key was used before");
        assert_ne!(first.identity.run, second.identity.run);
        let one = fixture.prepare(&body).unwrap();
        let two = fixture.prepare(&body).unwrap();
        assert!(one.identity.run != two.identity.run && one.job.spec.trace_id != two.job.spec.trace_id);
    }

    #[test]
    fn two_different_keys_are_refused() {
        let mut body = job(&json!([order()]));
        body["run_id"] = json!("0192f0c1-7e3a-7abc-8def-0123456789ab");
        let refused = Fixture::default().key("k1").prepare(&body).unwrap_err();
        assert_eq!(Refusal::from(refused).named_field(), Some("run_id"));
        assert!(Fixture::default().key("0192F0C1-7E3A-7ABC-8DEF-0123456789AB").prepare(&body).is_ok());
    }

    #[test]
    fn a_wrong_job_is_told_with_its_fields() {
        let Err(Rejected::Job { problems, trace_id, .. }) = Fixture::default().prepare(&job(&json!([{}]))) else { panic!("it is wrong") };
        assert_eq!(trace_id.len(), 8);
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["orders[0].cmds", "orders[0].timeout"]);
    }
}
