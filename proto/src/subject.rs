//! Where things travel and stand: every subject, stream, bucket and key, in one place.

use crate::{
    ids::{AttemptId, PoolName, RunId, Seat, ShardNo, SourceId},
    sync::{Environment, ServiceId},
};

/// Triggers, commands and reports on their way to the scheduler.
pub const INBOX: &str = "INBOX";
/// One subject per run: every decision about it, in order.
pub const RUNS: &str = "RUNS";
/// Job orders, a work queue.
pub const WORK: &str = "WORK";
/// Output of attempts.
pub const LOGS: &str = "LOGS";
/// Bucket of locks.
pub const LOCKS: &str = "LOCKS";
/// Bucket of what the API shows; derived, can be rebuilt.
pub const VIEWS: &str = "VIEWS";
/// Bucket of live workers.
pub const FLEET: &str = "FLEET";
/// Bucket of sealed secrets of open runs.
pub const SECRETS: &str = "SECRETS";
/// Bucket of API keys (hashed) and of the scheduler's public sealing key.
pub const KEYS: &str = "KEYS";

/// Bucket of what gateways have told the outside.
pub const NOTICES: &str = "NOTICES";

/// Bucket of how services and sources stand; derived from the runs' logs.
pub const SERVICES: &str = "SERVICES";

/// Bucket of what webhooks brought.
pub const DELIVERIES: &str = "DELIVERIES";

/// Bucket of which run a deployment of a version is.
pub const DEPLOYMENTS: &str = "DEPLOYMENTS";

/// Bucket of the nonces of stamped signatures.
pub const NONCES: &str = "NONCES";

/// Object store of a pool's plans and archived logs. One for each pool, because NATS cannot permit a part of a store.
pub fn artifacts(pool: &PoolName) -> String {
    format!("ARTIFACTS_{pool}")
}

/// Messages that nobody could handle.
pub const DEAD: &str = "DEAD";

/// Header that carries the W3C trace context.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// A trigger or command for a run.
pub fn inbox(run: RunId) -> String {
    format!("inbox.{}.{run}", run.shard())
}

/// A worker's report about a run: a subject of its own, so that a worker's user can publish its reports and nothing else.
pub fn inbox_report(run: RunId, seat: &Seat) -> String {
    format!("{}.{REPORT}.{seat}", inbox(run))
}

/// The token of [`inbox_report`] after the run.
pub const REPORT: &str = "report";

/// Everything for one shard.
pub fn inbox_of_shard(shard: ShardNo) -> String {
    format!("inbox.{shard}.>")
}

/// The log of decisions of a run.
pub fn run(run: RunId) -> String {
    format!("run.{}.{run}", run.shard())
}

/// Every run of a shard.
pub fn runs_of_shard(shard: ShardNo) -> String {
    format!("run.{shard}.*")
}

/// Job orders of a pool. One lane for now; lanes are priorities.
pub fn work(pool: &PoolName) -> String {
    format!("work.{pool}.normal")
}

/// The durable consumer that a pool's workers share.
pub fn pool_consumer(pool: &PoolName) -> String {
    format!("pool-{pool}")
}

/// The durable consumer that a shard's schedulers share.
pub fn shard_consumer(shard: ShardNo) -> String {
    format!("scheduler-{shard}")
}

/// Dead letters of a stream.
pub fn dead(stream: &str) -> String {
    format!("dead.{stream}")
}

/// Output of one attempt, as the worker in this seat writes it.
pub fn log(seat: &Seat, id: AttemptId) -> String {
    format!("log.{seat}.{}.{}.{}", id.run, id.job, id.attempt)
}

/// Output of one attempt, whichever worker of its pool wrote it.
pub fn log_of_pool(pool: &PoolName, id: AttemptId) -> String {
    format!("log.{pool}.*.{}.{}.{}", id.run, id.job, id.attempt)
}

/// Output that claims to be of a run, from whatever pool: enough to wake a reader, who then reads only what is the run's.
pub fn logs_of_run(run: RunId) -> String {
    format!("log.*.*.{run}.>")
}

