//! Stories of orders: shell commands with dependencies, from both doors to the comment and the callback.
//!
//! Here is what they share: a [`Ring`] with its jobs and logs, and the shell of orders that wait for a file. What happened
//! is told by files that the orders write, never by a clock.

mod callbacks;
mod comments;
mod deadlines;
mod documented;
mod doors;
mod environments;
mod events;
mod limits;
mod lost_workers;
mod once;
mod receiver;
mod scale;
mod schedulers;
mod secrets;

use anyhow::Context as _;
use bus::Bus;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, Seat,
    ids::AttemptId,
    orders::OrderCounts,
    view::{JobView, JobsPage},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
};
use tempfile::TempDir;

/// A gateway, a scheduler and workers, each a process of its own; a way to read what they store; a folder for what orders do.
struct Ring {
    fleet: Fleet,
    bus: Bus,
    outside: TempDir,
}

impl Ring {
    async fn start(wishes: Wishes, workers: &[&str]) -> anyhow::Result<Self> {
        Self::with(TempDir::new()?, wishes, workers).await
    }

    /// The same with a folder that the wishes speak of.
    async fn with(outside: TempDir, wishes: Wishes, workers: &[&str]) -> anyhow::Result<Self> {
        let fleet = Fleet::apart(wishes, workers).await?;
        let bus = Bus::connect(fleet.nats()?).await?;
        Ok(Self { fleet, bus, outside })
    }

    /// A file outside of the fleet.
    fn path(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    /// The lines that orders have written into a file outside.
    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    async fn submit(&self, job: &Value) -> anyhow::Result<RunId> {
        Ok(self.fleet.client.submit(job).await?.parse()?)
    }

    /// The run, once it is over.
    async fn ended(&self, run: RunId) -> anyhow::Result<Value> {
        self.fleet.client.ended(&run.to_string()).await
    }

    /// Every job of a run as it is shown.
    async fn jobs(&self, run: RunId) -> anyhow::Result<Vec<JobView>> {
        let total = self.counts(run).await?.total;
        let mut jobs = Vec::new();
        for page in 0..JobsPage::count(total) {
            jobs.extend(self.bus.views().jobs(run, page).await?.context("a page of a run that was looked at")?.jobs);
        }
        Ok(jobs)
    }

    async fn counts(&self, run: RunId) -> anyhow::Result<OrderCounts> {
        let view = self.bus.views().get(run).await?.context("a view")?;
        view.orders.context("counts of orders")
    }

    /// Status of each order, with what kind of failure it met.
    async fn ends(&self, run: RunId) -> anyhow::Result<Vec<String>> {
        let told = |job: &JobView| match &job.failure {
            Some(failure) => format!("{} {}: {}", job.name, job.status, failure.kind),
            None => format!("{} {}", job.name, job.status),
        };
        Ok(self.jobs(run).await?.iter().map(told).collect())
    }

    /// The log of an order, as it is stored now.
    async fn log(&self, run: RunId, job: u32) -> anyhow::Result<String> {
        let path = format!("/v1/runs/{run}/log.txt?job={job}");
        let answer = self.fleet.client.send(reqwest::Method::GET, &path, None).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Waits until a worker's report of how an order's first attempt ended lies in the inbox, unheard. Somebody must see to it
    /// that no scheduler listens.
    async fn reported(&self, run: RunId, job: u32, worker: &str) -> anyhow::Result<()> {
        eventually("the worker to have reported", || async { Ok(self.unheard(run, job, worker).await?.then_some(())) }).await
    }

    /// Waits until it has been heard.
    async fn heard(&self, run: RunId, job: u32, worker: &str) -> anyhow::Result<()> {
        eventually("the report to be heard", || async { Ok((!self.unheard(run, job, worker).await?).then_some(())) }).await
    }

    async fn unheard(&self, run: RunId, job: u32, worker: &str) -> anyhow::Result<bool> {
        let id = AttemptId { run, job: JobNo(job), attempt: AttemptNo::FIRST };
        let seat = Seat { pool: PoolName::default(), worker: worker.parse()? };
        Ok(self.bus.inbox().unheard_end(id, &seat).await?.is_some())
    }

    /// Waits for a file outside.
    async fn written(&self, name: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        eventually(&format!("{name} to be written"), || async { Ok(fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))) })
            .await
    }
}

/// Workers are missed quickly, so that a test need not wait for a lease.
fn impatient(wishes: Wishes) -> Wishes {
    wishes.set("NAVVY__SCHEDULER__LEASE", "3s").set("NAVVY__SCHEDULER__SWEEP", "1s").set("NAVVY__WORKER__HEARTBEAT", "1s")
}

/// A job of these orders without a repository.
fn job(orders: &[Value]) -> Value {
    json!({"username": "ada", "orders": orders})
}

/// An order of one command.
fn order(name: &str, command: &str) -> Value {
    json!({"order_name": name, "cmds": [command], "timeout": 600})
}

/// An order that needs others.
fn after(needs: &[&str], order: Value) -> Value {
    crate::with(order, json!({"dependencies": needs}))
}

/// Shell: a line into a file, in one write.
fn note(path: &Path, line: &str) -> String {
    format!("echo {line} >> '{}'", path.display())
}

/// Shell: waits until a file is there.
fn until(path: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.1; done", path.display())
}

/// What Python's own library makes of a key and a message: a second opinion about our signatures.
fn hmac_sha256(key: &[u8], message: &[u8]) -> anyhow::Result<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let script = "import base64,hashlib,hmac,sys;k,m=[base64.b64decode(l) for l in sys.stdin.read().split('\\n')];\
                  print(base64.b64encode(hmac.new(k,m,hashlib.sha256).digest()).decode())";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = python.spawn()?;
    let asked = format!("{}\n{}", STANDARD.encode(key), STANDARD.encode(message));
    std::io::Write::write_all(&mut python.stdin.take().context("stdin is piped")?, asked.as_bytes())?;
    let output = python.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "python3: {}", output.status);
    Ok(STANDARD.decode(String::from_utf8(output.stdout)?.trim())?)
}
