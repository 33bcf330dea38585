//! A lane: a fleet of real processes that scenarios are played on, one after the other.

use crate::{family, points::Victim, store::Store, syncs::world::World};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use system_tests::{
    fleet::{Fleet, Wishes},
    git::{GitServer, Repo},
    program,
};
use tempfile::TempDir;

/// What all lanes share.
#[derive(Debug)]
pub struct Ground {
    pub git: GitServer,
    pub repo: Repo,
    tools: TempDir,
    /// How many were opened.
    lanes: AtomicUsize,
}

impl Ground {
    /// A git server with one repository, and a folder in which `terraform` is the fake one.
    pub fn prepare() -> anyhow::Result<Arc<Self>> {
        let git = GitServer::start()?;
        let repo = git.repo("infra", &[("main.tf", "# the fake tool reads nothing\n"), ("network/main.tf", "# nor here\n")])?;
        let tools = TempDir::new()?;
        std::os::unix::fs::symlink(program("fake-terraform"), tools.path().join("terraform"))?;
        Ok(Arc::new(Self { git, repo, tools, lanes: AtomicUsize::new(0) }))
    }

    /// Leases short enough that nobody waits long for a verdict, and the fake tool in front of all others.
    pub fn wishes(&self) -> Wishes {
        let path = std::env::vars().find(|(name, _)| name == "PATH").map(|(_, path)| path).unwrap_or_default();
        let tools = system_tests::root().join(".tools/bin");
        Wishes::git(self.git.server.host())
            .set("PATH", format!("{}:{}:{path}", self.tools.path().display(), tools.display()))
            .set("NAVVY__SCHEDULER__LEASE", "6s")
            .set("NAVVY__SCHEDULER__SWEEP", "1s")
            .set("NAVVY__SCHEDULER__WATCHDOG_SLACK", "2s")
            .set("NAVVY__WORKER__HEARTBEAT", "1s")
    }
}

/// A fleet, and where its runs have their effects.
#[derive(Debug)]
pub struct Lane {
    pub fleet: Fleet,
    pub store: Store,
    pub world: World,
    ground: Arc<Ground>,
}

/// The one worker that is always there, and the one that is started when it does not come back.
pub const WORKER: &str = "w1";
pub const OTHER_WORKER: &str = "w2";

impl Lane {
    /// Kills those of a worker, its runners and what they run that are victims.
    pub(crate) fn kill_at_work(&mut self, victims: &[Victim]) -> anyhow::Result<()> {
        let worker = self.fleet.pid(WORKER).context("the worker runs")?;
        let (runners, family) = (family::children(worker), family::below(worker));
        // From the inside out: who is still there must not see the others go.
        if victims.contains(&Victim::Worker) {
            self.fleet.kill(WORKER)?;
        }
        if victims.contains(&Victim::Runner) {
            family::kill_all(&runners);
        }
        if victims.contains(&Victim::Tool) {
            family::kill_all(&family);
        }
        Ok(())
    }

    /// A gateway, a scheduler and a worker, each built with points to die at.
    pub async fn open(ground: &Arc<Ground>) -> anyhow::Result<Self> {
        let no = ground.lanes.fetch_add(1, Ordering::Relaxed);
        let world = World::open(ground, &format!("lane-{no}")).await?;
        let dir = world.dir().to_str().context("a readable path")?;
        let wishes = Wishes { program: Some("navvy-crash"), ..ground.wishes() }.config(world.config()).set("CRASH_DIR", dir);
        let fleet = Fleet::apart(wishes, &[WORKER]).await?;
        let store = Store::open(fleet.nats()?).await?;
        Ok(Self { fleet, store, world, ground: ground.clone() })
    }

    /// A folder for the effects of what is played next.
    pub fn stage(&self, name: &str, steps: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let dir = self.fleet.dir.path().join("played").join(name);
        fs::create_dir_all(&dir)?;
        for (verb, words) in steps {
            fs::write(dir.join(format!("main.{verb}")), words)?;
        }
        Ok(dir)
    }

    /// The request for a run on this stage.
    pub fn request(&self, dir: &Path, label: &str, auto_approve: bool) -> anyhow::Result<Value> {
        request(&self.ground, dir, label, auto_approve)
    }

    /// Starts a process again, this time to die at a point.
    pub async fn arm(&mut self, role: &str, point: &str, hits: &Path) -> anyhow::Result<()> {
        self.fleet.kill(role)?;
        let hits = hits.to_str().context("a readable path")?;
        self.fleet.start_with(role, &[("NAVVY_FAILPOINT", point), ("NAVVY_FAILPOINT_HITS", hits)]).await
    }
}

/// A request whose effects go to `dir`. Its workspace is the folder's name, so that what shares a state shares a lock.
pub fn request(ground: &Ground, dir: &Path, label: &str, auto_approve: bool) -> anyhow::Result<Value> {
    let workspace = dir.file_name().and_then(|name| name.to_str()).context("a readable name")?;
    let place = dir.to_str().context("a readable path")?;
    Ok(json!({
        "tool": "terraform",
        "git_url": ground.repo.url,
        "git_ref": "main",
        "workspace": workspace,
        "auto_approve": auto_approve,
        "env_vars": {"FAKE_DIR": place, "FAKE_RUN": label},
        "public_env": ["FAKE_DIR", "FAKE_RUN"],
    }))
}
