//! The cache of bare repositories, and what a job asks of it.
//!
//! A repository is cached once for each set of credentials: whoever shows a wrong password never sees what a right one
//! has fetched. Directory: `repos/<key>`, `locks/<key>`, `home` (empty, git's HOME), `private` (for secrets where the
//! system has no memory file system), `salt`.

use super::checkout::{self, Checkout};
use super::command::{Invocation, git};
use super::entry::{Entry, Exchange, GONE, blocking};
use super::eviction::{Evicted, evict};
use super::identity::{key, salt};
use super::redact::Redactor;
use super::remote::{Remote, Version};
use super::resolve::{Pick, Resolved, hint, pick};
use super::{GitError, Settings, Sink, Source, private_dir};
use crate::file_lock::Hold;
use proto::git::{CommitId, GitRef};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OnceCell;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    salt: String,
    version: OnceCell<Version>,
}

impl Cache {
    /// Opens or makes the cache and removes what dead processes left in it. Blocking, short.
    pub fn open(mut settings: Settings) -> Result<Self, GitError> {
        // git works in another directory than we do.
        for path in [&mut settings.dir, &mut settings.askpass] {
            *path = std::path::absolute(&path).map_err(GitError::storage("find", path))?;
        }
        for dir in ["", "home", "locks", "private", "repos"] {
            let path = settings.dir.join(dir);
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(GitError::storage("make", &path))?;
        }
        private_dir::sweep(&settings.dir.join("private"));
        for entry in std::fs::read_dir(settings.dir.join("repos")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(GONE) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let salt = salt(&settings.dir.join("salt"))?;
        Ok(Self { shared: Arc::new(Shared { settings, salt, version: OnceCell::new() }) })
    }

    /// Asks the server what a reference means now. A name wins over a shortened commit id. The answer also shows that
    /// the credentials may read the repository, and for a commit id that the commit exists.
    ///
    /// # Errors
    /// Everything in [`GitError`]; for an unknown name, with similar names.
    pub async fn resolve(&self, source: Source<'_>, reference: &GitRef, sink: &mut Sink<'_>) -> Result<Resolved, GitError> {
        let remote = self.remote(source).await?;
        let refs = remote.list(reference, sink).await?;
        if refs.iter().any(|one| one.id.as_str().len() != 40) {
            let url = source.url.to_string();
            return Err(GitError::ObjectFormat { url });
        }
        let (entry, remote) = (self.entry(source), &remote);
        if let Some(id) = reference.full_commit() {
            let commit = entry.obtain(Exchange { remote, sink }, &id, None).await?;
            return Ok(Resolved { commit, name: None });
        }
        match pick(&refs, reference) {
            Pick::One(found) => {
                return Ok(Resolved::by_name(found));
            }
            Pick::Many(several) => {
                let names = several.into_iter().map(|one| one.name);
                return Err(ambiguous(source, reference, names));
            }
            Pick::Nothing => {}
        }
        if reference.may_be_short_commit() && !refs.is_empty() {
            let with = Exchange { remote, sink };
            let mut found = entry.starting_with(with, reference.as_str()).await?;
            if found.len() > 1 {
                let ids = found.iter().map(ToString::to_string);
                return Err(ambiguous(source, reference, ids));
            }
            if let Some(commit) = found.pop() {
                return Ok(Resolved { commit, name: None });
            }
        }
        Err(GitError::RefNotFound { url: source.url.to_string(), name: reference.to_string(), hint: hint(&refs, reference) })
    }

    /// Brings a commit into the cache; speaks to the server only when it is not there yet. `hint` is the reference that
    /// led to the commit, for servers that do not give commits by id.
    pub async fn fetch(&self, source: Source<'_>, commit: &CommitId, hint: Option<&GitRef>, sink: &mut Sink<'_>) -> Result<(), GitError> {
        // A cached repository of a host that was taken off the list is not given out either.
        self.settings().allowed.permits(source.url)?;
        let entry = self.entry(source);
        let lock = entry.hold(Hold::Read, self.settings()).await?;
        if let Ok(Some(_)) = entry.find(commit).await {
            entry.touch();
            return Ok(());
        }
        drop(lock);
        let remote = self.remote(source).await?;
        entry.obtain(Exchange { remote: &remote, sink }, commit, hint).await?;
        entry.touch();
        Ok(())
    }

    /// Writes the files of a commit into `dest`, which must not exist; its parent must. Fetches the commit if the cache
    /// does not have it (any more), and once more if the cached copy turns out to be damaged.
    pub async fn checkout(&self, source: Source<'_>, commit: &CommitId, dest: &Path, sink: &mut Sink<'_>) -> Result<Checkout, GitError> {
        self.fetch(source, commit, None, sink).await?;
        match self.write(source, commit, dest).await {
            Err(GitError::Damaged { detail, .. }) => {
                let entry = self.entry(source);
                tracing::warn!(url = %source.url, detail, "a cached repository is thrown away");
                sink("The cached copy of the repository is damaged; fetching it anew.");
                let lock = entry.hold(Hold::Change, self.settings()).await?;
                blocking(move || entry.remove()).await?;
                drop(lock);
                self.fetch(source, commit, None, sink).await?;
                self.write(source, commit, dest).await
            }
            other => other,
        }
    }

    async fn write(&self, source: Source<'_>, commit: &CommitId, dest: &Path) -> Result<Checkout, GitError> {
        let entry = self.entry(source);
        let lock = entry.hold(Hold::Read, self.settings()).await?;
        // Gone again means: evicted between the fetch and here. The caller's second try fetches it.
        let (store, commit) = entry
            .find(commit)
            .await?
            .ok_or_else(|| GitError::Damaged { url: source.url.to_string(), detail: format!("the commit {commit} is not in it") })?;
        let (dest, limits) = (dest.to_owned(), self.settings().limits.clone());
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop.0);
        blocking(move || {
            let _lock = lock;
            checkout::write(&store, &commit, &dest, &limits, &stopped)
        })
        .await
    }

    /// Removes repositories, the longest unused first, until the cache takes at most `max_bytes`. Those in use stay.
    pub async fn evict(&self, max_bytes: u64) -> Result<Evicted, GitError> {
        let root = self.settings().dir.clone();
        blocking(move || evict(&root, max_bytes)).await
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn entry(&self, source: Source<'_>) -> Entry {
        Entry::new(&self.settings().dir, &key(&self.shared.salt, source), source.url.as_str())
    }

    pub(super) async fn remote<'a>(&'a self, source: Source<'a>) -> Result<Remote<'a>, GitError> {
        let version = self.shared.version.get_or_try_init(|| version(self.settings())).await?;
        Remote::check(self.settings(), *version, source).await
    }
}

/// At most ten of what a reference may mean.
fn ambiguous(source: Source<'_>, reference: &GitRef, candidates: impl Iterator<Item = String>) -> GitError {
    GitError::RefAmbiguous { url: source.url.to_string(), name: reference.to_string(), candidates: candidates.take(10).collect() }
}

/// Tells a checkout that nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn version(settings: &Settings) -> Result<Version, GitError> {
    let mut command = git(settings, None);
    command.arg("--version");
    let invocation = Invocation { command, operation: "asking git for its version", limit: settings.limits.timeout, watch: None };
    let ended = invocation.run(&Redactor::default(), &mut |_| {}).await?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let mut numbers = text.split_whitespace().nth(2).unwrap_or_default().split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok(Version(major, minor)),
        _ => Err(GitError::GitTooOld { found: text.trim().to_owned(), needed: "2.37", why: "or not git" }),
    }
}
