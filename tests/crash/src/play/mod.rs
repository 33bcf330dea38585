//! Plays one scenario: a run is submitted and driven, somebody dies on the way and comes back, and in the end everything
//! is held against what must be so.

mod client;
mod death;

use crate::{
    effects,
    lane::{Lane, OTHER_WORKER, WORKER},
    oracle::{self, Promises},
    points::{Dies, Ends, Scenario, Then},
};
use anyhow::Context as _;
use client::{Cast, Status};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long an obligation may stay open once whoever died is back.
const CLOSES_WITHIN: Duration = Duration::from_mins(2);
/// How long it may take until the process dies at all.
const DIES_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    /// Processes that came by their point and died there.
    pub hits: usize,
    pub unknown_seen: bool,
    /// From the death to the last obligation.
    pub closed_after: Duration,
    pub violations: Vec<String>,
}

/// A scenario under way.
struct Play<'a> {
    lane: &'a mut Lane,
    scenario: &'a Scenario,
    dir: PathBuf,
    main: Cast,
    next: Option<Cast>,
    promises: Promises,
    died_at: Option<Instant>,
    back: bool,
    began: Instant,
    played: Played,
}

/// Plays a scenario under a name of its own. The lane can be used again when there is no violation.
pub async fn play(lane: &mut Lane, scenario: &Scenario, name: &str) -> anyhow::Result<Played> {
    let dir = lane.stage(name, scenario.steps)?;
    let main = Cast::new(lane, &dir, "main", !scenario.by_hand)?;
    let next = scenario.queue.then(|| Cast::new(lane, &dir, "next", true)).transpose()?;
    let (began, promises, played) = (Instant::now(), Promises::default(), Played::default());
    let mut play = Play { lane, scenario, dir, main, next, promises, died_at: None, back: false, began, played };
    play.arm().await?;
    play.until_settled().await?;
    if play.played.violations.is_empty() {
        play.put_back().await?;
        play.repeat_and_go_on().await?;
    }
    play.ask_the_oracle().await?;
    Ok(play.played)
}

