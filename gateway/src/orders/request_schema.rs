//! The requests of both doors as the API's document shows them. They are read by `domain::orders`, which ignores fields
//! that it does not know; tests hold that whatever stands here is read, and is on the reference page.

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The body of `POST /webhook`.
#[derive(Debug, ToSchema)]
#[schema(as = OrdersEnvelope)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct EnvelopeSchema {
    /// A job (`OrdersRequest`) as JSON, in base64.
    job_parameters_b64: String,
    /// Counts more than the job's own.
    trace_id: Option<String>,
    /// Counts more than the job's own.
    #[schema(format = "uuid")]
    run_id: Option<String>,
    /// Ignored: the answer says where the end is told.
    done_endpt: Option<String>,
}

/// A job: shell commands in orders that may depend on one another.
#[derive(Debug, ToSchema)]
#[schema(as = OrdersRequest)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct JobSchema {
    orders: Vec<OrderSchema>,
    /// Who it is for; part of the flow id.
    username: String,
    /// `org/repo` or an address: where code comes from and comments go.
    git_repo: Option<String>,
    /// Where the credential for `git_repo` lies: `vendor:::scheme:path`, or a path of AWS Systems Manager.
    git_token_location: Option<String>,
    /// The same for an SSH key: instead of a token, or for when it does not let us in.
    git_ssh_key_location: Option<String>,
    /// `github`.
    git_provider: Option<String>,
    /// What is checked out; default: the head of the default branch.
    commit_hash: Option<String>,
    /// Where the comment goes.
    #[schema(minimum = 1)]
    pr_number: Option<i64>,
    /// The same, if `pr_number` is absent.
    #[schema(minimum = 1)]
    issue_number: Option<i64>,
    /// What the comment is found again by; default: random.
    pr_comment_search_tag: Option<String>,
    /// End of the flow id; `ssm` if all orders are for machines.
    #[schema(default = "exec")]
    flow_label: Option<String>,
    /// 8 to 64 letters, digits, `-` and `_`; default: random.
    trace_id: Option<String>,
    /// Makes a repeat the same run, as the header Idempotency-Key does.
    #[schema(format = "uuid")]
    run_id: Option<String>,
    /// Seconds for the whole job, waiting included.
    #[schema(default = 3600, minimum = 1, maximum = 604_800)]
    job_timeout: Option<i64>,
    /// Seconds that an address for a result lives: at least 300 more than the longest order.
    #[schema(default = 7200, minimum = 1)]
    presign_expiry: Option<i64>,
    /// How many of its orders are out at a time.
    #[schema(minimum = 1)]
    max_parallel: Option<i64>,
    /// Of what waits for a free place, higher goes first.
    #[schema(default = 5, minimum = 0, maximum = 9)]
    priority: Option<i64>,
    /// Up to five `https` addresses that are told about the end. Secret.
    callbacks: Option<Vec<String>>,
}

/// One order of a job.
#[derive(Debug, ToSchema)]
#[schema(as = Order)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct OrderSchema {
    /// Run one after the other by `sh -c`, until one fails. Secret.
    cmds: Vec<String>,
    /// Seconds for all of them; 600 at most for `lambda`.
    #[schema(minimum = 1)]
    timeout: i64,
    /// Default: `order-0001` and so on.
    order_name: Option<String>,
    /// By which others wait for it, besides its name; default: `0001` and so on.
    queue_id: Option<String>,
    /// Names or queue ids of orders that go first.
    dependencies: Option<Vec<String>>,
    /// Whether it needs the success of what it depends on, and the job needs its own.
    #[schema(default = true)]
    must_succeed: Option<bool>,
    /// Default: the job's.
    git_repo: Option<String>,
    /// Working directory in the repository.
    git_folder: Option<String>,
    /// Default: the job's.
    commit_hash: Option<String>,
    /// A zip archive instead of a repository: `s3://`, `https://` or a path on the worker. Secret.
    s3_location: Option<String>,
    /// Environment of the commands. Secret.
    env_vars: Option<BTreeMap<String, String>>,
    /// Credentials that are put into the environment.
    ssm_paths: Option<Vec<String>>,
    /// The same, after those; a bare path means AWS Secrets Manager.
    secret_manager_paths: Option<Vec<String>>,
    /// Age recipient to which what was run is kept.
    sops_key: Option<String>,
    /// The older word for `execution_target`: `lambda` or not.
    use_lambda: Option<bool>,
    /// `lambda` (short), `codebuild` (long, the default), `ssm`, or the name of a pool.
    execution_target: Option<String>,
    ssm_targets: Option<SsmTargetsSchema>,
}

/// The machine that an order with the target `ssm` runs on: one instance or one tag.
#[derive(Debug, ToSchema)]
#[schema(as = SsmTargets)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct SsmTargetsSchema {
    instance_ids: Option<Vec<String>>,
    tags: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, job};
    use super::super::prepare::Rejected;
    use super::*;
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    fn documented<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_reference_page_has_every_field() {
        let page = include_str!("../../../docs/reference/orders.md");
        for field in documented::<JobSchema>().into_iter().chain(documented::<OrderSchema>()) {
            assert!(page.contains(&format!("`{field}`")), "{field}");
        }
    }

    fn told(job: &Value) -> Vec<String> {
        match Fixture::default().prepare(job) {
            Err(Rejected::Job { problems, .. }) => problems.into_iter().map(|problem| problem.field).collect(),
            Ok(_) | Err(Rejected::Request(_)) => Vec::new(),
        }
    }

    /// An object is a wrong value for some fields, a number is for the others.
    fn is_read(with: impl Fn(Value) -> Value, field: &str) -> bool {
        [json!({"a": {}}), json!(-1.5)].into_iter().any(|wrong| told(&with(wrong)).iter().any(|named| named == field))
    }

    #[test]
    fn what_is_documented_is_read() {
        let order = json!({"cmds": ["x"], "timeout": 1, "execution_target": "ssm", "ssm_targets": {"instance_ids": ["i"]}});
        let whole = job(&json!([order]));
        assert_eq!(told(&whole), [""; 0]);
        for field in documented::<JobSchema>() {
            let with = |wrong| {
                let mut job = whole.clone();
                job[&field] = wrong;
                job
            };
            assert!(is_read(with, &field), "{field}");
        }
        for field in documented::<OrderSchema>() {
            let with = |wrong| {
                let mut job = whole.clone();
                job["orders"][0][&field] = wrong;
                job
            };
            assert!(is_read(with, &format!("orders[0].{field}")), "{field}");
        }
    }
}
