//! Jobs that are right, jobs that are wrong, and what they are told.

mod accepted;
mod graph;
mod hostile;
mod refused;

use super::*;
use proto::git::AllowedHosts;
use serde_json::{Value, json};

pub(super) const AGE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

pub(super) fn rules() -> Rules {
    let pool = |name: &str| name.parse().unwrap();
    Rules {
        limits: Limits::default(),
        pools: Pools { short: pool("quick"), long: pool("default"), known: ["default", "gpu", "quick"].map(pool).into() },
        git: GitRules { base: GitBase::parse("https://github.com").unwrap(), hosts: AllowedHosts::parse(["git.example"]).unwrap() },
    }
}

pub(super) fn defaults() -> Defaults {
    Defaults { trace_id: "0a1b2c3d".into(), search_tag: "4e5f6071".into(), run_key: Secret::new("key of the run") }
}

pub(super) fn job(orders: &Value) -> Value {
    json!({
        "git_repo": "acme/infra", "git_token_location": "aws:::ssm:/ci/token", "username": "ann", "orders": orders,
    })
}

pub(super) fn order() -> Value {
    json!({"cmds": ["make"], "timeout": 60})
}

/// `base` with fields of `change` in it.
pub(super) fn with(mut base: Value, change: &Value) -> Value {
    for (key, value) in change.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

pub(super) fn validate(job: &Value) -> Result<ValidJob, Vec<Problem>> {
    JobRequest::read(job.to_string().as_bytes()).unwrap().validate(&rules(), defaults())
}

pub(super) fn texts(job: &Value) -> Vec<String> {
    validate(job).err().unwrap_or_default().into_iter().map(|problem| problem.text).collect()
}
