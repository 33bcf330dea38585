//! Writes the files of one commit into a new directory.
//!
//! We write them ourselves: no attributes, filters, hooks, submodules or configuration can take part, because nothing
//! here knows about them. Every directory is made by us and every file must be new, so that no link of the repository can
//! lead a write elsewhere. libgit2 checks each object against its id while reading, so the files are the commit's.

use super::command::too_large;
use super::store::Store;
use super::{GitError, Limits};
use crate::confine::Root;
use git2::{ObjectType, Repository, Tree, TreeEntry};
use proto::git::CommitId;
use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Names that belong to terraform's own working state or to its configuration. In a repository they would decide what
/// terraform does: which plugins it starts, which state it believes.
const STATE_NAMES: &[&str] = &[
    ".terraform",
    "terraform.tfstate",
    "terraform.tfstate.backup",
    "terraform.tfstate.d",
    ".terraform.tfstate.lock.info",
    "errored.tfstate",
    ".terraformrc",
    "terraform.rc",
    ".tofurc",
    "tofu.rc",
    ".terraform.d",
];

/// The files of a commit on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The directory, mode 0700; no `.git` in it.
    pub root: PathBuf,
    /// The commit whose files these are.
    pub commit: CommitId,
    /// Files and links.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Terraform's own state and configuration files that are tracked, relative to the root, each directory once.
    pub state_files: Vec<String>,
    /// Symbolic links that lead out of the checkout, relative to the root.
    pub links_out: Vec<String>,
    /// Submodules: empty directories here.
    pub submodules: Vec<String>,
}

impl Checkout {
    /// The state files that terraform would see when it works in `dir` (relative to the root, `.` for the root).
    pub fn state_files_in<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a str> {
        let dir = if dir == "." { "" } else { dir };
        self.state_files.iter().map(String::as_str).filter(move |path| path.rsplit_once('/').map_or("", |(parent, _)| parent) == dir)
    }
}

/// Writes the commit below `root`, which must not exist. Blocking; ends early when `stop` becomes true. Leaves nothing
/// behind when it fails.
pub(super) fn write(store: &Store, commit: &CommitId, root: &Path, limits: &Limits, stop: &AtomicBool) -> Result<Checkout, GitError> {
    let repository = store.open()?;
    let found = repository.find_commit(store.oid(commit)?).map_err(|error| store.damaged(&error))?;
    let tree = found.tree().map_err(|error| store.damaged(&error))?;
    DirBuilder::new().mode(0o700).create(root).map_err(GitError::storage("make the checkout", root))?;
    let mut writer = Writer {
        store,
        repository: &repository,
        limits,
        entries: 0,
        links: Vec::new(),
        done: Checkout {
            root: root.to_owned(),
            commit: commit.clone(),
            files: 0,
            bytes: 0,
            state_files: Vec::new(),
            links_out: Vec::new(),
            submodules: Vec::new(),
        },
    };
    let written = writer.tree(&tree, stop).and_then(|()| writer.find_links_out());
    match written {
        Ok(()) => Ok(writer.done),
        Err(error) => {
            let _ = std::fs::remove_dir_all(root);
            Err(error)
        }
    }
}

struct Writer<'a> {
    store: &'a Store,
    repository: &'a Repository,
    limits: &'a Limits,
    /// Everything that takes a name on disk.
    entries: u64,
    links: Vec<PathBuf>,
    done: Checkout,
}

