//! One repository in the cache, as one set of credentials sees it: its stores, its lock, and how a commit gets in.
//!
//! `tip.git` holds single commits without history, fetched by id. `full.git` holds all branches and tags; it is made only
//! when a server does not give commits by id, or when a shortened id has to be looked up.

use super::remote::{Fetched, Remote, Want};
use super::store::Store;
use super::{GitError, Settings, Sink};
use crate::file_lock::{FileLock, Hold};
use proto::git::{CommitId, GitRef};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A server to ask, and where its output goes.
pub(super) struct Exchange<'r, 's> {
    pub(super) remote: &'r Remote<'r>,
    pub(super) sink: &'r mut Sink<'s>,
}

/// Where one repository lies. Nothing of it may exist yet.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    dir: PathBuf,
    lock: PathBuf,
    url: String,
}

impl Entry {
    /// `root` is the cache's directory, `key` a file name.
    pub(super) fn new(root: &Path, key: &str, url: &str) -> Self {
        Self { dir: root.join("repos").join(key), lock: root.join("locks").join(key), url: url.to_owned() }
    }

    pub(super) async fn hold(&self, hold: Hold, settings: &Settings) -> Result<FileLock, GitError> {
        let limit = settings.limits.timeout;
        let held = FileLock::acquire(&self.lock, hold, limit).await.map_err(GitError::storage("lock", &self.lock))?;
        let operation = "waiting for another attempt that fetches the same repository";
        held.ok_or(GitError::TimedOut { operation, seconds: limit.as_secs() })
    }

    /// The lock for changing, unless somebody holds it.
    pub(super) fn try_hold(&self) -> Result<Option<FileLock>, GitError> {
        FileLock::try_acquire(&self.lock, Hold::Change).map_err(GitError::storage("lock", &self.lock))
    }

    fn tip(&self) -> Store {
        Store::new(self.dir.join("tip.git"), &self.url)
    }

    fn full(&self) -> Store {
        Store::new(self.dir.join("full.git"), &self.url)
    }

    /// The store with all branches and tags, and the one with single commits.
    pub(super) fn stores(&self) -> (Store, Store) {
        (self.full(), self.tip())
    }

    /// All branches and tags, and the commit alone where none of them leads to it.
    pub(super) async fn obtain_history(&self, mut with: Exchange<'_, '_>, id: &CommitId, hint: Option<&GitRef>) -> Result<(), GitError> {
        let lock = self.hold(Hold::Change, with.remote.settings()).await?;
        self.everything(&mut with, &lock, hint).await?;
        self.bring(&mut with, &lock, id, hint).await.map(|_| ())
    }

    /// Marks a server that does not give commits by id, so that it is not asked each time.
    fn not_by_id(&self) -> PathBuf {
        self.dir.join("not-by-id")
    }

