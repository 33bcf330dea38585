//! Who dies, and who comes back.

use super::Play;
use crate::{
    family::parent_of,
    lane::{OTHER_WORKER, WORKER},
    points::{Dies, Then, Victim},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, path::Path, time::Instant};
use system_tests::eventually;

impl Play<'_> {
    pub(super) async fn arm(&mut self) -> anyhow::Result<()> {
        match self.scenario.dies {
            Dies::At { role, point } | Dies::AtWithWorker { role, point } => {
                let hits = self.dir.join("hits");
                self.lane.arm(role, point, &hits).await
            }
            Dies::Holding(_) => Ok(()),
            Dies::Tool => {
                // Nobody of ours dies, so nobody has to come back.
                (self.died_at, self.back) = (Some(Instant::now()), true);
                Ok(())
            }
        }
    }

    /// Looks whether somebody died, and brings him back when his time has come.
    pub(super) async fn see_to_the_dead(&mut self) -> anyhow::Result<()> {
        if self.died_at.is_none() {
            self.died_at = self.look_for_a_death()?.then(Instant::now);
            self.played.hits = usize::from(self.died_at.is_some());
        }
        let Some(_) = self.died_at.filter(|_| !self.back) else { return Ok(()) };
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
        // One that was to be cancelled is left holding: the stop must reach it.
        if self.scenario.then == Then::RestartWhenUnknown {
            fs::write(self.dir.join("main.go"), "")?;
        }
        for role in self.scenario.dies.roles() {
            if self.lane.fleet.pid(role).is_none() {
                self.lane.fleet.start(role).await?;
            }
        }
        Ok(())
    }

    fn look_for_a_death(&mut self) -> anyhow::Result<bool> {
        match self.scenario.dies {
            Dies::At { .. } | Dies::AtWithWorker { .. } => {
                if fs::read_to_string(self.dir.join("hits")).unwrap_or_default().is_empty() {
                    return Ok(false);
                }
            }
            Dies::Holding(victims) => {
                let Some(tool) = read_pid(&self.dir.join("main.holding")) else { return Ok(false) };
                let runner = parent_of(tool);
                // Another attempt goes through.
                for (verb, _) in self.scenario.steps {
                    fs::remove_file(self.dir.join(format!("main.{verb}")))?;
                }
                // From the inside out: who is still there must not see the others go.
                for victim in [Victim::Worker, Victim::Runner, Victim::Tool].into_iter().filter(|victim| victims.contains(victim)) {
                    match victim {
                        Victim::Worker => self.lane.fleet.kill(WORKER)?,
                        Victim::Runner => end(runner),
                        Victim::Tool => end(Some(tool)),
                    }
                }
                return Ok(true);
            }
            Dies::Tool => return Ok(true),
        }
        for role in self.scenario.dies.roles() {
            // The one at the point is dead already; this takes note of it.
            self.lane.fleet.kill(role)?;
        }
        Ok(true)
    }
}

fn read_pid(path: &Path) -> Option<Pid> {
    fs::read_to_string(path).ok()?.trim().parse().ok().map(Pid::from_raw)
}

fn end(pid: Option<Pid>) {
    if let Some(pid) = pid {
        // It may have gone with the others.
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// A tool that outlived its runner is ended as an operator would end it, before anything else touches its state.
pub(super) async fn end_leftovers(dir: &Path) -> anyhow::Result<()> {
    let Some(tool) = read_pid(&dir.join("main.holding")).filter(|pid| is_ours(*pid)) else { return Ok(()) };
    end(Some(tool));
    // A dead process has no program any more.
    eventually("the tool that was left behind to be gone", || async { Ok((!is_ours(tool)).then_some(())) }).await
}

fn is_ours(pid: Pid) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("fake-terraform"))
}
