//! One bare repository in the cache: made and kept by the git program, read by libgit2.
//!
//! libgit2 gets the object directory and nothing else: no configuration, no attributes, no references. The functions that
//! read are blocking.

use super::command::{Invocation, git};
use super::redact::Redactor;
use super::{GitError, Settings};
use crate::file_lock::FileLock;
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};
use proto::git::CommitId;
use std::path::{Path, PathBuf};

/// Packs after which they are put together into one: every fetch adds one.
const MOST_PACKS: usize = 24;

/// Packs are called `pack-…`; what git is still writing is called `tmp_…` or `.tmp-…`.
const TEMPORARY: [char; 2] = ['t', '.'];

/// Where it lies. It may not exist yet.
#[derive(Debug, Clone)]
pub(super) struct Store {
    path: PathBuf,
    /// The repository's address, for error texts.
    url: String,
}

impl Store {
    pub(super) fn new(path: PathBuf, url: &str) -> Self {
        Self { path, url: url.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.path.join("objects/pack")
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The place where a new store is built; it is renamed when it is complete, so that a half-made one is never used.
    pub(super) fn draft(&self) -> Self {
        let mut path = self.path.clone().into_os_string();
        path.push(".draft");
        Self { path: path.into(), url: self.url.clone() }
    }

    /// Makes an empty repository, in place of what a dead process may have left there.
    pub(super) async fn create(&self, settings: &Settings) -> Result<(), GitError> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(GitError::storage("remove", &self.path)(error));
            }
            _ => {}
        }
        let mut command = git(settings, None);
        command.args(["init", "--quiet", "--bare", "--template=", "--"]).arg(&self.path);
        self.local(command, "preparing the cache of", settings).await
    }

    /// Puts the store in its place.
    pub(super) fn rename_to(&self, place: &Store) -> Result<(), GitError> {
        std::fs::rename(&self.path, &place.path).map_err(GitError::storage("rename", &self.path))
    }

    /// Removes what a killed git left behind: its lock files would stop every later fetch. Only with the lock held.
    pub(super) fn clear_leftovers(&self) {
        let objects = self.path.join("objects");
        let mut open = vec![self.path.clone(), self.packs()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let kind = path.extension();
                // A pack marked `keep` is one that git has not finished adding.
                let half_made = dir == self.packs()
                    && (entry.file_name().to_string_lossy().starts_with(TEMPORARY) || kind.is_some_and(|kind| kind == "keep"));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if path != objects {
                        open.push(path);
                    }
                } else if half_made || kind.is_some_and(|kind| kind == "lock") {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }

    /// Puts many small packs together. Failing changes nothing, so it is only logged.
    pub(super) async fn tidy(&self, settings: &Settings, lock: &FileLock) {
        let packs = std::fs::read_dir(self.packs()).into_iter().flatten().flatten();
        if packs.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "pack")).count() <= MOST_PACKS {
            return;
        }
        let mut directory = std::ffi::OsString::from("--git-dir=");
        directory.push(&self.path);
        for arguments in [["pack-refs", "--all", "--prune"].as_slice(), ["repack", "--geometric=2", "-d", "-q"].as_slice()] {
            let mut command = git(settings, None);
            command.arg(&directory).args(arguments);
            let Ok(input) = lock.as_stdin() else {
                return;
            };
            command.stdin(input);
            if let Err(error) = self.local(command, "tidying the cache of", settings).await {
                tracing::warn!(url = self.url, %error, "a cached repository could not be tidied");
                return;
            }
        }
    }

    async fn local(&self, command: tokio::process::Command, operation: &'static str, settings: &Settings) -> Result<(), GitError> {
        let invocation = Invocation { command, operation, limit: settings.limits.timeout, watch: None };
        let ended = invocation.run(&Redactor::default(), &mut |_| {}).await?;
        if ended.success {
            return Ok(());
        }
        Err(GitError::Failed { operation, url: self.url.clone(), detail: super::classify::detail(&ended.last) })
    }

    /// The objects. Blocking.
    pub(super) fn open(&self) -> Result<Repository, GitError> {
        let open = || {
            let objects = Odb::new()?;
            let path = self.path.join("objects");
            let path = path.to_str().ok_or_else(|| git2::Error::from_str("the cache directory's name is not UTF-8"))?;
            objects.add_disk_alternate(path)?;
            Repository::from_odb(objects)
        };
        open().map_err(|error| self.damaged(&error))
    }

    /// The commit that an id means: itself, or what an annotated tag of that id is about. Nothing when the store does
    /// not have it. Blocking.
    pub(super) fn find(&self, id: &CommitId) -> Result<Option<CommitId>, GitError> {
        if !self.exists() {
            return Ok(None);
        }
        let repository = self.open()?;
        let oid = self.oid(id)?;
        let object = match repository.find_object(oid, None) {
            Ok(object) => object,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(self.damaged(&error)),
        };
        let kind = object.kind();
        match object.peel_to_commit() {
            Ok(commit) => Ok(commit.id().to_string().parse().ok()),
            // A tag whose commit was not fetched with it.
            Err(error) if error.code() == ErrorCode::NotFound && kind == Some(ObjectType::Tag) => Ok(None),
            Err(_) => Err(GitError::NotACommit {
                url: self.url.clone(),
                object: id.to_string(),
                kind: kind.map_or("thing of unknown kind", |kind| kind.str()),
            }),
        }
    }

    /// All commits whose id starts with `prefix`; a tag object counts as its commit. Blocking.
    pub(super) fn starting_with(&self, prefix: &str) -> Result<Vec<CommitId>, GitError> {
        let repository = self.open()?;
        let objects = repository.odb().map_err(|error| self.damaged(&error))?;
        let short = Oid::from_str(prefix).map_err(|error| self.damaged(&error))?;
        let mut matches = Vec::new();
        match objects.exists_prefix(short, prefix.len()) {
            Ok(one) => matches.push(one),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) if error.code() == ErrorCode::Ambiguous => objects
                .foreach(|oid| {
                    if oid.to_string().starts_with(prefix) {
                        matches.push(*oid);
                    }
                    true
                })
                .map_err(|error| self.damaged(&error))?,
            Err(error) => return Err(self.damaged(&error)),
        }
        let mut commits: Vec<CommitId> = matches
            .into_iter()
            .filter_map(|oid| repository.find_object(oid, None).ok()?.peel_to_commit().ok())
            .filter_map(|commit| commit.id().to_string().parse().ok())
            .collect();
        commits.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        commits.dedup();
        Ok(commits)
    }

    /// libgit2's form of an id.
    pub(super) fn oid(&self, id: &CommitId) -> Result<Oid, GitError> {
        if id.as_str().len() != 40 {
            return Err(GitError::ObjectFormat { url: self.url.clone() });
        }
        Oid::from_str(id.as_str()).map_err(|error| self.damaged(&error))
    }

    pub(super) fn damaged(&self, error: &git2::Error) -> GitError {
        GitError::Damaged { url: self.url.clone(), detail: error.message().to_owned() }
    }
}
