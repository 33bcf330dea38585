//! Plays one scenario of syncs: something is asked for, processes die on the way and come back, and in the end everything is
//! held against what must be so.

mod closing;
mod deaths;

use super::{
    asked::Asked,
    points::{SyncsEnd, SyncsScenario, What},
    world::{Effect, Followed, Update},
};
use crate::{lane::Lane, oracle::Promises, play::Played, points::Then, store::Logged};
use deaths::Life;
use proto::view::RunStatus;
use serde_json::Value;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long it may take until the next process dies, and then until all is settled.
const PATIENCE: Duration = Duration::from_mins(2);
/// Points behind the end of a run are come by a moment later than its end is seen.
const AFTER_END: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A scenario under way.
struct Play<'a> {
    lane: &'a mut Lane,
    scenario: &'a SyncsScenario,
    dir: PathBuf,
    name: String,
    /// In order; each is added when the one before stands where it must.
    asked: Vec<Asked>,
    promises: Promises,
    lives: Vec<Life>,
    /// The last death so far.
    died_at: Option<Instant>,
    /// What was there before.
    before: (Vec<Effect>, Vec<Update>),
    played: Played,
}

/// Plays a scenario under a name of its own. The lane can be used again when there is no violation.
pub async fn play(lane: &mut Lane, scenario: &SyncsScenario, name: &str) -> anyhow::Result<Played> {
    begin(lane, name).await?;
    let asked = vec![first(lane, scenario, format!("{name}-main"))?];
    let before = (lane.world.effects()?, lane.world.commands.updates()?);
    if let Some(service) = scenario.hold {
        lane.world.hold(service)?;
    }
    let dir = lane.stage(name, &[])?;
    let (name, lives, promises, played) = (name.to_owned(), Life::all(scenario.deaths), Promises::default(), Played::default());
    let mut play = Play { lane, scenario, dir, name, asked, promises, lives, died_at: None, before, played };
    play.arm_all().await?;
    if play.until_settled().await? {
        play.close().await?;
    }
    Ok(play.played)
}

/// The first pushes of a lane: from now on it is known where its branches were looked at last.
async fn begin(lane: &mut Lane, name: &str) -> anyhow::Result<()> {
    if lane.world.begun {
        return Ok(());
    }
    for followed in [&lane.world.commands, &lane.world.hosts] {
        let moved = followed.change(&[], "nothing")?;
        let mut asked = Asked::push(followed, format!("{name}-{}", followed.source), moved, &[])?;
        asked.say(&lane.fleet.client, followed, &mut Promises::default()).await?;
        lane.fleet.client.ended(asked.run.as_deref().unwrap_or_default()).await?;
    }
    for run in lane.store.runs().await? {
        lane.world.known.insert(run.id);
    }
    lane.world.begun = true;
    Ok(())
}

/// What is asked for first, with a commit of its own.
fn first(lane: &Lane, scenario: &SyncsScenario, key: String) -> anyhow::Result<Asked> {
    let (commands, hosts) = (&lane.world.commands, &lane.world.hosts);
    match scenario.what {
        What::Push | What::Redelivered => push(commands, key, &["alpha", "beta"]),
        What::Queue(_) => push(commands, key, &["alpha"]),
        What::Version => {
            let (_, commit) = commands.change(&["alpha"], &key)?;
            Ok(Asked::version(key, commit, &["alpha", "beta"]))
        }
        What::Release => {
            let (_, commit) = commands.change(&["alpha"], &key)?;
            Ok(Asked::release(key, commit, &["alpha", "beta", "gamma"]))
        }
        What::Compose { .. } => push(hosts, key, &["stack"]),
        What::Dokploy { .. } => push(hosts, key, &["dock"]),
    }
}

/// A push that changes these services.
fn push(followed: &Followed, key: String, services: &[&str]) -> anyhow::Result<Asked> {
    let moved = followed.change(services, &key)?;
    Asked::push(followed, key, moved, services)
}

