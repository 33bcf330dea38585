//! Plays one moment of a run of orders: it is submitted, somebody dies on the way and comes back, and in the end everything
//! is held against what must be so.

use super::{
    graph,
    oracle::{Seen, violations},
    points::{OrdersEnd, OrdersScenario},
};
use crate::{
    lane::{Lane, OTHER_WORKER, WORKER},
    oracle::{self, Promises},
    play::Played,
    points::{Dies, Then},
};
use anyhow::Context as _;
use proto::view::RunView;
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};
use system_tests::client::Client;

/// How long it may take until the process dies, and then until the run is over.
const PATIENCE: Duration = Duration::from_mins(2);
/// Points behind the end of a run are come by a moment later than its end is seen.
const AFTER_END: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A scenario under way.
struct Play<'a> {
    lane: &'a mut Lane,
    scenario: &'a OrdersScenario,
    dir: PathBuf,
    /// Trace of the run, and its key.
    name: String,
    promises: Promises,
    run: Option<String>,
    view: Option<RunView>,
    died_at: Option<Instant>,
    back: bool,
    played: Played,
}

/// Plays a scenario under a name of its own. The lane can be used again when there is no violation.
pub async fn play(lane: &mut Lane, scenario: &OrdersScenario, name: &str) -> anyhow::Result<Played> {
    let dir = lane.stage(name, &[])?;
    if scenario.hold.is_some() {
        fs::write(dir.join("hold"), "")?;
    }
    if let Dies::At { role, point } | Dies::AtWithWorker { role, point } = scenario.dies {
        lane.arm(role, point, &dir.join("hits")).await?;
    }
    let (name, promises, played) = (format!("{name}-main"), Promises::default(), Played::default());
    let mut play = Play { lane, scenario, dir, name, promises, run: None, view: None, died_at: None, back: false, played };
    if play.until_over().await? {
        play.put_back().await?;
        play.repeat_and_go_on().await?;
        play.ask_the_oracle().await?;
    }
    Ok(play.played)
}

