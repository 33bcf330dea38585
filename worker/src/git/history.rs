//! What a repository's history tells: what changed between two commits, which of them is the newer, what a commit's tree holds.
//!
//! Read from the cache's objects by libgit2, without a checkout and without running anything of the repository.

use super::entry::{Entry, blocking};
use super::store::Store;
use super::{Cache, GitError, Sink, Source};
use crate::file_lock::FileLock;
use git2::{ErrorCode, Odb, Repository, TreeWalkMode, TreeWalkResult};
use proto::git::{CommitId, GitRef};
use std::path::Path;
use std::sync::Arc;

/// Most paths of one tree, or changed between two, that are told.
const MOST_PATHS: usize = 200_000;

/// A repository's objects, kept from eviction while this lives. Nothing can be fetched into the repository as long: whoever
/// holds one and fetches waits for itself.
#[derive(Debug, Clone)]
pub struct History {
    full: Store,
    tip: Store,
    _lock: Arc<FileLock>,
}

/// Paths, as far as they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// Sorted, each once.
    pub paths: Vec<String>,
    /// There were more than are told.
    pub cut: bool,
}

impl Cache {
    /// The history around a commit. Fetches all branches and tags where the commit is not among those that are known; a
    /// commit that no branch or tag leads to is fetched alone, and has no history then.
    pub async fn history(
        &self,
        source: Source<'_>,
        commit: &CommitId,
        hint: Option<&GitRef>,
        sink: &mut Sink<'_>,
    ) -> Result<History, GitError> {
        self.settings().allowed.permits(source.url)?;
        let entry = self.entry(source);
        if !entry.knows_history_of(commit).await? {
            let remote = self.remote(source).await?;
            entry.obtain_history(super::entry::Exchange { remote: &remote, sink }, commit, hint).await?;
        }
        let lock = Arc::new(entry.hold(crate::file_lock::Hold::Read, self.settings()).await?);
        entry.touch();
        let (full, tip) = entry.stores();
        Ok(History { full, tip, _lock: lock })
    }