impl Play<'_> {
    fn broken(&mut self, what: impl Into<String>) {
        self.played.violations.push(what.into());
    }

    /// Until everything that was asked for is as it must be and everybody is back; `false`: that will not be.
    async fn until_settled(&mut self) -> anyhow::Result<bool> {
        let began = Instant::now();
        let mut settled_since = None;
        loop {
            self.see_to_the_dead().await?;
            self.say_and_look().await?;
            self.let_go_in_time()?;
            let settled = self.asked.iter().enumerate().all(|(no, asked)| self.is_settled(no, asked));
            settled_since = settled.then(|| settled_since.unwrap_or_else(Instant::now));
            let since = self.died_at.unwrap_or(began);
            match settled_since {
                Some(_) if self.is_everybody_back() => {
                    self.played.closed_after = since.elapsed();
                    return Ok(true);
                }
                Some(at) if self.is_somebody_to_die() && at.elapsed() > AFTER_END => {
                    let left = self.still_to_die();
                    self.broken(format!("all is over, and nobody came by {left:?}"));
                    return Ok(false);
                }
                _ if since.elapsed() > PATIENCE => {
                    let (left, shown) = (self.still_to_die(), self.shown());
                    self.broken(format!("not settled after {PATIENCE:?}; to die: {left:?}; last seen: {shown}"));
                    return Ok(false);
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// One look at everything that was said, and a word for what was not answered.
    async fn say_and_look(&mut self) -> anyhow::Result<()> {
        self.ask_for_more()?;
        for no in 0..self.asked.len() {
            let asked = &mut self.asked[no];
            if asked.run.is_none() && !(self.scenario.silent && asked.said) {
                // Whatever was answered instead, it is said again.
                let _ = asked.say(&self.lane.fleet.client, &self.lane.world.commands, &mut self.promises).await;
            }
            // Nobody was told, and it is there all the same.
            if self.asked[no].run.is_none() && self.scenario.silent && self.scenario.ends != SyncsEnd::Lost {
                let found = of_commit(&own(self.lane).await?, &self.asked[no].commit);
                self.asked[no].run = found;
            }
            self.look(no).await;
        }
        Ok(())
    }

    /// Pushes come one after another: the second when the first is held, others when the one before waits.
    fn ask_for_more(&mut self) -> anyhow::Result<()> {
        let (no, commands) = (self.asked.len(), &self.lane.world.commands);
        let key = format!("{}-main-{no}", self.name);
        let more = match self.scenario.what {
            What::Queue(pushes) if no < pushes => {
                let is_time = if no == 1 { self.lane.world.is_holding() } else { self.waits(no - 1) };
                is_time.then(|| push(commands, key, &["alpha"])).transpose()?
            }
            What::Redelivered if no == 1 && self.is_settled(0, &self.asked[0]) => {
                // Nobody tells of this commit: the branch stands there when it is done once more.
                let (_, commit) = commands.change(&[], &key)?;
                Some(self.asked[0].again(key, commit)?)
            }
            What::Push
            | What::Queue(_)
            | What::Redelivered
            | What::Version
            | What::Release
            | What::Compose { .. }
            | What::Dokploy { .. } => None,
        };
        self.asked.extend(more);
        Ok(())
    }

    fn waits(&self, no: usize) -> bool {
        let view = self.asked[no].view.as_ref();
        view.is_some_and(|view| view.jobs.iter().any(|job| job.sync.is_some() && job.status == "blocked"))
    }

    /// Of two pushes the first goes on when the second waits; of three, when somebody has died about them.
    fn let_go_in_time(&self) -> anyhow::Result<()> {
        let SyncsScenario { what: What::Queue(pushes), .. } = self.scenario else { return Ok(()) };
        if *pushes == 2 && self.asked.len() == 2 && self.lane.world.is_holding() && self.waits(1) {
            self.lane.world.let_go()?;
        }
        Ok(())
    }

    /// No view yet: it is looked at again.
    async fn look(&mut self, no: usize) {
        let Some(run) = self.asked[no].run.clone() else { return };
        if let Ok((view, _)) = self.lane.store.shown(&run).await {
            self.played.unknown_seen |= view.status == RunStatus::Unknown;
            self.asked[no].view = Some(view);
        }
    }

    /// Whether it stands as it must in the end.
    fn is_settled(&self, no: usize, asked: &Asked) -> bool {
        let Some(view) = &asked.view else { return self.scenario.ends == SyncsEnd::Lost && asked.said };
        view.status.is_terminal() || (no == 0 && self.scenario.ends == SyncsEnd::Unknown && view.status == RunStatus::Unknown)
    }

    fn is_everybody_back(&self) -> bool {
        let is_back = |life: &Life| life.is_back() || self.scenario.then == Then::Replace;
        !self.is_somebody_to_die() && self.lives.iter().all(is_back)
    }

    fn shown(&self) -> String {
        let of = |asked: &Asked| {
            let jobs = asked.view.iter().flat_map(|view| &view.jobs).map(|job| format!("{} {}", job.name, job.status));
            format!("{} {:?} {:?}", asked.key, asked.run, jobs.collect::<Vec<_>>())
        };
        self.asked.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

/// Runs of syncs that were not there before this scenario.
async fn own(lane: &Lane) -> anyhow::Result<Vec<Logged>> {
    let mut runs = lane.store.runs().await?;
    runs.retain(|run| spec(run)["action"] == "sync" && !lane.world.known.contains(&run.id));
    Ok(runs)
}

fn spec(run: &Logged) -> &Value {
    run.of("accepted").next().map_or(&Value::Null, |event| &event["trigger"]["spec"])
}

/// The run of a push of this commit.
fn of_commit(runs: &[Logged], commit: &str) -> Option<String> {
    runs.iter().find(|run| spec(run)["wanted"]["after"] == commit).map(|run| run.id.clone())
}
