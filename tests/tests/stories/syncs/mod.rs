//! Stories of syncs: a push, a call or a release becomes syncs of exactly the services it is about.
//!
//! Here is what they share: a [`World`] with the repository of `examples/gitops-hello` behind a real git server, a fleet that
//! follows it, and a forge that signs. What was deployed is read from the folder that the example's tasks write into; what
//! happened, from the runs. The tasks are run by the real `invoke`.

mod catching_up;
mod compose;
mod dokploy;
mod forced;
mod newest_wins;
mod once;
mod pushes;
mod releases;
mod remotes;
mod results;
mod vault;
mod versions;

use anyhow::Context as _;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
    forge::{Forge, SECRET},
    git::{GitServer, Repo},
};
use tempfile::TempDir;

/// A repository, a fleet that follows it, and the forge that tells of it.
pub(crate) struct World {
    pub(crate) repo: Repo,
    pub(crate) fleet: Fleet,
    pub(crate) forge: Forge,
    pub(crate) outside: TempDir,
    _git: Option<GitServer>,
}

/// What differs from the usual world.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    /// Files besides those of the example; they win over them.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Workers, each a process of its own, beside a gateway and a scheduler; none: all in one process.
    pub(crate) workers: &'a [&'a str],
    /// Further lines of the configuration, before the sources.
    pub(crate) settings: &'a str,
    /// Further lines of `[worker.sync]`.
    pub(crate) worker_sync: &'a str,
    pub(crate) command: Option<&'a str>,
    /// Further lines about the source.
    pub(crate) source: &'a str,
}

impl World {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::with(Wanted::default()).await
    }

    pub(crate) async fn with(wanted: Wanted<'_>) -> anyhow::Result<Self> {
        let git = GitServer::start()?;
        let repo = with_example(wanted.files, |files| git.repo("acme/infra", files))?;
        let host = git.server.host().to_owned();
        let world = Self::of(TempDir::new()?, repo, &host, wanted).await?;
        Ok(Self { _git: Some(git), ..world })
    }

    /// Of a repository on somebody else's server; the folder is for what lies outside of the fleet.
    pub(crate) async fn of(outside: TempDir, repo: Repo, host: &str, wanted: Wanted<'_>) -> anyhow::Result<Self> {
        let config = configure(outside.path(), &repo, &wanted)?;
        let wishes = Wishes::git(host).config(config);
        let fleet = match wanted.workers {
            [] => Fleet::up(wishes).await?,
            workers => Fleet::apart(wishes, workers).await?,
        };
        let forge = Forge::new(&format!("{}/hooks/platform", fleet.client.url), "acme/infra");
        Ok(Self { repo, fleet, forge, outside, _git: None })
    }

    /// The newest commit of `main`.
    pub(crate) fn head(&self) -> anyhow::Result<String> {
        self.repo.git(&["rev-parse", "HEAD"])
    }

    /// Commits these files, and tells of it; the run that it became.
    pub(crate) async fn push(&self, files: &[(&str, &str)]) -> anyhow::Result<String> {
        let before = self.head()?;
        let after = self.repo.commit(files)?;
        let names: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        self.forge.pushed(&before, &after, &names).await?.run()
    }

    /// The run, once it is over.
    pub(crate) async fn ended(&self, run: &str) -> anyhow::Result<Value> {
        self.fleet.client.ended(run).await
    }

    /// The same of a push that succeeds: what was done with each service.
    pub(crate) async fn synced(&self, run: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let view = self.ended(run).await?;
        anyhow::ensure!(view["status"] == "success", "{view:#}");
        Ok(actions(&view))
    }

    /// The run, once nobody knows how it ended.
    pub(crate) async fn unknown(&self, run: &str) -> anyhow::Result<Value> {
        eventually("the outcome to be unknown", || async {
            let view = self.fleet.client.get(&format!("/v1/runs/{run}")).await?;
            Ok((view["status"] == "unknown").then_some(view))
        })
        .await
    }

    /// The commit that a service was deployed from, as the example's tasks wrote it down.
    pub(crate) fn deployed(&self, environment: &str, service: &str) -> Option<String> {
        fs::read_to_string(self.state().join(environment).join(service).join("commit")).ok()
    }

    /// Where the example's tasks write.
    pub(crate) fn state(&self) -> PathBuf {
        self.outside.path().join("state")
    }

    /// A file outside of the fleet that tasks may write or wait for.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    /// Waits until a job of the run has this status.
    pub(crate) async fn job(&self, run: &str, name: &str, status: &str) -> anyhow::Result<()> {
        eventually(&format!("{name} of {run} to be {status}"), || async {
            let view = self.fleet.client.get(&format!("/v1/runs/{run}")).await?;
            let found = view["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(|job| job["name"] == name && job["status"] == status));
            Ok(found.then_some(()))
        })
        .await
    }
}

