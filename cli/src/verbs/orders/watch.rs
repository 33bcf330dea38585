//! `navvy orders submit --watch`: which orders go out, and how each ends, until the run is over.
//!
//! The run's counts say whether anything moved; only then are its jobs read, and only from the first that is not over.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::view::JobView;
use proto::{RunId, orders::OrderCounts};
use serde_json::json;
use service::settings::Period;

use crate::api::{Run, jobs};
use crate::exit::Exit;
use crate::output::orders::{is_over, moved};
use crate::problem::CliError;
use crate::verbs::Session;
use crate::verbs::wait::{Settled, until_settled_seeing};

/// The jobs of a run are stored beside its end, not with it: how often, and how far apart, they are looked at once more.
const LAST_LOOKS: u32 = 10;
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// Tells what moves until the run has settled; exits by its result.
pub(super) async fn until_settled(session: &Session<'_>, run: RunId, limit: Option<Period>) -> Result<Exit, CliError> {
    let mut watcher = Watcher { session, run, counts: None, told: BTreeMap::new(), over_before: 0 };
    let Settled { exit, answer } = until_settled_seeing(session, run, limit, async |seen: &Run| watcher.see(seen).await).await?;
    if let Some(answer) = answer.filter(|_| session.out.is_json()) {
        session.out.json(&json!({ "event": "end", "status": answer.get("status"), "orders": answer.get("orders") }))?;
    }
    Ok(exit)
}

/// What was told of a run so far.
struct Watcher<'a> {
    session: &'a Session<'a>,
    run: RunId,
    /// As of the last look at the jobs.
    counts: Option<OrderCounts>,
    /// The status that was told last, of each job.
    told: BTreeMap<u32, String>,
    /// All jobs before this number are over.
    over_before: u32,
}

impl Watcher<'_> {
    async fn see(&mut self, run: &Run) -> Result<(), CliError> {
        if self.counts == run.orders && !run.status.is_terminal() {
            return Ok(());
        }
        let mut open = self.look().await?;
        let mut looks = 0;
        while open && run.status.is_terminal() && looks < LAST_LOOKS {
            tokio::time::sleep(LAST_PAUSE).await;
            open = self.look().await?;
            looks += 1;
        }
        self.counts = run.orders;
        Ok(())
    }

    /// Tells what is new; says whether a job is not over.
    async fn look(&mut self) -> Result<bool, CliError> {
        let client = &self.session.client;
        let jobs: Vec<JobView> = client.read(jobs(client, self.run, self.over_before).await?.into())?;
        for job in &jobs {
            if self.told.get(&job.n.0) != Some(&job.status) {
                self.tell(job)?;
                self.told.insert(job.n.0, job.status.clone());
            }
        }
        while self.told.get(&self.over_before).is_some_and(|status| is_over(status)) {
            self.over_before += 1;
        }
        Ok(jobs.iter().any(|job| !is_over(&job.status)))
    }

    fn tell(&self, job: &JobView) -> Result<(), CliError> {
        let out = self.session.out;
        let Some(line) = moved(job, out.style()) else { return Ok(()) };
        if out.is_json() {
            let (failure, num) = (&job.failure, proto::orders::order_num(job.n));
            return out.json(&json!({
                "event": "order", "n": job.n, "order_num": num, "name": job.name, "status": job.status, "failure": failure
            }));
        }
        out.line(&line)
    }
}