impl Writer<'_> {
    fn tree(&mut self, top: &Tree<'_>, stop: &AtomicBool) -> Result<(), GitError> {
        let mut open = vec![(top.id(), PathBuf::new())];
        while let Some((id, path)) = open.pop() {
            let tree = self.repository.find_tree(id).map_err(|error| self.store.damaged(&error))?;
            for entry in &tree {
                if stop.load(Ordering::Relaxed) {
                    return Err(GitError::Storage {
                        operation: "go on with the checkout (it was cancelled) in",
                        path: self.done.root.clone(),
                        source: std::io::ErrorKind::Interrupted.into(),
                    });
                }
                let relative = path.join(checked_name(&entry, &path)?);
                self.count(&entry, &relative)?;
                if entry.kind() == Some(ObjectType::Tree) {
                    make_dir(&self.done.root.join(&relative))?;
                    open.push((entry.id(), relative));
                } else {
                    self.leaf(&entry, &relative)?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, entry: &TreeEntry<'_>, relative: &Path) -> Result<(), GitError> {
        self.entries += 1;
        if self.entries > self.limits.max_files {
            let limit = format!("{} files", self.limits.max_files);
            return Err(GitError::TooLarge { what: format!("the commit {}", self.done.commit), limit });
        }
        if entry.name().is_ok_and(|name| STATE_NAMES.contains(&name)) {
            self.done.state_files.push(relative.to_string_lossy().into_owned());
        }
        Ok(())
    }

    /// A file, a link or a submodule.
    fn leaf(&mut self, entry: &TreeEntry<'_>, relative: &Path) -> Result<(), GitError> {
        let place = self.done.root.join(relative);
        let mode = entry.filemode();
        if mode == i32::from(git2::FileMode::Commit) {
            let name = relative.to_string_lossy().into_owned();
            self.done.submodules.push(name);
            return make_dir(&place);
        }
        self.done.files += 1;
        if mode == i32::from(git2::FileMode::Link) {
            self.links.push(relative.to_owned());
            let target = self.content(entry, relative)?;
            return symlink(OsStr::from_bytes(target.content()), &place).map_err(GitError::storage("make the link", &place));
        }
        let executable = mode == i32::from(git2::FileMode::BlobExecutable);
        let content = self.content(entry, relative)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o755 } else { 0o644 })
            .open(&place)
            .and_then(|mut file| file.write_all(content.content()))
            .map_err(GitError::storage("write", &place))
    }

    /// The bytes of a file, after its size was found small enough to hold.
    fn content(&mut self, entry: &TreeEntry<'_>, relative: &Path) -> Result<git2::Blob<'_>, GitError> {
        let damaged = |error: git2::Error| self.store.damaged(&error);
        let objects = self.repository.odb().map_err(damaged)?;
        let (bytes, _) = objects.read_header(entry.id()).map_err(damaged)?;
        let bytes = bytes as u64;
        if bytes > self.limits.max_file_bytes {
            return Err(too_large(&format!("the file {}", relative.display()), self.limits.max_file_bytes));
        }
        self.done.bytes += bytes;
        if self.done.bytes > self.limits.max_checkout_bytes {
            return Err(too_large(&format!("the commit {}", self.done.commit), self.limits.max_checkout_bytes));
        }
        self.repository.find_blob(entry.id()).map_err(damaged)
    }

    /// Only now, when everything that a link may pass through is there.
    fn find_links_out(&mut self) -> Result<(), GitError> {
        if self.links.is_empty() {
            return Ok(());
        }
        let root = Root::new(&self.done.root).map_err(|error| GitError::Storage {
            operation: "read the checkout",
            path: self.done.root.clone(),
            source: std::io::Error::other(error),
        })?;
        for link in &self.links {
            if root.leads_out(link) {
                self.done.links_out.push(link.to_string_lossy().into_owned());
            }
        }
        Ok(())
    }
}

/// Fails if anything has that name already, a link included.
fn make_dir(place: &Path) -> Result<(), GitError> {
    DirBuilder::new().mode(0o755).create(place).map_err(GitError::storage("make", place))
}

/// The name of an entry, which must be one plain name. git refuses the bad ones while it fetches; this does not rely on it.
fn checked_name<'a>(entry: &'a TreeEntry<'_>, parent: &Path) -> Result<&'a OsStr, GitError> {
    let name = entry.name_bytes();
    let why = if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
        "a name that is not one"
    } else if name.eq_ignore_ascii_case(b".git") || name.eq_ignore_ascii_case(b"git~1") {
        "a name that belongs to git itself"
    } else {
        return Ok(OsStr::from_bytes(name));
    };
    let path = parent.join(String::from_utf8_lossy(name).into_owned()).display().to_string();
    Err(GitError::UnsafeTree { path, why })
}

#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;
