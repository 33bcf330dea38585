//! What a run of orders may be asked to do: a job in, a valid run out, once, at the edge.
//!
//! The fields and the sentences of the first checks are those of the order engine that is replaced (both of its
//! generations); it stopped at the first problem, here all of them are told at once. What a valid order is made of is in
//! `proto::orders`; taking a job in is the gateway's part.
//!
//! The map: `request` reads a job, `given` are its loosely typed fields, `limits` says how large it may be, `job` and
//! `order` check the fields, `source` and `target` say what is run and where, `names` and `cycles` who waits for whom.

mod cycles;
mod given;
mod job;
mod limits;
mod names;
mod order;
mod problems;
mod request;
mod source;
mod target;

pub use limits::Limits;
pub use problems::Problem;
pub use request::{BadJson, Envelope, JobRequest};
pub use source::{GitBase, GitRules};
pub use target::Pools;

use given::Given;
use job::{JobFields, MOST_SECONDS};
use names::{Names, names, needs};
use problems::{Problems, Told};
use proto::{
    JobNo, Secret,
    orders::{Graph, OrderBundle, OrdersSpec},
};
use request::OrderRequest;

/// What is asked of every job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub limits: Limits,
    pub pools: Pools,
    pub git: GitRules,
}

/// What a job gets that does not say it itself. Here is no chance, so whoever calls has drawn it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// 8 hexadecimal digits.
    pub trace_id: String,
    /// 8 hexadecimal digits.
    pub search_tag: String,
    /// The run's key, which each bundle carries.
    pub run_key: Secret,
}

/// A job that may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidJob {
    /// `page_starts` and `callbacks` are empty: both come with sealing.
    pub spec: OrdersSpec,
    /// One for each order, in their order.
    pub bundles: Vec<OrderBundle>,
    /// What makes a repeat the same job: a UUID in lower case.
    pub run_id: Option<String>,
    /// Addresses where the end is told; often they are their own permission.
    pub callbacks: Vec<Secret>,
}

impl JobRequest {
    /// The valid job, or every problem there is.
    pub fn validate(self, rules: &Rules, defaults: Defaults) -> Result<ValidJob, Vec<Problem>> {
        limits::too_large(&self, &rules.limits).map_err(|problem| vec![problem])?;
        let mut problems = Problems::default();
        let valid = validated(&self, rules, defaults, &mut problems);
        match valid {
            Ok(job) if problems.is_empty() => Ok(job),
            Ok(_) | Err(Told) => Err(problems.finish()),
        }
    }
}

fn validated(request: &JobRequest, rules: &Rules, defaults: Defaults, problems: &mut Problems) -> Result<ValidJob, Told> {
    let job = JobFields::check(request, rules, defaults, problems);
    let orders = orders(request, problems)?;
    let mut called: Vec<Names> = Vec::with_capacity(orders.len());
    let mut valid = Vec::with_capacity(orders.len());
    for (index, order) in orders.iter().enumerate() {
        let nothing = OrderRequest::default();
        let (order, readable) = match order {
            Given::Value(order) => (order, true),
            Given::Absent | Given::Wrong(_) => (&nothing, false),
        };
        let of = names(order, index, problems);
        if readable {
            valid.extend(order::check(order, index, &of, &job, rules, problems));
        } else {
            problems.add(format!("orders[{index}]"), format!("order[{index}]: an order must be an object"));
        }
        called.push(of);
    }
    let needs = needs(orders, &called, problems);
    check_whole(&job, orders, problems);
    if !problems.is_empty() {
        return Err(Told);
    }
    let (mut nodes, mut bundles) = (Vec::with_capacity(valid.len()), Vec::with_capacity(valid.len()));
    for (order, needs) in valid.into_iter().zip(needs) {
        let mut node = order.node;
        node.needs = needs.into_iter().map(|need| JobNo(need as u32)).collect();
        nodes.push(node);
        bundles.push(order.bundle);
    }
    finish(job, request, Graph(nodes), bundles, problems)
}

fn orders<'j>(request: &'j JobRequest, problems: &mut Problems) -> Result<&'j [Given<OrderRequest>], Told> {
    match &request.orders {
        Given::Value(orders) if orders.count > 0 => return Ok(&orders.kept),
        Given::Value(_) | Given::Absent => problems.add("orders", "Job has no orders"),
        Given::Wrong(kind) => problems.add("orders", format!("orders must be a list of orders, not {kind}")),
    }
    Err(Told)
}

/// What can only be seen over all orders.
fn check_whole(job: &JobFields, orders: &[Given<OrderRequest>], problems: &mut Problems) {
    let timeouts = orders.iter().filter_map(|order| match order {
        Given::Value(OrderRequest { timeout: Given::Value(seconds), .. }) => u32::try_from(*seconds).ok().filter(|s| *s <= MOST_SECONDS),
        Given::Value(_) | Given::Absent | Given::Wrong(_) => None,
    });
    job.check_presign(timeouts.max().unwrap_or(0), problems);
    // Orders that need the repository have said so themselves.
    let all_have_archives = orders.iter().all(|order| match order {
        Given::Value(OrderRequest { s3_location: Given::Value(location), .. }) => !location.is_empty(),
        Given::Value(_) | Given::Absent | Given::Wrong(_) => false,
    });
    if all_have_archives && job.git.lacks_credentials() {
        problems.add("git_token_location", "git_token_location is missing or empty, but git_repo is given: it needs one");
    }
}

fn finish(
    job: JobFields,
    request: &JobRequest,
    graph: Graph,
    bundles: Vec<OrderBundle>,
    problems: &mut Problems,
) -> Result<ValidJob, Told> {
    graph.pack().map_err(|error| {
        problems.add("orders", error.to_string());
        Told
    })?;
    let Given::Value(orders) = &request.orders else { return Err(Told) };
    let all_ssm = orders.kept.iter().all(|order| matches!(order, Given::Value(order) if target::is_ssm(order)));
    let default_label = if all_ssm { "ssm" } else { "exec" };
    let spec = OrdersSpec {
        trace_id: job.trace_id?,
        username: job.username?,
        flow_label: job.flow_label?.unwrap_or_else(|| default_label.to_owned()),
        pull_request: job.pull_request?,
        search_tag: job.search_tag?,
        job_timeout_s: job.job_timeout_s?,
        max_parallel: job.max_parallel?,
        priority: job.priority? as u8,
        callbacks: Vec::new(),
        page_starts: Vec::new(),
        graph,
    };
    Ok(ValidJob { spec, bundles, run_id: job.run_id?, callbacks: job.callbacks? })
}

#[cfg(test)]
mod tests;