/// What became of each service of a run: what was done, else how its job stands.
pub(crate) fn actions(view: &Value) -> BTreeMap<String, String> {
    let jobs = view["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    jobs.iter()
        .filter_map(|job| {
            let sync = job.get("sync")?;
            let what = sync["action"].as_str().or(job["status"].as_str())?;
            Some((sync["service"].as_str()?.to_owned(), what.to_owned()))
        })
        .collect()
}

/// A job of a run by its name.
pub(crate) fn job<'a>(view: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let jobs = view["jobs"].as_array().context("jobs")?;
    jobs.iter().find(|job| job["name"] == name).with_context(|| format!("a job {name} in {view:#}"))
}

/// `service action` pairs, as [`actions`] gives them.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(service, action)| ((*service).to_owned(), (*action).to_owned())).collect()
}

/// What was skipped, and why.
pub(crate) fn skipped(view: &Value) -> BTreeMap<String, String> {
    let skipped = view["syncs"]["skipped"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    skipped.iter().map(|skipped| (text(&skipped["what"]), text(&skipped["reason"]))).collect()
}

/// Makes a repository of the example's files, and of these, which win over them.
pub(crate) fn with_example(more: &[(&str, &str)], make: impl FnOnce(&[(&str, &str)]) -> anyhow::Result<Repo>) -> anyhow::Result<Repo> {
    let mut files = example()?;
    files.extend(more.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())));
    let borrowed: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    make(&borrowed)
}

/// A file that nobody else may read.
pub(crate) fn private(path: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(path, content)?;
    Ok(fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?)
}

/// Adds to a file that is there.
pub(crate) fn append(path: &Path, text: &str) -> anyhow::Result<()> {
    Ok(fs::write(path, format!("{}{text}", fs::read_to_string(path)?))?)
}

/// Where one of these texts stands in what the fleet shows of a run or has on its disks: its view, its events, its log, what
/// the processes say about themselves, and every file of the fleet, the store of the nats-server among them.
pub(crate) async fn kept_by(world: &World, run: &str, texts: &[&str]) -> anyhow::Result<Vec<String>> {
    let client = &world.fleet.client;
    let mut places = Vec::new();
    for path in ["", "/events", "/jobs", "/log.txt?job=0", "/log.txt?job=1"].map(|end| format!("/v1/runs/{run}{end}")) {
        let answer = client.send(reqwest::Method::GET, &path, None).await?;
        anyhow::ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        places.push((path, answer.bytes().await?.to_vec()));
    }
    places.push(("the log stream".to_owned(), client.log(run).await?.join("\n").into_bytes()));
    let mut open = vec![world.fleet.dir.path().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path)?.filter_map(Result::ok).map(|entry| entry.path()));
        } else if let Ok(content) = fs::read(&path) {
            places.push((path.display().to_string(), content));
        }
    }
    let holds = |content: &[u8], text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    // The search itself is good only where it finds what must be there.
    let stored = places.iter().any(|(place, content)| place.contains("/msgs/") && holds(content, run));
    anyhow::ensure!(stored, "the store of the nats-server is not among {:?}", places.iter().map(|(place, _)| place).collect::<Vec<_>>());
    let holds = |content: &[u8]| texts.iter().any(|text| holds(content, text));
    Ok(places.into_iter().filter(|(_, content)| holds(content)).map(|(place, _)| place).collect())
}

/// The files of the example.
fn example() -> anyhow::Result<Vec<(String, String)>> {
    let root = system_tests::root().join("examples/gitops-hello");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "__pycache__") {
                    open.push(path);
                }
            } else {
                let name = path.strip_prefix(&root)?.to_str().context("a readable name")?.to_owned();
                found.push((name, fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}

fn configure(outside: &Path, repo: &Repo, wanted: &Wanted<'_>) -> anyhow::Result<PathBuf> {
    let (secret, variables) = (outside.join("webhook-secret"), outside.join("sync.env"));
    private(&secret, &format!("{SECRET}\n"))?;
    private(&variables, &format!("HELLO_STATE={}\nOUTSIDE={}\n", outside.join("state").display(), outside.display()))?;
    let command = wanted.command.map(|command| format!("command = {command}\n")).unwrap_or_default();
    let text = format!(
        "{}\n[worker.sync]\nsecrets_file = \"{}\"\n{}\n\n[sync]\nenvironment = \"staging\"\n{command}\n[[sources]]\nid = \"platform\"\n\
         kind = \"github\"\nrepository = \"{}\"\nfull_name = \"acme/infra\"\nbranch = \"main\"\nsecrets_file = \"{}\"\n{}\n",
        wanted.settings,
        variables.display(),
        wanted.worker_sync,
        repo.url,
        secret.display(),
        wanted.source
    );
    let config = outside.join("navvy.toml");
    fs::write(&config, text)?;
    Ok(config)
}