impl Play<'_> {
    fn broken(&mut self, what: impl Into<String>) {
        self.played.violations.push(what.into());
    }

    /// Until the run is what it must become, or it is clear that it will not.
    async fn until_settled(&mut self) -> anyhow::Result<()> {
        loop {
            self.see_to_the_dead().await?;
            let settled = self.drive().await?;
            if !self.played.violations.is_empty() {
                return Ok(());
            }
            if settled && self.died_at.is_some() && (self.back || self.scenario.then == Then::Replace) {
                self.played.closed_after = self.died_at.map(|at| at.elapsed()).unwrap_or_default();
                return Ok(());
            }
            if settled && self.died_at.is_none() && self.is_past_its_point() {
                self.broken("the run is over, and nobody came by the point");
                return Ok(());
            }
            let late = match self.died_at {
                None => self.began.elapsed() > DIES_WITHIN,
                Some(at) => at.elapsed() > CLOSES_WITHIN,
            };
            if late {
                let what = if self.died_at.is_some() { "is not settled 120 s after the death" } else { "nobody died at the point" };
                let shown = self.main.shown.clone();
                self.broken(format!("{what}; the run was last seen as {shown}"));
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Points behind the end of a run are come by a moment later than its end is seen.
    fn is_past_its_point(&self) -> bool {
        self.main.settled_since.is_some_and(|since| since.elapsed() > Duration::from_secs(20))
    }

    /// One look at every run, and what a client does about it. Whether all are as they must be.
    async fn drive(&mut self) -> anyhow::Result<bool> {
        let mut settled = self.drive_main().await?;
        if let Some(next) = &mut self.next
            && self.main.id.is_some()
        {
            let status = next.look(&self.lane.fleet.client, &mut self.promises).await;
            settled &= status == Some(Status::Success);
        }
        Ok(settled)
    }

    async fn drive_main(&mut self) -> anyhow::Result<bool> {
        let client = self.lane.fleet.client.clone();
        let Some(status) = self.main.look(&client, &mut self.promises).await else { return Ok(false) };
        match status {
            Status::AwaitingApproval => self.main.approve(&client).await,
            Status::Running if self.scenario.cancel && self.main.is_holding(&self.dir) => {
                self.main.cancel(&client, self.scenario.force).await;
            }
            Status::Running | Status::Success | Status::Failed | Status::Cancelled | Status::Unknown => {}
        }
        let ends = self.scenario.ends;
        let as_it_must_be = match (status, ends) {
            (Status::Running | Status::AwaitingApproval, _) => false,
            (Status::Success, Ends::Success) | (Status::Failed, Ends::Failed) | (Status::Cancelled, Ends::Cancelled) => true,
            (Status::Success, Ends::LateSuccess) => {
                if !self.played.unknown_seen {
                    self.broken("it succeeded, and was never said to be unknown");
                }
                true
            }
            (Status::Unknown, Ends::Unknown | Ends::LateSuccess) => {
                if !self.played.unknown_seen {
                    self.played.unknown_seen = true;
                    self.look_at_unknown().await?;
                }
                ends == Ends::Unknown
            }
            (status, ends) => {
                let shown = self.main.shown.clone();
                self.broken(format!("it became {status:?}, and should be {ends:?}: {shown}"));
                false
            }
        };
        Ok(as_it_must_be)
    }

    /// I4: what is unknown says what is known, and keeps its lock.
    async fn look_at_unknown(&mut self) -> anyhow::Result<()> {
        let client = self.lane.fleet.client.clone();
        let id = self.main.id.clone().context("a run that is unknown has an id")?;
        let run = client.get(&format!("/v1/runs/{id}")).await?;
        let told = |field: &str| run["evidence"][field].as_str().map_or(0, str::len);
        if told("seen") == 0 || run["evidence"]["check"].as_array().is_none_or(Vec::is_empty) {
            self.broken(format!("it is unknown without evidence: {}", run["evidence"]));
        }
        let locks = client.get("/v1/locks").await?;
        let held = locks["locks"].as_array().is_some_and(|all| all.iter().any(|lock| lock["holder"]["run"] == id.as_str()));
        if !held {
            self.broken("it is unknown and does not hold its lock");
        }
        Ok(())
    }

    /// Everybody is there again, nothing is held any more, and a person settles what stayed unknown.
    async fn put_back(&mut self) -> anyhow::Result<()> {
        std::fs::write(self.dir.join("main.go"), "")?;
        if self.scenario.then == Then::Replace {
            self.lane.fleet.start(WORKER).await?;
            self.lane.fleet.kill(OTHER_WORKER)?;
        }
        death::end_leftovers(&self.dir).await?;
        if self.scenario.ends == Ends::Unknown {
            let client = self.lane.fleet.client.clone();
            if let Err(why) = self.main.resolve(&client).await {
                self.broken(why.to_string());
            }
        }
        Ok(())
    }

    /// The same request again is the same run; a new one on the same state succeeds.
    async fn repeat_and_go_on(&mut self) -> anyhow::Result<()> {
        let client = self.lane.fleet.client.clone();
        self.main.repeat(&client, &mut self.promises).await?;
        let mut fresh = Cast::new(self.lane, &self.dir, "fresh", true)?;
        let began = Instant::now();
        loop {
            match fresh.look(&client, &mut self.promises).await {
                Some(Status::Success) => return Ok(()),
                Some(Status::Failed | Status::Cancelled | Status::Unknown) => break,
                Some(Status::Running | Status::AwaitingApproval) | None if began.elapsed() > CLOSES_WITHIN => break,
                Some(Status::Running | Status::AwaitingApproval) | None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        self.broken(format!("a fresh run on the same state does not succeed: {}", fresh.shown));
        Ok(())
    }

    async fn ask_the_oracle(&mut self) -> anyhow::Result<()> {
        let workspace = self.dir.file_name().and_then(|name| name.to_str()).context("a readable name")?;
        let mut runs = self.lane.store.runs().await?;
        runs.retain(|run| run.workspace() == workspace);
        if runs.len() != self.promises.requests() {
            self.broken(format!("{} requests were accepted, and {} runs are in the store", self.promises.requests(), runs.len()));
        }
        // Asked of the log, because a look from time to time misses what was unknown only for a moment.
        let allowed = matches!(self.scenario.ends, Ends::Unknown | Ends::LateSuccess);
        for run in &runs {
            let is_main = self.main.id.as_ref() == Some(&run.id);
            if run.count("job_unknown") > 0 && !(is_main && allowed) {
                self.broken(format!("run {} was unknown for a while, and should never have been", run.id));
            }
        }
        let effects = effects::read(&self.dir)?;
        self.played.violations.extend(oracle::violations(&self.promises, &runs, &effects));
        if !matches!(self.scenario.dies, Dies::Tool) && self.played.hits == 0 {
            self.broken("the point was never hit");
        }
        Ok(())
    }
}
