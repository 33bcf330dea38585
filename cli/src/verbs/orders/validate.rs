//! `navvy orders validate`: a job is checked by the gateway's own rules, without a gateway.
//!
//! Which pools and git servers there are, and how large a job may be, is a gateway's to say; here the defaults are assumed,
//! and what was assumed is told.

use std::collections::BTreeSet;

use domain::orders::{Defaults, GitBase, GitRules, Limits, Pools, Rules, ValidJob};
use proto::git::AllowedHosts;
use proto::{PoolName, Secret};
use serde_json::json;

use super::document;
use crate::args::ValidateArgs;
use crate::exit::Exit;
use crate::output::Out;
use crate::output::orders::Summary;
use crate::problem::{CliError, FieldProblem};

/// The default of `gateway.orders.git_base`.
const GIT_BASE: &str = "https://github.com";

pub(in crate::verbs) fn validate(out: &Out, args: &ValidateArgs) -> Result<Exit, CliError> {
    let rules = rules(args)?;
    let document = document::open(&args.file)?;
    match document.job.validate(&rules, defaults()) {
        Ok(job) => accepted(out, args, &rules, &job),
        Err(problems) => {
            let problems: Vec<_> = problems.into_iter().map(|each| FieldProblem { field: each.field, message: each.text }).collect();
            if out.is_json() {
                out.json(&json!({ "valid": false, "problems": problems, "assumed": assumed(args, &rules) }))?;
                return Ok(Exit::Usage);
            }
            Err(CliError::Job { name: document.name, problems })
        }
    }
}

fn accepted(out: &Out, args: &ValidateArgs, rules: &Rules, job: &ValidJob) -> Result<Exit, CliError> {
    let summary = Summary::of(job);
    if out.is_json() {
        out.json(&json!({ "valid": true, "summary": summary, "assumed": assumed(args, rules) }))?;
        return Ok(Exit::Ok);
    }
    out.line(&summary.text(out.style()))?;
    let pools: Vec<&str> = rules.pools.known.iter().map(PoolName::as_str).collect();
    let hosts: Vec<&str> = std::iter::once(GIT_BASE).chain(args.allow_git_host.iter().map(String::as_str)).collect();
    out.hint(&format!("assumed: the default limits; pools {}; git servers {}", pools.join(", "), hosts.join(", ")));
    if !job.callbacks.is_empty() {
        out.hint("whether the callbacks may be called is decided by the gateway (gateway.callback_hosts)");
    }
    Ok(Exit::Ok)
}

fn assumed(args: &ValidateArgs, rules: &Rules) -> serde_json::Value {
    json!({ "pools": rules.pools.known, "git_base": GIT_BASE, "git_hosts": args.allow_git_host })
}

fn rules(args: &ValidateArgs) -> Result<Rules, CliError> {
    let known: BTreeSet<PoolName> = std::iter::once(PoolName::default()).chain(args.pool.iter().cloned()).collect();
    let bad = |why: proto::git::BadGit| CliError::usage(why.to_string(), "write --allow-git-host HOST or HOST:PORT");
    let hosts = AllowedHosts::parse(&args.allow_git_host).map_err(bad)?;
    let git = GitRules { base: GitBase::parse(GIT_BASE).map_err(bad)?, hosts };
    Ok(Rules { limits: Limits::default(), pools: Pools { short: PoolName::default(), long: PoolName::default(), known }, git })
}

/// Nothing of this is shown or kept.
fn defaults() -> Defaults {
    Defaults { trace_id: "00000000".into(), search_tag: "00000000".into(), run_key: Secret::new("no run") }
}