    /// Fetches a commit alone, if the server gives it. `false`: it does not, which is no error for one that may be gone.
    pub async fn fetch_if_there(&self, source: Source<'_>, commit: &CommitId, sink: &mut Sink<'_>) -> Result<bool, GitError> {
        match self.fetch(source, commit, None, sink).await {
            Ok(()) => Ok(true),
            Err(GitError::CommitNotFound { .. } | GitError::NotACommit { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl History {
    /// Whether a commit is there.
    pub async fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        let (this, commit) = (self.clone(), commit.clone());
        blocking(move || Ok(this.full.find(&commit)?.is_some() || this.tip.find(&commit)?.is_some())).await
    }

    /// The files that differ between two commits, both names of one that was renamed.
    pub async fn changed(&self, before: &CommitId, after: &CommitId) -> Result<Paths, GitError> {
        let (this, before, after) = (self.clone(), before.clone(), after.clone());
        blocking(move || {
            let repository = this.open()?;
            let tree = |commit: &CommitId| {
                let found = repository.find_commit(this.full.oid(commit)?).and_then(|commit| commit.tree());
                found.map_err(|error| this.full.damaged(&error))
            };
            let (old, new) = (tree(&before)?, tree(&after)?);
            let diff = repository.diff_tree_to_tree(Some(&old), Some(&new), None).map_err(|error| this.full.damaged(&error))?;
            let mut paths = Vec::new();
            for delta in diff.deltas() {
                for file in [delta.old_file(), delta.new_file()] {
                    paths.extend(file.path_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
                }
                if paths.len() > 2 * MOST_PATHS {
                    break;
                }
            }
            Ok(told(paths))
        })
        .await
    }

    /// Whether `older` is in the history of `newer`; nothing, where the history is not known that far.
    pub async fn is_ancestor(&self, older: &CommitId, newer: &CommitId) -> Result<Option<bool>, GitError> {
        if older == newer {
            return Ok(Some(true));
        }
        let (this, older, newer) = (self.clone(), older.clone(), newer.clone());
        blocking(move || {
            let repository = this.open()?;
            match repository.graph_descendant_of(this.full.oid(&newer)?, this.full.oid(&older)?) {
                Ok(is) => Ok(Some(is)),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                Err(error) => Err(this.full.damaged(&error)),
            }
        })
        .await
    }

    /// How many commits the history of a commit has, itself included; 0 where it is not known to its end.
    pub async fn generation(&self, commit: &CommitId) -> Result<u64, GitError> {
        let (this, commit) = (self.clone(), commit.clone());
        blocking(move || {
            let repository = this.open()?;
            let mut walk = repository.revwalk().map_err(|error| this.full.damaged(&error))?;
            match walk.push(this.full.oid(&commit)?) {
                Ok(()) => {}
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(0),
                Err(error) => return Err(this.full.damaged(&error)),
            }
            let mut count = 0;
            for step in walk {
                match step {
                    Ok(_) => count += 1,
                    Err(error) if error.code() == ErrorCode::NotFound => return Ok(0),
                    Err(error) => return Err(this.full.damaged(&error)),
                }
            }
            Ok(count)
        })
        .await
    }

    /// Every file of a commit.
    pub async fn files(&self, commit: &CommitId) -> Result<Paths, GitError> {
        let (this, commit) = (self.clone(), commit.clone());
        blocking(move || {
            let repository = this.open()?;
            let tree = this.tree(&repository, &commit)?;
            let mut paths = Vec::new();
            let mut cut = false;
            let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
                if entry.kind() == Some(git2::ObjectType::Tree) {
                    return TreeWalkResult::Ok;
                }
                if paths.len() >= MOST_PATHS {
                    cut = true;
                    return TreeWalkResult::Abort;
                }
                paths.push(format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())));
                TreeWalkResult::Ok
            });
            match walked {
                Err(error) if !cut => Err(this.full.damaged(&error)),
                Ok(()) | Err(_) => Ok(Paths { cut, ..told(paths) }),
            }
        })
        .await
    }

    /// A file of a commit; nothing where there is none. One that is longer than `most` bytes is an error: it was not meant
    /// to be read by us.
    pub async fn file(&self, commit: &CommitId, path: &str, most: usize) -> Result<Option<Vec<u8>>, GitError> {
        let (this, commit, path) = (self.clone(), commit.clone(), path.to_owned());
        blocking(move || {
            let repository = this.open()?;
            let tree = this.tree(&repository, &commit)?;
            let entry = match tree.get_path(Path::new(&path)) {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(this.full.damaged(&error)),
            };
            // A folder or a submodule in its place is not the absence of the file: who wanted to say something would be overheard.
            if entry.kind() != Some(git2::ObjectType::Blob) {
                return Err(GitError::UnsafeTree { path, why: "which is no file" });
            }
            let blob = repository.find_blob(entry.id()).map_err(|error| this.full.damaged(&error))?;
            if blob.size() > most {
                return Err(GitError::TooLarge { what: format!("the file {path}"), limit: format!("{most} bytes") });
            }
            Ok(Some(blob.content().to_vec()))
        })
        .await
    }

    fn tree<'r>(&self, repository: &'r Repository, commit: &CommitId) -> Result<git2::Tree<'r>, GitError> {
        let found = repository.find_commit(self.full.oid(commit)?).and_then(|commit| commit.tree());
        found.map_err(|error| self.full.damaged(&error))
    }

    /// The objects of both stores: a commit that was fetched alone can be compared with one that has a history.
    fn open(&self) -> Result<Repository, GitError> {
        let open = || {
            let objects = Odb::new()?;
            for store in [&self.full, &self.tip].into_iter().filter(|store| store.exists()) {
                let path = store.path().join("objects");
                let path = path.to_str().ok_or_else(|| git2::Error::from_str("the cache directory's name is not UTF-8"))?;
                objects.add_disk_alternate(path)?;
            }
            Repository::from_odb(objects)
        };
        open().map_err(|error| self.full.damaged(&error))
    }
}

fn told(mut paths: Vec<String>) -> Paths {
    paths.sort_unstable();
    paths.dedup();
    let cut = paths.len() > MOST_PATHS;
    paths.truncate(MOST_PATHS);
    Paths { paths, cut }
}

impl Entry {
    /// Whether all branches and tags are there, this commit among them.
    async fn knows_history_of(&self, commit: &CommitId) -> Result<bool, GitError> {
        let (full, commit) = (self.stores().0, commit.clone());
        blocking(move || Ok(full.find(&commit)?.is_some())).await
    }
}