    /// The store that has a commit, and the commit itself (of an annotated tag's id, the one it is about).
    pub(super) async fn find(&self, id: &CommitId) -> Result<Option<(Store, CommitId)>, GitError> {
        let (stores, id) = ([self.tip(), self.full()], id.clone());
        blocking(move || {
            for store in stores {
                if let Some(commit) = store.find(&id)? {
                    return Ok(Some((store, commit)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The commit, from the cache or else from the server.
    pub(super) async fn obtain(&self, mut with: Exchange<'_, '_>, id: &CommitId, hint: Option<&GitRef>) -> Result<CommitId, GitError> {
        let lock = self.hold(Hold::Change, with.remote.settings()).await?;
        let existed = self.tip().exists() || self.full().exists();
        match self.bring(&mut with, &lock, id, hint).await {
            Err(error) if existed && may_be_the_cache(&error) => {
                self.start_afresh(&error, &mut with).await?;
                self.bring(&mut with, &lock, id, hint).await
            }
            other => other,
        }
    }

    async fn bring(
        &self,
        with: &mut Exchange<'_, '_>,
        lock: &FileLock,
        id: &CommitId,
        hint: Option<&GitRef>,
    ) -> Result<CommitId, GitError> {
        // Another attempt may have fetched it while this one waited for the lock.
        if let Some((_, commit)) = self.find(id).await? {
            return Ok(commit);
        }
        let absent = || GitError::CommitNotFound { url: self.url.clone(), commit: id.to_string() };
        if !self.not_by_id().exists() {
            match self.fetch(with, lock, &self.tip(), &Want::Commit(id)).await? {
                Fetched::Absent => return Err(absent()),
                Fetched::NotById => self.note_not_by_id()?,
                Fetched::Done => {
                    return self.find(id).await?.map(|(_, commit)| commit).ok_or_else(absent);
                }
            }
        }
        self.fetch(with, lock, &self.full(), &Want::Everything(hint)).await?;
        self.find(id).await?.map(|(_, commit)| commit).ok_or_else(absent)
    }

    /// All commits of the server's branches and tags whose id starts with `prefix`.
    pub(super) async fn starting_with(&self, mut with: Exchange<'_, '_>, prefix: &str) -> Result<Vec<CommitId>, GitError> {
        let lock = self.hold(Hold::Change, with.remote.settings()).await?;
        let existed = self.full().exists();
        match self.look_up(&mut with, &lock, prefix).await {
            Err(error) if existed && may_be_the_cache(&error) => {
                self.start_afresh(&error, &mut with).await?;
                self.look_up(&mut with, &lock, prefix).await
            }
            other => other,
        }
    }

    /// All branches and tags of the server with their history, and `hint` if it lies elsewhere.
    pub(super) async fn bring_everything(&self, mut with: Exchange<'_, '_>, hint: Option<&GitRef>) -> Result<(), GitError> {
        let lock = self.hold(Hold::Change, with.remote.settings()).await?;
        self.everything(&mut with, &lock, hint).await
    }

    async fn everything(&self, with: &mut Exchange<'_, '_>, lock: &FileLock, hint: Option<&GitRef>) -> Result<(), GitError> {
        let existed = self.tip().exists() || self.full().exists();
        match self.fetch(with, lock, &self.full(), &Want::Everything(hint)).await {
            Err(error) if existed && may_be_the_cache(&error) => {
                self.start_afresh(&error, with).await?;
                self.fetch(with, lock, &self.full(), &Want::Everything(hint)).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn look_up(&self, with: &mut Exchange<'_, '_>, lock: &FileLock, prefix: &str) -> Result<Vec<CommitId>, GitError> {
        self.fetch(with, lock, &self.full(), &Want::Everything(None)).await?;
        let (store, prefix) = (self.full(), prefix.to_ascii_lowercase());
        blocking(move || store.starting_with(&prefix)).await
    }

    /// Fetches into a store; a new one appears only when it is complete.
    async fn fetch(&self, with: &mut Exchange<'_, '_>, lock: &FileLock, store: &Store, want: &Want<'_>) -> Result<Fetched, GitError> {
        let settings = with.remote.settings();
        if store.exists() {
            store.clear_leftovers();
            let fetched = with.remote.fetch(store, want, lock, with.sink).await?;
            store.tidy(settings, lock).await;
            return Ok(fetched);
        }
        std::fs::create_dir_all(&self.dir).map_err(GitError::storage("make", &self.dir))?;
        let draft = store.draft();
        draft.create(settings).await?;
        let fetched = with.remote.fetch(&draft, want, lock, with.sink).await;
        if matches!(fetched, Ok(Fetched::Done)) {
            draft.rename_to(store)?;
            self.touch();
        } else {
            let _ = std::fs::remove_dir_all(draft.path());
        }
        fetched
    }

    fn note_not_by_id(&self) -> Result<(), GitError> {
        let path = self.not_by_id();
        File::create(&path).map(drop).map_err(GitError::storage("write", &path))
    }

    async fn start_afresh(&self, error: &GitError, with: &mut Exchange<'_, '_>) -> Result<(), GitError> {
        tracing::warn!(url = self.url, %error, "a cached repository is thrown away");
        (with.sink)("The cached copy of the repository could not be used; fetching it anew.");
        let entry = self.clone();
        blocking(move || entry.remove()).await
    }

    /// Throws everything away. Only with the lock for changing held.
    pub(super) fn remove(&self) -> Result<(), GitError> {
        // Renamed first: a half-removed repository must never be found under its own name.
        let gone = self.dir.with_file_name(format!("{GONE}{}", uuid::Uuid::new_v4().simple()));
        match std::fs::rename(&self.dir, &gone) {
            Ok(()) => std::fs::remove_dir_all(&gone).map_err(GitError::storage("remove", &gone)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(GitError::storage("remove", &self.dir)(error)),
        }
    }

    /// Notes the use, which is what decides who goes first when space is short.
    pub(super) fn touch(&self) {
        let noted = File::create(self.dir.join(USED)).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = noted {
            tracing::warn!(url = self.url, %error, "the use of a cached repository could not be noted");
        }
    }
}

/// Its time of change is the last use.
pub(super) const USED: &str = "used";
/// Start of the name of a repository that is being removed.
pub(super) const GONE: &str = ".gone-";

/// Whether a fresh copy may help. A copy that has grown too large is one that holds too many commits.
fn may_be_the_cache(error: &GitError) -> bool {
    matches!(error, GitError::Damaged { .. } | GitError::Failed { .. } | GitError::TooLarge { .. })
}

/// Runs blocking work on the threads for it. Dropping the future does not stop the work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, GitError> + Send + 'static) -> Result<T, GitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(GitError::Storage {
            operation: "go on (the worker is shutting down) with",
            path: PathBuf::new(),
            source: std::io::ErrorKind::Interrupted.into(),
        }),
    }
}
