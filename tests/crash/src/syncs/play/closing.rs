//! After everything was settled: what was asked for is asked once more, a person settles what is unknown, the next push goes
//! through, and then everything is held against what must be so.

use super::{Play, own, spec};
use crate::{
    lane::{OTHER_WORKER, WORKER},
    oracle,
    points::Then,
    store::Logged,
    syncs::{
        asked::Asked,
        oracle::{Sync, Tag, Told, violations},
        points::{SyncsEnd, What},
        world::Followed,
    },
};
use anyhow::Context as _;
use proto::{sync::SyncAction, view::RunStatus};
use serde_json::json;
use std::{collections::BTreeMap, time::Instant};
use system_tests::eventually;

use super::{LOOK_EVERY, PATIENCE};

impl Play<'_> {
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        self.lane.world.let_go()?;
        if self.scenario.then == Then::Replace {
            self.lane.fleet.start(WORKER).await?;
            self.lane.fleet.kill(OTHER_WORKER)?;
        }
        if self.scenario.ends == SyncsEnd::Unknown {
            self.settle().await?;
        }
        self.repeat().await?;
        self.go_on().await?;
        self.ask_the_oracle().await
    }

    /// What is unknown holds its lock, until a person has looked.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let client = self.lane.fleet.client.clone();
        let asked = &self.asked[0];
        let run = asked.run.clone().context("what is unknown has a run")?;
        let view = client.get(&format!("/v1/runs/{run}")).await?;
        if view["evidence"]["seen"].as_str().is_none_or(str::is_empty) {
            self.broken(format!("it is unknown without evidence: {}", view["evidence"]));
        }
        let locks = client.get("/v1/locks").await?;
        if !held(&locks).any(|lock| lock["holder"]["run"] == run.as_str()) {
            self.broken(format!("it is unknown and does not hold its lock: {locks}"));
        }
        client.settle(&run, &json!({"as": "failed", "reason": "looked at it"})).await?;
        client.ended(&run).await?;
        Ok(())
    }

    /// The same once more is the same run.
    async fn repeat(&mut self) -> anyhow::Result<()> {
        let client = self.lane.fleet.client.clone();
        // One that was lost is caught up with; sent again it would be a run.
        let is_lost = self.scenario.ends == SyncsEnd::Lost;
        for asked in self.asked.iter_mut().filter(|_| !is_lost) {
            asked.say(&client, &self.lane.world.commands, &mut self.promises).await.context("once more")?;
            let wrong = asked.record(&client).await?;
            self.played.violations.extend(wrong);
        }
        Ok(())
    }

    /// The next push succeeds: that of a service which was synced, or of a file that is no part of one.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        let world = &self.lane.world;
        let key = format!("{}-next", self.name);
        let next = |followed: &Followed, moved, services: &[&str]| Asked::push(followed, key.clone(), moved, services);
        let (mut asked, deploys) = match self.scenario.what {
            What::Compose { then_deploys } => (next(&world.hosts, world.hosts.mention("stack", &key)?, &["stack"])?, then_deploys),
            What::Dokploy { then_deploys } => (next(&world.hosts, world.hosts.mention("dock", &key)?, &["dock"])?, then_deploys),
            What::Push if self.scenario.ends == SyncsEnd::Lost => {
                (next(&world.commands, world.commands.change(&["alpha"], &key)?, &["alpha", "beta"])?, true)
            }
            What::Push | What::Queue(_) | What::Redelivered | What::Version | What::Release => {
                (next(&world.commands, world.commands.change(&["alpha"], &key)?, &["alpha"])?, true)
            }
        };
        asked.say(&self.lane.fleet.client, &world.commands, &mut self.promises).await.context("the next push")?;
        self.asked.push(asked);
        let (last, began) = (self.asked.len() - 1, Instant::now());
        while !self.asked[last].view.as_ref().is_some_and(|view| view.status.is_terminal()) && began.elapsed() < PATIENCE {
            self.look(last).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let view = self.asked[last].view.as_ref();
        let did = view.into_iter().flat_map(|view| &view.jobs).find_map(|job| job.sync.as_ref()?.action);
        let has_deployed = did.is_some_and(|did| did != SyncAction::Skipped);
        if view.map(|view| view.status) != Some(RunStatus::Success) || has_deployed != deploys {
            let shown = self.shown();
            self.broken(format!("the next push did {did:?}, and should deploy: {deploys}; {shown}"));
        }
        Ok(())
    }

    async fn ask_the_oracle(&mut self) -> anyhow::Result<()> {
        let runs = own(self.lane).await?;
        self.played.violations.extend(oracle::kept(&self.promises, &runs));
        let asked = self.asked.iter().filter(|asked| asked.run.is_some()).count();
        if runs.len() != asked {
            self.broken(format!("{asked} things were taken, and {} runs are in the store", runs.len()));
        }
        self.ended_as_it_must(&runs);
        let told = self.told(&runs).await?;
        let effects = self.lane.world.effects()?.split_off(self.before.0.len());
        self.played.violations.extend(violations(&told, &effects, &self.tags()?));
        self.nothing_is_left(&told).await?;
        self.lane.world.known.extend(runs.into_iter().map(|run| run.id));
        Ok(())
    }

    /// Asked of the log, because a look from time to time misses what was unknown only for a moment.
    fn ended_as_it_must(&mut self, runs: &[Logged]) {
        for asked in 0..self.asked.len() {
            let Some(run) = runs.iter().find(|run| Some(&run.id) == self.asked[asked].run.as_ref()) else { continue };
            let (ending, unknown) = (run.ending().unwrap_or("nothing").to_owned(), run.count("job_unknown") > 0);
            self.played.unknown_seen |= unknown;
            let ends = if asked == 0 { self.scenario.ends } else { SyncsEnd::Success };
            let as_it_must_be = match ends {
                SyncsEnd::Success => ending == "success" && !unknown,
                SyncsEnd::LateSuccess => ending == "success" && unknown,
                SyncsEnd::Unknown => ending == "failed" && unknown,
                SyncsEnd::Lost => false,
            };
            if !as_it_must_be {
                let failure = self.asked[asked].view.as_ref().and_then(|view| view.failure.clone());
                self.broken(format!("run {} ended as {ending} ({failure:?}), unknown: {unknown}; it should be {ends:?}", run.id));
            }
        }
    }

    /// Each run with what it was asked for and what is shown of it.
    async fn told(&mut self, runs: &[Logged]) -> anyhow::Result<Vec<Told>> {
        let mut all = Vec::new();
        for run in runs {
            let Some(asked) = self.asked.iter().find(|asked| asked.run.as_ref() == Some(&run.id)) else {
                self.played.violations.push(format!("nobody asked for run {}: {}", run.id, spec(run)));
                continue;
            };
            let (view, _) = self.lane.store.shown(&run.id).await?;
            let syncs = view.jobs.iter().filter_map(|job| {
                let sync = job.sync.as_ref()?;
                let action = sync.action.map(|action| action.as_str().to_owned()).unwrap_or_default();
                Some(Sync { job: job.n.0, service: sync.service.name().to_owned(), status: job.status.clone(), action })
            });
            all.push(Told {
                log: run.clone(),
                environment: asked.environment.to_owned(),
                commit: asked.commit.clone(),
                services: asked.services.clone(),
                syncs: syncs.collect(),
                releases: asked.is_release(),
            });
        }
        Ok(all)
    }

    fn tags(&self) -> anyhow::Result<Vec<Tag>> {
        let commands = &self.lane.world.commands;
        let new = commands.updates()?.split_off(self.before.1.len());
        let tags = new.into_iter().filter(|update| update.reference.starts_with("refs/tags/"));
        tags.map(|update| {
            let (kind, commit) = commands.tag(&update.reference)?;
            Ok(Tag { update, kind, commit })
        })
        .collect()
    }

    /// Locks are free, and what is kept of each service is what was synced last.
    async fn nothing_is_left(&mut self, told: &[Told]) -> anyhow::Result<()> {
        let (client, store) = (self.lane.fleet.client.clone(), self.lane.store.clone());
        let free = eventually("all locks to be free", || async {
            let locks = client.get("/v1/locks").await?;
            Ok(held(&locks).next().is_none().then_some(()))
        });
        if let Err(error) = free.await {
            self.broken(format!("{error:#}: {}", client.get("/v1/locks").await?));
        }
        let mut last: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        // In the order in which they were asked for.
        for asked in &self.asked {
            for told in told.iter().filter(|told| Some(&told.log.id) == asked.run.as_ref()) {
                for sync in told.syncs.iter().filter(|sync| sync.status == "succeeded") {
                    last.insert((&told.environment, &sync.service), &told.commit);
                }
            }
        }
        for ((environment, service), commit) in last {
            let (environment, service) = (environment.parse()?, format!("platform/{service}").parse()?);
            let kept = eventually("the service to be kept as synced", || async {
                let state = store.service(&environment, &service).await?;
                Ok(state.and_then(|state| state.commit).is_some_and(|kept| kept.as_str() == commit).then_some(()))
            });
            if kept.await.is_err() {
                let state = store.service(&environment, &service).await?;
                self.played.violations.push(format!("{service} was synced at {commit}, and what is kept says {state:?}"));
            }
        }
        Ok(())
    }
}

fn held(locks: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    locks["locks"].as_array().into_iter().flatten().filter(|lock| !lock["holder"].is_null())
}