impl Play<'_> {
    fn broken(&mut self, what: impl Into<String>) {
        self.played.violations.push(what.into());
    }

    /// Until the run is over and everybody is back; `false`: that will not be.
    async fn until_over(&mut self) -> anyhow::Result<bool> {
        let began = Instant::now();
        let mut over_since = None;
        loop {
            self.see_to_the_dead().await?;
            self.look().await;
            if self.view.as_ref().is_some_and(|view| view.status.is_terminal()) {
                over_since.get_or_insert_with(Instant::now);
            }
            match (over_since, self.died_at) {
                (Some(_), Some(at)) if self.back || self.scenario.then == Then::Replace => {
                    self.played.closed_after = at.elapsed();
                    return Ok(true);
                }
                (Some(since), None) if since.elapsed() > AFTER_END => {
                    self.broken("the run is over, and nobody came by the point");
                    return Ok(false);
                }
                (_, at) if at.unwrap_or(began).elapsed() > PATIENCE => {
                    let shown = self.view.as_ref().map(|view| (view.status, view.orders));
                    self.broken(format!("not over after {PATIENCE:?} (dead: {}); last seen as {shown:?}", at.is_some()));
                    return Ok(false);
                }
                (_, _) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Submits the run if that has not been answered yet, else looks where it stands.
    async fn look(&mut self) {
        let Some(run) = &self.run else {
            let body = graph::request(self.scenario, &self.dir, &self.name);
            // Whatever was answered instead, it is said again.
            if let Ok(run) = submit(&self.lane.fleet.client, &self.name, &body).await {
                self.promises.answered(&self.name, &run);
                self.run = Some(run);
            }
            return;
        };
        // No view yet, or a page of it is not there: looked at again.
        if let Ok((view, _)) = self.lane.store.shown(run).await {
            self.played.unknown_seen |= view.orders.is_some_and(|orders| orders.unknown > 0);
            self.view = Some(view);
        }
    }

    async fn see_to_the_dead(&mut self) -> anyhow::Result<()> {
        if self.died_at.is_none() && self.somebody_died()? {
            (self.died_at, self.played.hits) = (Some(Instant::now()), 1);
        }
        if self.died_at.is_none() || self.back {
            return Ok(());
        }
        match self.scenario.then {
            Then::Restart => {}
            Then::RestartWhenUnknown if self.played.unknown_seen => {}
            Then::RestartWhenUnknown => return Ok(()),
            Then::Replace => {
                if self.lane.fleet.pid(OTHER_WORKER).is_none() {
                    self.lane.fleet.start(OTHER_WORKER).await?;
                }
                return Ok(());
            }
        }
        self.back = true;
        for role in self.scenario.dies.roles() {
            self.lane.fleet.start(role).await?;
        }
        self.let_go()
    }

    /// What is in the middle of a command goes on.
    fn let_go(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.dir.join("hold")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn somebody_died(&mut self) -> anyhow::Result<bool> {
        let victims = match self.scenario.dies {
            Dies::At { .. } | Dies::AtWithWorker { .. } => {
                if fs::read_to_string(self.dir.join("hits")).unwrap_or_default().is_empty() {
                    return Ok(false);
                }
                // The one at the point is dead already; this takes note of it.
                for role in self.scenario.dies.roles() {
                    self.lane.fleet.kill(role)?;
                }
                return Ok(true);
            }
            Dies::Holding(victims) => victims,
            Dies::Tool => return Ok(false),
        };
        let only_one_is_out =
            self.view.as_ref().and_then(|view| view.orders).is_some_and(|orders| orders.running == 1 && orders.queued + orders.ready == 0);
        if !only_one_is_out || !self.dir.join("holding").exists() {
            return Ok(false);
        }
        self.lane.kill_at_work(victims)?;
        Ok(true)
    }

    async fn put_back(&mut self) -> anyhow::Result<()> {
        self.let_go()?;
        if self.scenario.then == Then::Replace {
            self.lane.fleet.start(WORKER).await?;
            self.lane.fleet.kill(OTHER_WORKER)?;
        }
        Ok(())
    }

    /// The same request again is the same run; a new one on the same fleet succeeds.
    async fn repeat_and_go_on(&mut self) -> anyhow::Result<()> {
        let client = self.lane.fleet.client.clone();
        let body = graph::request(self.scenario, &self.dir, &self.name);
        let again = submit(&client, &self.name, &body).await.context("the request, repeated")?;
        self.promises.answered(&self.name, &again);
        let fresh = format!("{}-fresh", self.name);
        let dir = self.lane.stage(&fresh, &[])?;
        let run = submit(&client, &fresh, &graph::single(&dir, &fresh)).await.context("a fresh run")?;
        let began = Instant::now();
        loop {
            let status = self.lane.store.shown(&run).await.ok().map(|(view, _)| view.status);
            if status.is_some_and(proto::view::RunStatus::is_terminal) || began.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let done = graph::effects(&dir)?;
        if done.len() != 2 {
            self.broken(format!("a fresh run on the same fleet did {done:?}"));
        }
        Ok(())
    }

    async fn ask_the_oracle(&mut self) -> anyhow::Result<()> {
        let run = self.run.clone().context("a run that is over has an id")?;
        let mut runs = self.lane.store.runs().await?;
        runs.retain(|run| run.trace() == self.name);
        self.played.violations.extend(oracle::kept(&self.promises, &runs));
        if runs.len() != 1 {
            self.broken(format!("{} runs are in the store for one request", runs.len()));
            return Ok(());
        }
        let (nodes, effects) = (graph::nodes(self.scenario.leaves), graph::effects(&self.dir)?);
        let (view, jobs) = self.lane.store.shown(&run).await?;
        let found = violations(&Seen { nodes: &nodes, log: &runs[0], effects: &effects, view: &view, jobs: &jobs });
        self.played.violations.extend(found);
        // Asked of the log, because a look from time to time misses what was unknown only for a moment.
        let (ending, unknown) = (runs[0].ending().unwrap_or("nothing").to_owned(), runs[0].count("job_unknown") > 0);
        self.played.unknown_seen |= unknown;
        let as_it_must_be = match self.scenario.ends {
            OrdersEnd::Success => ending == "success" && !unknown,
            OrdersEnd::LateSuccess => ending == "success" && unknown,
            OrdersEnd::TimedOut => ending == "timed_out" && unknown,
        };
        if !as_it_must_be {
            let failure = view.failure.map(|failure| failure.message);
            self.broken(format!("ended as {ending} ({failure:?}), unknown: {unknown}; it should be {:?}", self.scenario.ends));
        }
        Ok(())
    }
}

/// The run of a request.
async fn submit(client: &Client, key: &str, body: &Value) -> anyhow::Result<String> {
    let request = reqwest::Client::new().post(format!("{}/v1/orders", client.url)).bearer_auth(&client.token);
    let answer = request.header("idempotency-key", key).timeout(Duration::from_secs(30)).json(body).send().await?;
    let status = answer.status();
    let body: Value = answer.json().await?;
    anyhow::ensure!(status == StatusCode::ACCEPTED, "{status}: {body}");
    Ok(body["run_id"].as_str().context("an id")?.to_owned())
}
