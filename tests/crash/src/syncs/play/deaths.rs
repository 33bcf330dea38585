//! Who dies next, and who comes back.

use super::Play;
use crate::{
    lane::{OTHER_WORKER, WORKER},
    points::{Dies, Then},
};
use anyhow::Context as _;
use std::{collections::VecDeque, fs, path::PathBuf, time::Instant};

/// What a process has before it: the deaths that it dies, one after another.
#[derive(Debug)]
pub(super) struct Life {
    role: &'static str,
    left: VecDeque<Dies>,
    died: usize,
    dead: bool,
}

impl Life {
    /// One for each process that is to die; the gateway first, because workers are seen through it.
    pub(super) fn all(deaths: &[Dies]) -> Vec<Self> {
        let mut lives: Vec<Self> = Vec::new();
        for dies in deaths {
            let role = match *dies {
                Dies::At { role, .. } | Dies::AtWithWorker { role, .. } => role,
                Dies::Holding(_) | Dies::Tool => WORKER,
            };
            match lives.iter_mut().find(|life| life.role == role) {
                Some(life) => life.left.push_back(*dies),
                None => lives.push(Self { role, left: VecDeque::from([*dies]), died: 0, dead: false }),
            }
        }
        lives.sort_by_key(|life| life.role != "gateway");
        lives
    }

    pub(super) fn is_back(&self) -> bool {
        !self.dead
    }

    /// The point of the next death, if it is one.
    fn point(&self) -> Option<&'static str> {
        match self.left.front()? {
            Dies::At { point, .. } | Dies::AtWithWorker { point, .. } => Some(point),
            Dies::Holding(_) | Dies::Tool => None,
        }
    }
}

impl Play<'_> {
    pub(super) fn is_somebody_to_die(&self) -> bool {
        self.lives.iter().any(|life| !life.left.is_empty())
    }

    pub(super) fn still_to_die(&self) -> Vec<Dies> {
        self.lives.iter().flat_map(|life| life.left.iter().copied()).collect()
    }

    /// Starts everybody again who is to die at a point.
    pub(super) async fn arm_all(&mut self) -> anyhow::Result<()> {
        for no in 0..self.lives.len() {
            if let Some(point) = self.lives[no].point() {
                let (role, hits) = (self.lives[no].role, self.hits(no));
                self.lane.arm(role, point, &hits).await?;
            }
        }
        Ok(())
    }

    /// Where a process writes down that it dies, for each of its deaths another file.
    fn hits(&self, no: usize) -> PathBuf {
        let life = &self.lives[no];
        self.dir.join(format!("hits-{}-{}", life.role, life.died))
    }

    /// Looks whether somebody died, and brings him back when his time has come.
    pub(super) async fn see_to_the_dead(&mut self) -> anyhow::Result<()> {
        for no in 0..self.lives.len() {
            if !self.lives[no].dead && !self.lives[no].left.is_empty() && self.dies_now(no)? {
                (self.died_at, self.played.hits) = (Some(Instant::now()), self.played.hits + 1);
                self.lives[no].dead = true;
            }
            if self.lives[no].dead {
                self.bring_back(no).await?;
            }
        }
        Ok(())
    }

    async fn bring_back(&mut self, no: usize) -> anyhow::Result<()> {
        match self.scenario.then {
            Then::Restart => {}
            Then::RestartWhenUnknown if self.played.unknown_seen => {}
            Then::RestartWhenUnknown => return Ok(()),
            Then::Replace => {
                self.lives[no].left.clear();
                if self.lane.fleet.pid(OTHER_WORKER).is_none() {
                    self.lane.fleet.start(OTHER_WORKER).await?;
                }
                return Ok(());
            }
        }
        let life = &mut self.lives[no];
        let (role, dies) = (life.role, life.left.pop_front().context("it has died of something")?);
        (life.dead, life.died) = (false, life.died + 1);
        let (point, hits) = (life.point(), self.hits(no));
        for gone in dies.roles() {
            match point.filter(|_| gone == role) {
                None => self.lane.fleet.start(gone).await?,
                Some(point) => {
                    let hits = hits.to_str().context("a readable path")?;
                    self.lane.fleet.start_with(gone, &[("NAVVY_FAILPOINT", point), ("NAVVY_FAILPOINT_HITS", hits)]).await?;
                }
            }
        }
        Ok(self.lane.world.let_go()?)
    }

    fn dies_now(&mut self, no: usize) -> anyhow::Result<bool> {
        let Some(dies) = self.lives[no].left.front().copied() else { return Ok(false) };
        let victims = match dies {
            Dies::At { .. } | Dies::AtWithWorker { .. } => {
                if fs::read_to_string(self.hits(no)).unwrap_or_default().is_empty() {
                    return Ok(false);
                }
                // The one at the point is dead already; this takes note of it.
                for role in dies.roles() {
                    self.lane.fleet.kill(role)?;
                }
                return Ok(true);
            }
            Dies::Holding(victims) => victims,
            Dies::Tool => return Ok(false),
        };
        if !self.lane.world.is_holding() {
            return Ok(false);
        }
        self.lane.kill_at_work(victims)?;
        Ok(true)
    }
}