/// Request of the worker in this seat: may this attempt begin, may it start its side effects? Answered by the shard's
/// scheduler.
pub fn begin(shard: ShardNo, seat: &Seat) -> String {
    format!("begin.{shard}.{seat}")
}

/// The questions of every worker to one shard.
pub fn begins_of_shard(shard: ShardNo) -> String {
    format!("begin.{shard}.*.*")
}

/// Stop signals for one worker; not stored, repeated until the attempt has ended.
pub fn control(seat: &Seat) -> String {
    format!("control.{seat}")
}

/// A run was changed: wakes whoever watches. Carries nothing; VIEWS tells.
pub fn changed(run: RunId) -> String {
    format!("changed.{run}")
}

/// Key in VIEWS.
pub fn view_key(run: RunId) -> String {
    format!("run.{run}")
}

/// Key in VIEWS of some of a run's jobs.
pub fn jobs_page_key(run: RunId, page: u32) -> String {
    format!("jobs.{run}.{page}")
}

/// Key in NOTICES of the comment on a run's pull request.
pub fn comment_key(run: RunId) -> String {
    format!("comment.{run}")
}

/// Key in NOTICES of a run's n-th callback.
pub fn callback_key(run: RunId, n: usize) -> String {
    format!("callback.{run}_{n}")
}

/// Key in NOTICES of the release page that a run's release gets at its forge.
pub fn published_key(run: RunId) -> String {
    format!("published.{run}")
}

/// Key in NOTICES of an event of a run, as a hook of the settings is told it.
pub fn notified_key(run: RunId, hook: &str, event: &str) -> String {
    format!("notified.{run}_{hook}_{}", event.replace('.', "-"))
}

/// Key in NOTICES of a hook of the settings itself.
pub fn notify_key(hook: &str) -> String {
    format!("notify.{hook}")
}

/// Key in SERVICES of how a service stands in an environment.
pub fn service_key(environment: &Environment, service: &ServiceId) -> String {
    format!("service.{environment}.{service}")
}

/// Key in SERVICES of what is known of a source.
pub fn source_key(source: &SourceId) -> String {
    format!("source.{source}")
}

/// Key in FLEET.
pub fn worker_key(seat: &Seat) -> String {
    format!("worker.{seat}")
}

/// The seat of a [`worker_key`].
pub fn seat_of_worker_key(key: &str) -> Option<Seat> {
    let (pool, worker) = key.strip_prefix("worker.")?.split_once('.')?;
    Seat::of_tokens(pool, worker)
}

/// Key in SECRETS.
pub fn secrets_key(run: RunId) -> String {
    format!("run.{run}")
}

/// Key in SECRETS of some orders' bundles.
pub fn secrets_page_key(run: RunId, page: u32) -> String {
    format!("run.{run}_{page}")
}

/// The run of a [`secrets_key`] or [`secrets_page_key`].
pub fn run_of_secrets_key(key: &str) -> Option<RunId> {
    let run = key.strip_prefix("run.")?;
    run.split_once('_').map_or(run, |(run, _)| run).parse().ok()
}

/// Key in KEYS of the scheduler's public sealing key.
pub const SEALING_KEY: &str = "sealing.public";

/// Key in KEYS of an API key.
pub fn api_key(id: &str) -> String {
    format!("api.{id}")
}

/// Object of a plan bundle.
pub fn plan_object(id: AttemptId) -> String {
    format!("plan/{id}")
}

/// Object of an attempt's archived log.
pub fn log_object(id: AttemptId) -> String {
    format!("log/{id}")
}

/// Object of an order's result.
pub fn result_object(id: AttemptId) -> String {
    format!("result/{id}")
}

/// Object of an order's execution bundle.
pub fn bundle_object(id: AttemptId) -> String {
    format!("bundle/{id}")
}

/// Object of a state file that terraform could not save.
pub fn errored_state_object(id: AttemptId) -> String {
    format!("errored-state/{id}")
}

/// De-duplication id of a job order.
pub fn order_message_id(id: AttemptId) -> String {
    format!("order.{id}")
}
